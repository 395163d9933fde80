//! The windows of a state that can satisfy the predicates of a query, and whether the state has all of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};
use headwater_dataflow::Materialized;
use headwater_formats::decode::{WINDOWEND, WINDOWSTART};

use super::states::StateSnapshot;

/// Whether a state has every row that can satisfy the predicates. Windows that have expired are only in the topic, as long as it
/// keeps them.
pub(super) fn has_all(state: &StateSnapshot, filters: &[Expr]) -> bool {
    let from = || filters.iter().filter_map(|filter| earliest(filter, &state.materialized)).max();
    let has_windows_from = |kept: i64| kept == i64::MIN || from().is_some_and(|from| from >= kept);
    !state.keeps.has_expired || state.keeps.from_ms.is_none_or(has_windows_from)
}

/// A start before which no window satisfies a predicate; `None` if it does not say.
fn earliest(filter: &Expr, materialized: &Materialized) -> Option<i64> {
    let start = |expr: &Expr, bound: &Expr| match (expr, bound) {
        (Expr::Column(column), Expr::Literal(ScalarValue::Int64(Some(ms)), _)) => match column.name.as_str() {
            WINDOWSTART => Some(*ms),
            // A window's length is the end of one that starts at 0. A session is kept as long as its end.
            WINDOWEND => ms.checked_sub(materialized.window_end(0).unwrap_or(0)),
            _ => None,
        },
        _ => None,
    };
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::Eq => start(left, right).or_else(|| start(right, left)),
            Operator::GtEq => start(left, right),
            Operator::Gt => start(left, right).map(|from| from.saturating_add(1)),
            Operator::LtEq => start(right, left),
            Operator::Lt => start(right, left).map(|from| from.saturating_add(1)),
            Operator::And => earliest(left, materialized).max(earliest(right, materialized)),
            Operator::Or => Some(earliest(left, materialized)?.min(earliest(right, materialized)?)),
            _ => None,
        },
        Expr::Between(Between { expr, negated: false, low, .. }) => start(expr, low),
        Expr::InList(list) if !list.negated => {
            let starts: Option<Vec<i64>> = list.list.iter().map(|value| start(&list.expr, value)).collect();
            starts?.into_iter().min()
        }
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
