//! `= <> < <= > >=` and IS [NOT] DISTINCT FROM: which types can be compared. A comparison with NULL is false.
//!
//! Comparisons are two-valued: lowered, one is `(a < b) IS TRUE`. Where NULL and false mean the same, as under the ANDs
//! and ORs at the top of a WHERE, [`relax`] removes the IS TRUE so that joins and scans recognize the comparison.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, make_comparator};
use arrow::compute::SortOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use headwater_functions::in_one_form;
use headwater_language::diagnostic::{Diagnostic, PLAN};
use headwater_language::types::SqlType;

use super::common::{coerced, widest};
use super::kind::{Kind, is_null};
use super::operator::Op;
use super::ordinary;
use super::refusal::refusal;
use super::text::text;

/// The type in which two values are compared, if they can be.
pub(super) fn comparable(op: Op, left: &SqlType, right: &SqlType) -> Option<SqlType> {
    use SqlType as T;
    match (left, right) {
        (T::Boolean | T::Array(_) | T::Map(..) | T::Struct(_), _) if !op.is_equality() => None,
        (T::Date | T::Time | T::Timestamp, T::String) | (T::Timestamp, T::Date) => Some(left.clone()),
        (T::String, T::Date | T::Time | T::Timestamp) | (T::Date, T::Timestamp) => Some(right.clone()),
        _ => widest(left, right),
    }
}

/// Rejects operands that cannot be compared.
pub(super) fn check(op: Op, left: &Expr, right: &Expr, schema: &DFSchema) -> Result<()> {
    if is_null(left) || is_null(right) {
        return if matches!(op, Op::Distinct | Op::NotDistinct) {
            Ok(())
        } else {
            Err(with_null(op, left, right, schema)?)
        };
    }
    let kinds = (Kind::of(left, schema)?, Kind::of(right, schema)?);
    let (Kind::Of(one), Kind::Of(other)) = &kinds else { return Ok(()) };
    match comparable(op, one, other) {
        Some(_) => Ok(()),
        None => Err(incomparable(op, (left, one), (right, other))),
    }
}

/// The same check for two operands with separate schemas.
pub(super) fn check_sides(
    op: Op,
    (left, schema): (&Expr, &DFSchema),
    (right, other): (&Expr, &DFSchema),
) -> Result<()> {
    if is_null(left) {
        return check(op, left, right, other);
    }
    match (Kind::of(left, schema)?, Kind::of(right, other)?) {
        (Kind::Of(one), Kind::Of(two)) if comparable(op, &one, &two).is_none() => {
            Err(incomparable(op, (left, &one), (right, &two)))
        }
        _ => Ok(()),
    }
}

/// The error for a comparison of two incompatible types.
pub(super) fn incomparable(
    op: Op,
    (left, one): (&Expr, &SqlType),
    (right, other): (&Expr, &SqlType),
) -> DataFusionError {
    let message = format!(
        "cannot compare {} ({one}) to {} ({other}) with {} ({})",
        text(left),
        text(right),
        op.symbol(),
        op.word()
    );
    let nested = matches!(one, SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_) | SqlType::Boolean);
    let hint = match nested && one == other {
        true => "These types support only = and <>.".to_owned(),
        false => format!("Convert one of them: CAST({} AS {one}).", text(right)),
    };
    refusal(Diagnostic::new(PLAN, message).hint(hint), [left, right])
}

fn with_null(op: Op, left: &Expr, right: &Expr, schema: &DFSchema) -> Result<DataFusionError> {
    let other = if is_null(left) { right } else { left };
    let ty = Kind::of(other, schema)?.name();
    let message =
        format!("cannot compare {} ({ty}) to NULL with {} ({}): it is never true", text(other), op.symbol(), op.word());
    let not = if op == Op::NotEqual { "NOT " } else { "" };
    let hint = format!("Use {} IS {not}NULL.", text(other));
    Ok(refusal(Diagnostic::new(PLAN, message).hint(hint), [left, right]))
}

/// Lowers a comparison, with both operands converted to one type.
pub(super) fn lower(op: Op, left: Expr, right: Expr, schema: &DFSchema) -> Result<Expr> {
    check(op, &left, &right, schema)?;
    if is_null(&left) || is_null(&right) {
        return Ok(with_nothing(op, left, right));
    }
    let kinds = (Kind::of(&left, schema)?, Kind::of(&right, schema)?);
    let (Kind::Of(one), Kind::Of(other)) = &kinds else { return Ok(two_valued(op, plain(op, left, right))) };
    // The types were checked above.
    let Some(ty) = comparable(op, one, other) else { return Ok(two_valued(op, plain(op, left, right))) };
    let (left, right) = (coerced(left, &ty, schema)?, coerced(right, &ty, schema)?);
    let compared = match ty {
        SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_) => op.call(left, right),
        SqlType::Double => ordinary::lower(op, left, right, schema)?,
        _ => plain(op, left, right),
    };
    Ok(two_valued(op, compared))
}

/// IS [NOT] DISTINCT FROM NULL.
fn with_nothing(op: Op, left: Expr, right: Expr) -> Expr {
    let other = Box::new(if is_null(&left) { right } else { left });
    if is_null(&other) {
        return Expr::Literal(ScalarValue::Boolean(Some(op == Op::NotDistinct)), None);
    }
    if op == Op::Distinct { Expr::IsNotNull(other) } else { Expr::IsNull(other) }
}

fn plain(op: Op, left: Expr, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op: op.native(), right: Box::new(right) })
}

fn two_valued(op: Op, compared: Expr) -> Expr {
    match op {
        Op::Distinct | Op::NotDistinct => compared,
        _ => Expr::IsTrue(Box::new(compared)),
    }
}

/// Simplifies the comparisons of a condition in which NULL and false mean the same.
pub(super) fn relax(condition: Expr) -> Result<Expr> {
    let relaxed = condition.transform_down(|expr| {
        Ok(match expr {
            Expr::BinaryExpr(BinaryExpr { op: Operator::And | Operator::Or, .. }) | Expr::Alias(_) => {
                Transformed::no(expr)
            }
            Expr::IsTrue(inner) => Transformed::new(*inner, true, TreeNodeRecursion::Jump),
            other => Transformed::new(other, false, TreeNodeRecursion::Jump),
        })
    })?;
    Ok(relaxed.data)
}

/// Compares DOUBLEs, arrays, maps or structs of the same type. InnerFailures them NULL equals NULL; the order of a map's
/// entries does not matter.
pub(super) fn compare(op: Op, left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    if left.data_type().is_floating() {
        return ordinary::compare(op, left, right);
    }
    let (left, right) = (in_one_form(left)?, in_one_form(right)?);
    let same = make_comparator(&left, &right, SortOptions::default())?;
    let compared = |row: usize| {
        let equal = same(row, row).is_eq();
        let known = left.is_valid(row) && right.is_valid(row);
        match op {
            Op::Distinct => Some(!equal),
            Op::NotDistinct => Some(equal),
            _ if !known => None,
            Op::NotEqual => Some(!equal),
            _ => Some(equal),
        }
    };
    Ok(Arc::new((0..left.len()).map(compared).collect::<BooleanArray>()))
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int32Builder, MapBuilder, StringBuilder};

    use super::*;

    fn map(entries: &[(&str, i32)]) -> ArrayRef {
        let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
        for (key, value) in entries {
            map.keys().append_value(key);
            map.values().append_value(*value);
        }
        map.append(true).expect("as many keys as values");
        Arc::new(map.finish())
    }

    #[test]
    fn maps_are_equal_in_any_order() {
        for (right, equal) in
            [(vec![("b", 2), ("a", 1)], true), (vec![("a", 1)], false), (vec![("a", 2), ("b", 1)], false)]
        {
            let found = compare(Op::Equal, &map(&[("a", 1), ("b", 2)]), &map(&right)).expect("compares");
            assert_eq!(found.as_boolean().value(0), equal, "{right:?}");
        }
    }
}
