//! The offset of a RANGE frame: a number over numbers, an interval over DATE and TIMESTAMP.
//!
//! DataFusion (55) reads a plain number over times as months, and accepts any string as an offset over strings, which
//! have no distance.

use arrow::datatypes::{DataType, IntervalUnit};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{Expr, WindowFrameBound, WindowFrameUnits};
use headwater_language::diagnostic::{Diagnostic, PLAN};
use headwater_language::types::SqlType;

use super::kind::Kind;
use super::refusal::refusal;
use super::text::text;

/// Rejects RANGE frames whose offset does not fit the type of their ORDER BY.
pub(super) fn check(expr: &Expr, schema: &DFSchema) -> Result<()> {
    expr.apply(|node| {
        if let Expr::WindowFunction(call) = node {
            check_frame(call, schema)?;
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map(|_| ())
}

fn check_frame(call: &WindowFunction, schema: &DFSchema) -> Result<()> {
    let frame = &call.params.window_frame;
    let ([key], WindowFrameUnits::Range) = (&call.params.order_by[..], frame.units) else { return Ok(()) };
    for bound in [&frame.start_bound, &frame.end_bound] {
        if let WindowFrameBound::Preceding(ScalarValue::Utf8(Some(reach)))
        | WindowFrameBound::Following(ScalarValue::Utf8(Some(reach))) = bound
        {
            check_reach(reach, &key.expr, schema)?;
        }
    }
    Ok(())
}

fn check_reach(reach: &str, key: &Expr, schema: &DFSchema) -> Result<()> {
    let ty = match Kind::of(key, schema)? {
        Kind::Of(ty) => ty,
        Kind::Null => return Err(without_distance(key, "not NULL")),
        Kind::Foreign(_) => return Ok(()),
    };
    match &ty {
        SqlType::Int | SqlType::BigInt if reach.trim().parse::<i64>().is_ok() => Ok(()),
        SqlType::Int | SqlType::BigInt => refused(key, &ty, "an integer offset", reach, None),
        SqlType::Double if reach.trim().parse::<f64>().is_ok_and(f64::is_finite) => Ok(()),
        SqlType::Decimal { scale, .. } if is_decimal(reach, &ty) => {
            let digits = reach.split_once('.').map_or(0, |(_, digits)| digits.trim_end_matches('0').len());
            match digits <= usize::from(*scale) {
                true => Ok(()),
                false => refused(
                    key,
                    &ty,
                    &format!("an offset with at most {scale} digits after the decimal point"),
                    reach,
                    None,
                ),
            }
        }
        SqlType::Double | SqlType::Decimal { .. } => refused(key, &ty, "an offset that fits its type", reach, None),
        SqlType::Date | SqlType::Timestamp if is_interval(reach) => Ok(()),
        SqlType::Date | SqlType::Timestamp => {
            let number = reach.trim();
            let days = if number.parse::<u32>().is_ok() { number } else { "1" };
            refused(key, &ty, "an interval as offset", reach, Some(format!("Give a unit: INTERVAL '{days}' DAY.")))
        }
        _ => Err(without_distance(key, &format!("but {} is {ty}", text(key)))),
    }
}

fn is_decimal(reach: &str, ty: &SqlType) -> bool {
    // A number with an exponent may have more digits than are written.
    let plain = reach.trim().chars().all(|letter| letter.is_ascii_digit() || letter == '.');
    plain && ty.to_arrow().is_ok_and(|ty| ScalarValue::try_from_string(reach.to_owned(), &ty).is_ok())
}

/// Whether a string is a positive interval with a unit.
fn is_interval(reach: &str) -> bool {
    let has_unit = reach.contains(|letter: char| letter.is_ascii_alphabetic());
    let interval = DataType::Interval(IntervalUnit::MonthDayNano);
    has_unit && !reach.contains('-') && ScalarValue::try_from_string(reach.to_owned(), &interval).is_ok()
}

fn refused(key: &Expr, ty: &SqlType, needed: &str, reach: &str, hint: Option<String>) -> Result<()> {
    let message = format!("a RANGE frame over {} ({ty}) needs {needed}, not {reach}", text(key));
    let error = Diagnostic { hint, ..Diagnostic::new(PLAN, message) };
    Err(refusal(error, [key]))
}

fn without_distance(key: &Expr, why: &str) -> DataFusionError {
    let message = format!("a RANGE frame with an offset needs a number, a DATE or a TIMESTAMP in ORDER BY, {why}");
    refusal(Diagnostic::new(PLAN, message).hint("Use ROWS or GROUPS, which work with any type."), [key])
}
