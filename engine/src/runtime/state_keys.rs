//! Which part of a state the predicates of a query select: the keys and the windows that can satisfy them. Whatever is read is
//! filtered again above the scan.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use headwater_dataflow::Materialized;
use headwater_formats::decode::{WINDOWEND, WINDOWSTART};

/// Most keys that are looked up; for more of them, everything is read.
const KEYS_MAX: usize = 10_000;

/// The keys that can satisfy the predicates; `None` if they do not determine the whole key.
pub(super) fn keys(materialized: &Materialized, filters: &[Expr]) -> Result<Option<BinaryArray>> {
    let Some(columns) = materialized.key_columns() else { return Ok(None) };
    let mut wanted = Vec::new();
    for (name, data_type) in columns {
        match filters.iter().find_map(|filter| values(filter, name)).and_then(|values| fit(values, &data_type)) {
            Some(values) => wanted.push((values, data_type)),
            None => return Ok(None),
        }
    }
    let rows = wanted.iter().try_fold(1_usize, |rows, (values, _)| rows.checked_mul(values.len()));
    let Some(rows) = rows.filter(|rows| *rows <= KEYS_MAX) else { return Ok(None) };
    let keys = materialized.keys(&combined(&wanted, rows)?)?;
    let each_once: BTreeSet<&[u8]> = keys.iter().flatten().collect();
    Ok(Some(BinaryArray::from_iter_values(each_once)))
}

/// The values of a column that can satisfy a predicate; `None` if it does not say.
fn values(filter: &Expr, column: &str) -> Option<Vec<ScalarValue>> {
    let is_it = |expr: &Expr| matches!(expr, Expr::Column(found) if found.name == column);
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => match (left.as_ref(), right.as_ref()) {
            (Expr::Literal(value, _), other) | (other, Expr::Literal(value, _)) if is_it(other) => {
                Some(vec![value.clone()])
            }
            _ => None,
        },
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            values(left, column).or_else(|| values(right, column))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Some([values(left, column)?, values(right, column)?].concat())
        }
        Expr::InList(list) if !list.negated && is_it(&list.expr) => {
            let literal = |expr: &Expr| if let Expr::Literal(value, _) = expr { Some(value.clone()) } else { None };
            list.list.iter().map(literal).collect()
        }
        _ => None,
    }
}

/// The values that are not null; `None` if one has another type.
fn fit(values: Vec<ScalarValue>, data_type: &DataType) -> Option<Vec<ScalarValue>> {
    let values: Vec<_> = values.into_iter().filter(|value| !value.is_null()).collect();
    values.iter().all(|value| value.data_type() == *data_type).then_some(values)
}

/// All combinations of the values of several columns.
fn combined(columns: &[(Vec<ScalarValue>, DataType)], rows: usize) -> Result<Vec<ArrayRef>> {
    let mut repeated = rows;
    let mut arrays = Vec::new();
    for (values, data_type) in columns {
        if rows == 0 {
            arrays.push(arrow::array::new_empty_array(data_type));
            continue;
        }
        repeated /= values.len();
        let value = |row: usize| values[row / repeated % values.len()].clone();
        arrays.push(ScalarValue::iter_to_array((0..rows).map(value))?);
    }
    Ok(arrays)
}

/// Whether the state still has all windows that can satisfy the predicates. `starts` are those of the windows that it has. Older
/// windows may have expired, and are only in the topic.
pub(super) fn are_kept(materialized: &Materialized, starts: &BTreeSet<i64>, filters: &[Expr]) -> bool {
    let (Some(retention_ms), Some(last)) = (materialized.retention_ms(), starts.last()) else { return true };
    // Stream time is before the end of the last window, which the row with the highest time has made.
    let Some(latest_ms) = materialized.window_end(*last) else { return false };
    let wanted_from = filters.iter().filter_map(first_window).max();
    wanted_from.is_some_and(|from| from >= latest_ms.saturating_sub(retention_ms))
}

/// The lowest start of a window that a predicate allows; `None` if it does not say.
fn first_window(filter: &Expr) -> Option<i64> {
    let bound = |column: &Expr, literal: &Expr| match (column, literal) {
        (Expr::Column(column), Expr::Literal(ScalarValue::Int64(Some(value)), _)) if column.name == WINDOWSTART => {
            Some(*value)
        }
        _ => None,
    };
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq | Operator::Gt | Operator::GtEq, right }) => {
            bound(left, right)
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => first_window(left).max(first_window(right)),
        Expr::Between(between) if !between.negated => bound(&between.expr, &between.low),
        _ => None,
    }
}

/// Those of some windows, each with its start, that can satisfy the predicates on their bounds; `None` if there are no such
/// predicates.
pub(super) fn windows(
    materialized: &Materialized,
    starts: &BTreeSet<i64>,
    filters: &[Expr],
    session: &dyn Session,
) -> Result<Option<BTreeSet<i64>>> {
    let is_bound = |name: &str| [WINDOWSTART, WINDOWEND].contains(&name);
    let mut on_bounds = filters.iter().filter(|filter| {
        let columns = filter.column_refs();
        !columns.is_empty() && columns.iter().all(|column| is_bound(&column.name)) && !filter.is_volatile()
    });
    let ends: Option<Vec<i64>> = starts.iter().map(|start| materialized.window_end(*start)).collect();
    let (Some(first), Some(ends)) = (on_bounds.next(), ends) else { return Ok(None) };
    let schema =
        Arc::new(Schema::new([WINDOWSTART, WINDOWEND].map(|name| Field::new(name, DataType::Int64, true)).to_vec()));
    let columns: [ArrayRef; 2] =
        [Arc::new(starts.iter().copied().collect::<Int64Array>()), Arc::new(Int64Array::from(ends))];
    let bounds = RecordBatch::try_new(schema.clone(), columns.to_vec())?;
    let schema = DFSchema::try_from(schema)?;
    let mut left: Vec<bool> = vec![true; starts.len()];
    for filter in std::iter::once(first).chain(on_bounds) {
        let satisfied = session.create_physical_expr(filter.clone(), &schema)?.evaluate(&bounds)?;
        let satisfied = satisfied.into_array(starts.len())?;
        let Some(satisfied) = satisfied.as_boolean_opt() else { continue };
        left.iter_mut().enumerate().for_each(|(row, left)| *left &= satisfied.is_valid(row) && satisfied.value(row));
    }
    Ok(Some(starts.iter().zip(left).filter_map(|(start, left)| left.then_some(*start)).collect()))
}
