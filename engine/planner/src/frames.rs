//! The offsets of window frames, checked as far as possible without types: an integer in ROWS and GROUPS, a number or
//! an interval in RANGE. Whether the offset fits the type of ORDER BY is checked when types are known
//! (`engine/expression/dialect`).

use headwater_language::diagnostic::{Diagnostic, PLAN};
use headwater_language::sql::place;
use sqlparser::ast::{
    Expr, Spanned as _, UnaryOperator, Value, ValueWithSpan, WindowFrameBound, WindowFrameUnits, WindowSpec,
};

/// The errors in the bounds of a frame.
pub(super) fn check(spec: &WindowSpec) -> Vec<Diagnostic> {
    let Some(frame) = &spec.window_frame else { return Vec::new() };
    let bounds = std::iter::once(&frame.start_bound).chain(&frame.end_bound);
    let refused = bounds.filter_map(|bound| match bound {
        WindowFrameBound::Preceding(Some(reach)) | WindowFrameBound::Following(Some(reach)) => {
            refusal(frame.units, reach).map(|error| error.at_maybe(place(reach.span())))
        }
        _ => None,
    });
    refused.collect()
}

fn refusal(units: WindowFrameUnits, reach: &Expr) -> Option<Diagnostic> {
    if is_negative(reach) {
        let error = Diagnostic::new(PLAN, "the offset of a window frame cannot be negative");
        return Some(error.hint("PRECEDING and FOLLOWING give the direction."));
    }
    let literal = match reach {
        Expr::Value(literal) => Some(&literal.value),
        _ => None,
    };
    let message = match (units, literal) {
        (WindowFrameUnits::Range, Some(Value::Number(..) | Value::SingleQuotedString(_))) => return None,
        (WindowFrameUnits::Range, _) if matches!(reach, Expr::Interval(_)) => return None,
        (WindowFrameUnits::Range, _) => "the offset of a RANGE frame must be a number or an interval",
        (_, Some(Value::Number(rows, _))) if rows.parse::<u64>().is_ok() => return None,
        _ => "the offset of a ROWS or GROUPS frame must be a non-negative integer",
    };
    Some(Diagnostic::new(PLAN, message))
}

/// Whether an expression is a number with a minus sign.
pub(super) fn is_negative(expr: &Expr) -> bool {
    match expr {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => !is_negative(expr),
        Expr::Nested(inner) => is_negative(inner),
        Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) => digits.starts_with('-'),
        _ => false,
    }
}
