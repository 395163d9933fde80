//! Reads WINDOW and fills in the default RETENTION and GRACE PERIOD, and finds the bounds of windows in expressions. Semantics:
//! ksqlDB's windows.

use headwater_formats::decode::{WINDOWEND, WINDOWSTART};
use headwater_language::definition::WindowDef;
use headwater_language::diagnostic::{Diagnostic, STREAMING, Span};
use headwater_language::sql::ast::{Duration, Window, WindowKind};
use headwater_language::sql::each_own_expr;
use headwater_language::topology::AggregateWindow;
use sqlparser::ast::Expr;

use super::scope::span_of;

/// The columns that a windowed aggregation adds.
pub const BOUNDS: [&str; 2] = [WINDOWSTART, WINDOWEND];

/// How long after their start windows without a GRACE PERIOD accept rows: 24 hours.
const OPEN_MS: i64 = 86_400_000;

/// The windows of a clause at `span`. With `is_final` (EMIT FINAL) the default GRACE PERIOD is 0, so that results are emitted
/// when a window ends. Fails on invalid durations.
pub fn read(window: &Window, is_final: bool, span: Span) -> Result<AggregateWindow, Vec<Diagnostic>> {
    let mut errors = Vec::new();
    let mut ms = |word: &str, duration: Duration| length(word, duration, span, &mut errors);
    let (def, size_ms, advance_ms) = match window.kind {
        WindowKind::Tumbling { size } => {
            let size_ms = ms("SIZE", size);
            (WindowDef::Tumbling(size_ms), size_ms, None)
        }
        WindowKind::Hopping { size, advance } => {
            let (size_ms, advance_ms) = (ms("SIZE", size), ms("ADVANCE BY", advance));
            if advance_ms > size_ms {
                let message = format!("ADVANCE BY {advance} exceeds the window SIZE of {size}");
                errors.push(refusal(message, span));
            }
            (WindowDef::Hopping(size_ms), size_ms, Some(advance_ms))
        }
        WindowKind::Session { gap } => (WindowDef::Session, ms("the gap of a session", gap), None),
    };
    let gap_ms = (def == WindowDef::Session).then_some(size_ms);
    let default_ms = if is_final { 0 } else { OPEN_MS.saturating_sub(size_ms).max(0) };
    let grace_ms = window.grace.map_or(default_ms, |grace| grace.ms().unwrap_or(i64::MAX));
    let least_ms = size_ms.saturating_add(grace_ms);
    let retention_ms = window.retention.map_or(least_ms, |retention| retention.ms().unwrap_or(i64::MAX));
    if retention_ms < least_ms && errors.is_empty() {
        errors.push(too_short(window, is_final, least_ms, span));
    }
    let window = AggregateWindow { def, advance_ms, gap_ms, grace_ms, retention_ms };
    if errors.is_empty() { Ok(window) } else { Err(errors) }
}

/// The name of the bound that an expression is, if it is one.
pub fn bound(expr: &Expr) -> Option<&'static str> {
    let name = match expr {
        Expr::Identifier(name) => name,
        Expr::CompoundIdentifier(names) => names.last()?,
        _ => return None,
    };
    BOUNDS.into_iter().find(|bound| *bound == name.value)
}

/// Reports the bounds of windows in an expression of a query at `whole`, whose place they cannot be part of.
pub fn no_bounds(place: &str, expr: &Expr, whole: Span, errors: &mut Vec<Diagnostic>) {
    each_own_expr(expr, &mut |expr: &Expr| {
        let Some(name) = bound(expr) else { return };
        let message = format!("window bound \"{name}\" cannot be part of {place}");
        let detail = "It exists only in the SELECT list of a windowed aggregation.";
        errors.push(Diagnostic::new(STREAMING, message).at(span_of(expr, whole)).detail(detail));
    });
}

/// A duration in ms. If it is not positive or does not fit in 63 bits, that is reported and 1 is returned.
fn length(word: &str, duration: Duration, span: Span, errors: &mut Vec<Diagnostic>) -> i64 {
    let message = match duration.ms() {
        Some(ms) if ms > 0 => return ms,
        Some(_) => format!("{word} must be longer than {duration}"),
        None => format!("{word} is too long: {duration}"),
    };
    errors.push(refusal(message, span));
    1
}

fn too_short(window: &Window, is_final: bool, least_ms: i64, span: Span) -> Diagnostic {
    let grace = match window.grace {
        Some(grace) => format!("GRACE PERIOD of {grace}"),
        None if is_final => "default GRACE PERIOD of 0 with EMIT FINAL".to_owned(),
        None => "default GRACE PERIOD, until 24 HOURS after their start".to_owned(),
    };
    let message = "RETENTION must cover the windows and their GRACE PERIOD";
    let detail = format!("With a {grace}, they accept rows for {} SECONDS.", seconds(least_ms));
    let hint = format!("Specify RETENTION {} SECONDS or more, or a shorter GRACE PERIOD.", seconds(least_ms));
    refusal(message, span).detail(detail).hint(hint)
}

/// A duration in seconds, rounded up.
fn seconds(ms: i64) -> i64 {
    ms / 1_000 + i64::from(ms % 1_000 > 0)
}

fn refusal(message: impl Into<String>, span: Span) -> Diagnostic {
    Diagnostic::new(STREAMING, message).at(span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_language::sql::ast::StatementKind;

    /// The grace period and the retention of a clause, or its errors.
    fn read_as(clause: &str) -> Result<(i64, i64), String> {
        let parsed = headwater_language::sql::parse(&format!("SELECT * FROM s WINDOW {clause} EMIT CHANGES;"));
        let StatementKind::Query(query) = &parsed.statements[0].kind else { panic!("{clause}") };
        let window = query.window.as_ref().expect("a window");
        let found = read(&window.value, false, window.span).map(|window| (window.grace_ms, window.retention_ms));
        found.map_err(|errors| errors.into_iter().map(|e| e.message).collect::<Vec<_>>().join("; "))
    }

    #[test]
    fn rows_may_be_late_until_24_hours_after_the_start() {
        assert_eq!(read_as("TUMBLING (SIZE 10 SECONDS)"), Ok((86_390_000, 86_400_000)));
        assert_eq!(read_as("TUMBLING (SIZE 2 DAYS)"), Ok((0, 172_800_000)));
        assert_eq!(read_as("SESSION (1 HOUR)"), Ok((82_800_000, 86_400_000)));
        assert_eq!(read_as("TUMBLING (SIZE 1 HOUR, GRACE PERIOD 0 SECONDS)"), Ok((0, 3_600_000)));
    }

    #[test]
    fn retention_covers_size_and_grace() {
        let of = |retention: &str| {
            read_as(&format!("TUMBLING (SIZE 2 SECONDS, RETENTION {retention}, GRACE PERIOD 1 SECOND)"))
        };
        assert_eq!(of("3 SECONDS"), Ok((1_000, 3_000)));
        assert_eq!(of("1 DAY"), Ok((1_000, 86_400_000)));
        assert!(of("2999 MILLISECONDS").is_err());
        assert!(read_as("TUMBLING (SIZE 2 SECONDS, RETENTION 23 HOURS)").is_err());
    }

    #[test]
    fn lengths_are_positive_and_fit() {
        assert_eq!(read_as("TUMBLING (SIZE 0 SECONDS)"), Err("SIZE must be longer than 0 SECONDS".to_owned()));
        let hopping = read_as("HOPPING (SIZE 1 MINUTE, ADVANCE BY 2 MINUTES)");
        assert_eq!(hopping, Err("ADVANCE BY 2 MINUTES exceeds the window SIZE of 1 MINUTES".to_owned()));
        assert!(read_as("HOPPING (SIZE 1 MINUTE, ADVANCE BY 0 SECONDS)").is_err());
        assert!(read_as("SESSION (0 SECONDS)").is_err());
        assert!(read_as("TUMBLING (SIZE 9999999999999999 DAYS)").is_err());
    }
}
