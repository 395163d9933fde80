//! The filter for messages of DataFusion and Arrow: only plain English that reveals no internals is passed on
//! unchanged.
//!
//! Messages that users meet are reworded ([`super::wording`]); all others are replaced by one general message, and the
//! original is logged at level debug.

use headwater_language::diagnostic::{Diagnostic, INTERNAL, NOT_SUPPORTED, RUNTIME};

use super::wording::{known, pieces};

/// Beginnings or patterns of messages that our own code reports through DataFusion's plan errors.
const OURS: &[&str] = &[
    "operator ",
    "an array is indexed by ",
    "a map without keys and values",
    "only arrays and maps have elements",
    "'{}' is not a unit of time",
    "type \"{}\" does not exist",
];

/// Whether a message comes from our own code.
pub(super) fn is_ours(message: &str) -> bool {
    OURS.iter().any(|begins| message.starts_with(begins) || pieces(begins, message).is_some())
}

/// Words that reveal internals: names of types, nodes and values in Rust.
const INSIDE: &[&str] = &[
    "datafusion",
    "DataFusion",
    "LogicalPlan",
    "ExecutionPlan",
    "ScalarValue",
    "RecordBatch",
    "ArrayRef",
    "DataType",
    "PrimitiveArray",
    "GenericListArray",
    "StructArray",
    "MapArray",
    "Accumulator",
    "physical",
    "Physical",
    "logical",
    "Arrow",
    "https://",
    "http://",
    "github",
    "::",
    "Some(",
    "Ok(",
    "Err(",
    " { ",
    "Arc<",
    "Vec<",
    "Box<",
    "Option<",
    "Utf8",
    "LargeUtf8",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "UInt",
    "Float16",
    "Float32",
    "Float64",
    "Decimal128",
    "Decimal256",
    "Date32",
    "Date64",
    "Time32",
    "Time64",
    "Timestamp(",
    "Interval(",
    "List(",
    "Struct(",
    "Map(",
    "Dictionary(",
    "FixedSizeBinary",
    "LargeBinary",
    "UDF",
    "UDAF",
    "UDWF",
    "Expr::",
    "Expr(",
    "coerce",
    "coercion",
    "signature",
    "Signature",
    "TypeSignature",
    "panicked",
    "unwrap",
    "headwater_",
    "(*",
    "Nullable",
    "metadata",
];

/// Rewords a diagnostic as [`KNOWN`] says, or replaces it with a general message.
pub(super) fn settle(diagnostic: &Diagnostic) -> Diagnostic {
    let known = known(&diagnostic.message).filter(|known| diagnostic.code != RUNTIME && !is_inside(&known.message));
    match known {
        Some(known) => known.at_maybe(diagnostic.span),
        None => unknown(diagnostic),
    }
}

/// Whether a message reveals internals. Quoted parts are ignored, since they may come from the user.
pub(super) fn is_inside(message: &str) -> bool {
    let bare = without_quoted(message);
    INSIDE.iter().any(|word| bare.contains(word))
}

fn without_quoted(message: &str) -> String {
    let mut bare = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(at) = rest.find(['\'', '"', '`']) {
        let quote = rest[at..].chars().next().unwrap_or('"');
        bare.push_str(&rest[..at]);
        let behind = &rest[at + 1..];
        rest = match behind.find(quote) {
            Some(end) => &behind[end + 1..],
            None => behind,
        };
    }
    bare.push_str(rest);
    bare
}

/// The general message for an error that has no wording of ours, with the same location.
pub(super) fn unknown(diagnostic: &Diagnostic) -> Diagnostic {
    tracing::debug!(code = %diagnostic.code, said = %diagnostic.message, detail = diagnostic.detail, "no wording for this error yet");
    let error = match diagnostic.code {
        RUNTIME => {
            Diagnostic::new(RUNTIME, "the query failed at run time").detail("The reason is in the log at level debug.")
        }
        INTERNAL => Diagnostic::new(INTERNAL, "internal error while planning or running the query")
            .hint("Please report this error with the statement; the log has more at level debug."),
        _ => Diagnostic::new(NOT_SUPPORTED, "this query cannot be planned yet")
            .detail("The reason is in the log at level debug.")
            .hint("Split it into steps: WITH a AS (SELECT …), b AS (SELECT … FROM a) SELECT … FROM b."),
    };
    error.at_maybe(diagnostic.span)
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_parts_are_ignored() {
        assert!(!is_inside("\"Int64\" is not a valid INTEGER"));
        assert!(!is_inside("column 'Field { a }' does not exist"));
        assert!(is_inside("cannot cast Int64"));
        assert!(is_inside("it's a LogicalPlan"));
    }
}
