//! The keys of a state that can satisfy the predicates of a query. Whatever is read is filtered again above the scan.

use std::collections::BTreeSet;

use arrow::array::{ArrayRef, BinaryArray};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use headwater_dataflow::Materialized;

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
