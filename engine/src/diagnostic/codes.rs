//! The codes: what can be wrong, each with a title and an example. They are stable once released.
//!
//! `K01` names and types, `K02` syntax, `K03` streaming rules, `K04` topics and formats, `K09` internal.

use super::Code;

/// A row of the page of codes.
#[derive(Clone, Copy, Debug)]
pub struct CodeEntry {
    /// The code.
    pub code: Code,
    /// What it means, as a heading.
    pub title: &'static str,
    /// A statement that is refused with it.
    pub example: &'static str,
}

/// A stream or table that does not exist.
pub const UNKNOWN_SOURCE: Code = Code("K0101");
/// A column that does not exist.
pub const UNKNOWN_COLUMN: Code = Code("K0102");
/// A word, number or symbol where another was expected.
pub const SYNTAX: Code = Code("K0201");
/// A string, quoted name or comment without an end.
pub const UNCLOSED: Code = Code("K0202");
/// A statement that begins with no known word.
pub const UNKNOWN_STATEMENT: Code = Code("K0203");
/// A statement too large or too deep to read.
pub const TOO_LARGE: Code = Code("K0204");
/// A number that is out of range.
pub const LITERAL: Code = Code("K0205");
/// A type that does not exist in this form.
pub const BAD_TYPE: Code = Code("K0206");
/// A clause where it cannot stand.
pub const MISPLACED: Code = Code("K0207");
/// A variable without a value.
pub const UNDEFINED_VARIABLE: Code = Code("K0208");
/// The cluster could not do what was asked.
pub const TRANSPORT: Code = Code("K0401");
/// A fault of ours.
pub const INTERNAL: Code = Code("K0901");

/// Every code, in order.
pub const CODES: &[CodeEntry] = &[
    entry(UNKNOWN_SOURCE, "a stream or table that does not exist", "SELECT * FROM nowhere;"),
    entry(UNKNOWN_COLUMN, "a column that does not exist", "SELECT pric FROM orders;"),
    entry(SYNTAX, "a word, number or symbol where another was expected", "SELECT id FORM orders;"),
    entry(UNCLOSED, "a string, quoted name or comment without an end", "SELECT 'abc FROM orders;"),
    entry(UNKNOWN_STATEMENT, "a statement that begins with no known word", "SELCT id FROM orders;"),
    entry(TOO_LARGE, "a statement too large or too deep to read", "SELECT ((((… more than 100 deep …))));"),
    entry(LITERAL, "a number that is out of range", "SELECT 9223372036854775808;"),
    entry(
        BAD_TYPE,
        "a type that does not exist in this form",
        "CREATE STREAM s (price DECIMAL) WITH (kafka_topic = 's');",
    ),
    entry(MISPLACED, "a clause where it cannot stand", "SELECT * FROM (SELECT * FROM orders EMIT CHANGES);"),
    entry(UNDEFINED_VARIABLE, "a variable without a value", "SELECT * FROM ${source};"),
    entry(TRANSPORT, "the cluster could not do what was asked", "PRINT orders; -- with the cluster down"),
    entry(INTERNAL, "a fault of ours", "none: please report it"),
];

const fn entry(code: Code, title: &'static str, example: &'static str) -> CodeEntry {
    CodeEntry { code, title, example }
}
