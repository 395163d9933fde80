//! What a frame of a window may reach by, as far as the text says: a whole number in ROWS and GROUPS, a number or an interval
//! in RANGE. Whether ORDER BY has such a distance is told with its type (`engine/dialect`).

use headwater_language::diagnostic::{Diagnostic, PLAN};
use headwater_language::sql::place;
use sqlparser::ast::{
    Expr, Spanned as _, UnaryOperator, Value, ValueWithSpan, WindowFrameBound, WindowFrameUnits, WindowSpec,
};

/// What is wrong with the ends of a frame.
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
        let error = Diagnostic::new(PLAN, "the frame of a window reaches by a number that is not negative");
        return Some(error.hint("PRECEDING and FOLLOWING say the direction."));
    }
    let literal = match reach {
        Expr::Value(literal) => Some(&literal.value),
        _ => None,
    };
    let message = match (units, literal) {
        (WindowFrameUnits::Range, Some(Value::Number(..) | Value::SingleQuotedString(_))) => return None,
        (WindowFrameUnits::Range, _) if matches!(reach, Expr::Interval(_)) => return None,
        (WindowFrameUnits::Range, _) => "a frame in RANGE reaches by a number or an interval",
        (_, Some(Value::Number(rows, _))) if rows.parse::<u64>().is_ok() => return None,
        _ => "a frame in ROWS or GROUPS counts by a whole number that is not negative",
    };
    Some(Diagnostic::new(PLAN, message))
}

/// A number with a minus before it.
pub(super) fn is_negative(expr: &Expr) -> bool {
    match expr {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => !is_negative(expr),
        Expr::Nested(inner) => is_negative(inner),
        Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) => digits.starts_with('-'),
        _ => false,
    }
}
