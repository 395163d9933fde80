//! How far a frame in RANGE reaches: by a number over numbers, by an interval over DATE and TIMESTAMP.
//!
//! DataFusion (55) takes a bare number over times for months, and any text for a distance over texts, of which there is none.

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

/// Refuses frames that reach by what their ORDER BY has no distance of.
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
        SqlType::Int | SqlType::BigInt => refused(key, &ty, "by a whole number", reach, None),
        SqlType::Double if reach.trim().parse::<f64>().is_ok_and(f64::is_finite) => Ok(()),
        SqlType::Decimal { scale, .. } if is_decimal(reach, &ty) => {
            let digits = reach.split_once('.').map_or(0, |(_, digits)| digits.trim_end_matches('0').len());
            match digits <= usize::from(*scale) {
                true => Ok(()),
                false => refused(key, &ty, &format!("by a number with {scale} digits after the point"), reach, None),
            }
        }
        SqlType::Double | SqlType::Decimal { .. } => refused(key, &ty, "by a number that it has room for", reach, None),
        SqlType::Date | SqlType::Timestamp if is_interval(reach) => Ok(()),
        SqlType::Date | SqlType::Timestamp => {
            let number = reach.trim();
            let days = if number.parse::<u32>().is_ok() { number } else { "1" };
            refused(key, &ty, "by an interval", reach, Some(format!("Say the unit: INTERVAL '{days}' DAY.")))
        }
        _ => Err(without_distance(key, &format!("and {} is {ty}", text(key)))),
    }
}

fn is_decimal(reach: &str, ty: &SqlType) -> bool {
    // A number with an exponent may have more digits than it shows.
    let plain = reach.trim().chars().all(|letter| letter.is_ascii_digit() || letter == '.');
    plain && ty.to_arrow().is_ok_and(|ty| ScalarValue::try_from_string(reach.to_owned(), &ty).is_ok())
}

/// A distance forwards that has a unit.
fn is_interval(reach: &str) -> bool {
    let has_unit = reach.contains(|letter: char| letter.is_ascii_alphabetic());
    let interval = DataType::Interval(IntervalUnit::MonthDayNano);
    has_unit && !reach.contains('-') && ScalarValue::try_from_string(reach.to_owned(), &interval).is_ok()
}

fn refused(key: &Expr, ty: &SqlType, how: &str, reach: &str, hint: Option<String>) -> Result<()> {
    let message = format!("a frame in RANGE over {} ({ty}) reaches {how}, not by {reach}", text(key));
    let error = Diagnostic { hint, ..Diagnostic::new(PLAN, message) };
    Err(refusal(error, [key]))
}

fn without_distance(key: &Expr, why: &str) -> DataFusionError {
    let message = format!("a frame in RANGE with a distance needs a number, a DATE or a TIMESTAMP in ORDER BY, {why}");
    refusal(Diagnostic::new(PLAN, message).hint("ROWS and GROUPS count rows, whatever their type."), [key])
}
