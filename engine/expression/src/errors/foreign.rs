//! The gate for messages of DataFusion and Arrow: none passes as it is unless it is plain English about the text.
//!
//! What users meet is listed in our words ([`super::retold`]); everything else becomes one honest message, and the log has the
//! original at level debug.

use headwater_language::diagnostic::{Diagnostic, INTERNAL, NOT_SUPPORTED, RUNTIME};

use super::retold::{known, pieces};

/// What our own code says through DataFusion's errors of plans.
const OURS: &[&str] = &[
    "operator ",
    "an array is indexed by ",
    "a map without keys and values",
    "only arrays and maps have elements",
    "'{}' is not a unit of time",
    "type \"{}\" does not exist",
    "a recursive UNION of rows with maps{}",
];

/// Whether our own code says this.
pub(super) fn is_ours(message: &str) -> bool {
    OURS.iter().any(|begins| message.starts_with(begins) || pieces(begins, message).is_some())
}

/// What only those know who know the inside: names of types, nodes and values in Rust.
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

/// A message in our words: those of [`KNOWN`], or that there are none.
pub(super) fn settle(told: &Diagnostic) -> Diagnostic {
    let known = known(&told.message).filter(|known| told.code != RUNTIME && !is_inside(&known.message));
    match known {
        Some(known) => known.at_maybe(told.span),
        None => unknown(told),
    }
}

/// Whether a message shows what is inside. What it quotes is not looked at: that may be a user's.
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

/// What is said of a message that is not known, with the same place.
pub(super) fn unknown(told: &Diagnostic) -> Diagnostic {
    tracing::debug!(code = %told.code, said = %told.message, detail = told.detail, "a message has no words of ours yet");
    let error = match told.code {
        RUNTIME => Diagnostic::new(RUNTIME, "the query failed while it was computed")
            .detail("The reason has no words for users yet; the log has it at level debug."),
        INTERNAL => Diagnostic::new(INTERNAL, "the query could not be planned or computed: an error inside")
            .hint("Please report it with the statement; the log has more at level debug."),
        _ => Diagnostic::new(NOT_SUPPORTED, "this query cannot be planned yet")
            .detail("The reason has no words for users yet; the log has it at level debug.")
            .hint("Say it in steps: WITH a AS (SELECT …), b AS (SELECT … FROM a) SELECT … FROM b."),
    };
    error.at_maybe(told.span)
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_a_users() {
        assert!(!is_inside("text \"Int64\" is no INTEGER"));
        assert!(!is_inside("column 'Field { a }' is not there"));
        assert!(is_inside("cannot cast Int64"));
        assert!(is_inside("it's a LogicalPlan"));
    }
}
