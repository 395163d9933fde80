//! Which values of an address column satisfy a predicate: the arithmetic of pruning.
//!
//! [`interval`] returns a range that contains every value for which the predicate can be true. Expressions that it does
//! not understand do not limit the range, so a scan of the range with the predicate applied again returns the same rows
//! as a full scan. It works on physical expressions, both static predicates and those that a Top-K tightens while it
//! runs.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CastExpr, Column, DynamicFilterPhysicalExpr, InListExpr, IsNullExpr, Literal,
};
use headwater_formats::decode::{ROWOFFSET, ROWPARTITION, ROWTIME};

/// The columns that a scan fills itself.
const ADDRESS: [&str; 3] = [ROWTIME, ROWPARTITION, ROWOFFSET];

/// Inclusive bounds; empty when `min > max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The lowest value.
    pub min: i64,
    /// The highest value.
    pub max: i64,
}

impl Interval {
    /// All values.
    pub const FULL: Self = Self { min: i64::MIN, max: i64::MAX };
    /// No value.
    pub const EMPTY: Self = Self { min: i64::MAX, max: i64::MIN };

    /// Whether the interval contains no value.
    pub fn is_empty(self) -> bool {
        self.min > self.max
    }

    /// The values in both intervals.
    pub fn and(self, other: Self) -> Self {
        Self { min: self.min.max(other.min), max: self.max.min(other.max) }
    }

    /// The smallest interval that contains both.
    pub fn or(self, other: Self) -> Self {
        match (self.is_empty(), other.is_empty()) {
            (true, _) => other,
            (_, true) => self,
            _ => Self { min: self.min.min(other.min), max: self.max.max(other.max) },
        }
    }

    fn contains(self, value: i64) -> bool {
        self.min <= value && value <= self.max
    }
}

/// The columns that pruning knows, by their names in the expressions.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The column whose interval is computed.
    pub column: &'a str,
    /// A column with a known value, such as the partition of the range.
    pub known: Option<(&'a str, i64)>,
}

/// Bounds of the target column within which the predicate may be true.
pub fn interval(predicate: &Arc<dyn PhysicalExpr>, target: Target<'_>) -> Interval {
    let expr = predicate.as_ref();
    if let Some(dynamic) = expr.downcast_ref::<DynamicFilterPhysicalExpr>() {
        return dynamic.current().map_or(Interval::FULL, |current| interval(&current, target));
    }
    if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        return binary_interval(binary, target);
    }
    if let Some(list) = expr.downcast_ref::<InListExpr>() {
        return list_interval(list, target);
    }
    if let Some(test) = expr.downcast_ref::<IsNullExpr>() {
        // A scan's address columns are never null; a Top-K tests for nulls because it sorts them first.
        let never = column_name(test.arg()).is_some_and(|name| ADDRESS.contains(&name));
        return if never { Interval::EMPTY } else { Interval::FULL };
    }
    if let Some(literal) = expr.downcast_ref::<Literal>()
        && matches!(literal.value(), ScalarValue::Boolean(Some(false) | None))
    {
        return Interval::EMPTY;
    }
    Interval::FULL
}

fn binary_interval(binary: &BinaryExpr, target: Target<'_>) -> Interval {
    match binary.op() {
        Operator::And => interval(binary.left(), target).and(interval(binary.right(), target)),
        Operator::Or => interval(binary.left(), target).or(interval(binary.right(), target)),
        op => comparison_interval(binary, *op, target),
    }
}

fn comparison_interval(binary: &BinaryExpr, op: Operator, target: Target<'_>) -> Interval {
    if let (Some(column), Some(value)) = (column_name(binary.left()), integer(binary.right())) {
        return bound_column(column, satisfying(op, value), target);
    }
    if let (Some(value), Some(column)) = (integer(binary.left()), column_name(binary.right())) {
        let swapped = op.swap().map_or(Interval::FULL, |op| satisfying(op, value));
        return bound_column(column, swapped, target);
    }
    Interval::FULL
}

fn list_interval(list: &InListExpr, target: Target<'_>) -> Interval {
    let (Some(column), false) = (column_name(list.expr()), list.negated()) else { return Interval::FULL };
    let Some(values) = list.list().iter().map(integer).collect::<Option<Vec<_>>>() else { return Interval::FULL };
    let bounds = values.iter().map(|v| Interval { min: *v, max: *v });
    if target.known.is_some_and(|(name, known)| name == column && !values.contains(&known)) {
        return Interval::EMPTY;
    }
    bound_column(column, bounds.fold(Interval::EMPTY, Interval::or), target)
}

/// The interval of the target, given that `column` lies within `bounds`.
fn bound_column(column: &str, bounds: Interval, target: Target<'_>) -> Interval {
    if column == target.column {
        return bounds;
    }
    match target.known {
        Some((name, value)) if name == column && !bounds.contains(value) => Interval::EMPTY,
        _ => Interval::FULL,
    }
}

/// The values `v` for which `v op literal` holds.
fn satisfying(op: Operator, literal: i64) -> Interval {
    let full = Interval::FULL;
    match op {
        Operator::Eq | Operator::IsNotDistinctFrom => Interval { min: literal, max: literal },
        Operator::Gt => literal.checked_add(1).map_or(Interval::EMPTY, |min| Interval { min, ..full }),
        Operator::GtEq => Interval { min: literal, ..full },
        Operator::Lt => literal.checked_sub(1).map_or(Interval::EMPTY, |max| Interval { max, ..full }),
        Operator::LtEq => Interval { max: literal, ..full },
        _ => full,
    }
}

/// The name of the column, ignoring casts that do not affect integer comparison.
fn column_name(expr: &Arc<dyn PhysicalExpr>) -> Option<&str> {
    if let Some(column) = expr.downcast_ref::<Column>() {
        return Some(column.name());
    }
    let cast = expr.downcast_ref::<CastExpr>()?;
    cast.cast_type().is_signed_integer().then(|| column_name(cast.expr())).flatten()
}

fn integer(expr: &Arc<dyn PhysicalExpr>) -> Option<i64> {
    match expr.downcast_ref::<Literal>()?.value() {
        ScalarValue::Int64(Some(v)) => Some(*v),
        ScalarValue::Int32(Some(v)) => Some(i64::from(*v)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::common::DFSchema;
    use datafusion::execution::context::SessionContext;
    use datafusion::prelude::{Expr, col, lit};

    /// Checks the interval of ROWOFFSET under a predicate, in partition 1.
    fn check(predicate: Expr, expected: Interval) {
        use arrow::datatypes::{DataType, Field, Schema};
        let fields = [(ROWOFFSET, DataType::Int64), (ROWPARTITION, DataType::Int32), ("X", DataType::Int64)]
            .map(|(n, t)| Field::new(n, t, true));
        let schema = DFSchema::try_from(Schema::new(fields.to_vec())).unwrap();
        let physical = SessionContext::new().create_physical_expr(predicate, &schema).unwrap();
        let target = Target { column: ROWOFFSET, known: Some((ROWPARTITION, 1)) };
        assert_eq!(interval(&physical, target), expected);
    }

    fn offset() -> Expr {
        Expr::Column(datafusion::common::Column::from_name(ROWOFFSET))
    }

    fn partition() -> Expr {
        Expr::Column(datafusion::common::Column::from_name(ROWPARTITION))
    }

    fn other() -> Expr {
        Expr::Column(datafusion::common::Column::from_name("X"))
    }

    #[test]
    fn comparisons_bound_from_either_side() {
        check(offset().gt(lit(5_i64)), Interval { min: 6, max: i64::MAX });
        check(lit(5_i64).gt(offset()), Interval { min: i64::MIN, max: 4 });
        check(offset().between(lit(3_i64), lit(9_i64)), Interval { min: 3, max: 9 });
        check(offset().gt(lit(i64::MAX)), Interval::EMPTY);
    }

    #[test]
    fn an_unknown_predicate_does_not_limit_the_range() {
        check(offset().not_eq(lit(5_i64)), Interval::FULL);
        check((offset() + lit(1_i64)).gt(lit(5_i64)), Interval::FULL);
        check(offset().gt(lit(5_i64)).or(other().eq(lit(1_i64))), Interval::FULL);
        check(col("\"X\"").eq(lit(1_i64)), Interval::FULL);
    }

    #[test]
    fn an_address_is_never_null() {
        check(offset().is_null().or(offset().gt(lit(5_i64))), Interval { min: 6, max: i64::MAX });
        check(other().is_null().or(offset().gt(lit(5_i64))), Interval::FULL);
    }

    #[test]
    fn a_known_partition_decides_its_branch() {
        let first = partition().eq(lit(0_i32)).and(offset().gt(lit(10_i64)));
        let second = partition().eq(lit(1_i32)).and(offset().lt(lit(7_i64)));
        check(first.clone().or(second), Interval { min: i64::MIN, max: 6 });
        check(first, Interval::EMPTY);
        check(partition().in_list(vec![lit(0_i32), lit(2_i32)], false), Interval::EMPTY);
        check(partition().in_list(vec![lit(0_i32), lit(1_i32)], false), Interval::FULL);
    }
}
