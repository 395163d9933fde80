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
/// A type that does not exist.
pub const UNKNOWN_TYPE: Code = Code("K0103");
/// A column that is in more than one source, or comes out twice.
pub const AMBIGUOUS_COLUMN: Code = Code("K0104");
/// A name that is taken, or cannot be taken over.
pub const EXISTS: Code = Code("K0105");
/// A column declared twice.
pub const DUPLICATE_COLUMN: Code = Code("K0106");
/// A name that no column may have.
pub const RESERVED_NAME: Code = Code("K0107");
/// A column that cannot be what it is declared to be.
pub const COLUMN_ROLE: Code = Code("K0108");
/// A source without the columns it needs.
pub const MISSING_KEY: Code = Code("K0109");
/// A row that cannot be written.
pub const INSERT: Code = Code("K0110");
/// An expression or query that has no meaning.
pub const PLAN: Code = Code("K0111");
/// A query that failed while it ran.
pub const RUNTIME: Code = Code("K0112");
/// A query that needs more memory than it may have.
pub const MEMORY: Code = Code("K0113");
/// A file that cannot be written.
pub const COPY: Code = Code("K0114");
/// A function that does not exist.
pub const UNKNOWN_FUNCTION: Code = Code("K0115");
/// A persistent query that does not exist.
pub const UNKNOWN_QUERY: Code = Code("K0116");
/// A stream or table that queries read or write.
pub const IN_USE: Code = Code("K0117");
/// A stream or table that may not be changed.
pub const READ_ONLY: Code = Code("K0118");
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
/// A statement or clause that is not built yet.
pub const NOT_SUPPORTED: Code = Code("K0301");
/// A query that cannot be continuous as it is.
pub const STREAMING: Code = Code("K0302");
/// A key that SELECT leaves out or has twice.
pub const PROJECTION_KEY: Code = Code("K0303");
/// The cluster could not do what was asked.
pub const TRANSPORT: Code = Code("K0401");
/// A topic that does not exist.
pub const UNKNOWN_TOPIC: Code = Code("K0402");
/// A topic that exists otherwise than declared.
pub const TOPIC_MISMATCH: Code = Code("K0403");
/// A property that does not exist.
pub const UNKNOWN_PROPERTY: Code = Code("K0404");
/// A property given twice.
pub const DUPLICATE_PROPERTY: Code = Code("K0405");
/// Properties that do not go together.
pub const PROPERTY_CONFLICT: Code = Code("K0406");
/// A property with a value it does not take.
pub const PROPERTY_VALUE: Code = Code("K0407");
/// A property that is missing.
pub const MISSING_PROPERTY: Code = Code("K0408");
/// A format that cannot do what it shall.
pub const FORMAT: Code = Code("K0409");
/// A column that cannot be the event time.
pub const TIMESTAMP_COLUMN: Code = Code("K0410");
/// A fault of ours.
pub const INTERNAL: Code = Code("K0901");

/// Every code, in order.
pub const CODES: &[CodeEntry] = &[
    entry(UNKNOWN_SOURCE, "a stream or table that does not exist", "SELECT * FROM nowhere;"),
    entry(UNKNOWN_COLUMN, "a column that does not exist", "SELECT pric FROM orders;"),
    entry(UNKNOWN_TYPE, "a type that does not exist", "CREATE TYPE t AS ADRESS;"),
    entry(
        AMBIGUOUS_COLUMN,
        "a column that could be of more than one source",
        "SELECT id FROM a JOIN b ON a.id = b.id;",
    ),
    entry(EXISTS, "a name that is taken", "CREATE STREAM orders (…) WITH (…); -- twice"),
    entry(DUPLICATE_COLUMN, "a column declared twice", "CREATE STREAM s (id INT, id INT) WITH (…);"),
    entry(RESERVED_NAME, "a name that no column may have", "CREATE STREAM s (rowtime BIGINT) WITH (…);"),
    entry(
        COLUMN_ROLE,
        "a column that cannot be what it is declared to be",
        "CREATE STREAM s (id INT PRIMARY KEY) WITH (…);",
    ),
    entry(MISSING_KEY, "a source without the columns it needs", "CREATE TABLE t (v INT) WITH (…);"),
    entry(INSERT, "a row that cannot be written", "INSERT INTO orders (id) VALUES ('x', 1);"),
    entry(PLAN, "an expression or query that has no meaning", "SELECT id + TRUE FROM orders;"),
    entry(RUNTIME, "a query that failed while it ran", "SELECT 1 / 0;"),
    entry(MEMORY, "a query that needs more memory than it may have", "SELECT ARRAY_AGG(url) FROM bids;"),
    entry(COPY, "a file that cannot be written", "COPY (SELECT 1) TO '/no/such/place.csv';"),
    entry(UNKNOWN_FUNCTION, "a function that does not exist", "SELECT COUNTT(*) FROM orders;"),
    entry(UNKNOWN_QUERY, "a persistent query that does not exist", "TERMINATE CSAS_PAID_7;"),
    entry(IN_USE, "a stream or table that queries read or write", "DROP STREAM orders; -- while a query reads it"),
    entry(READ_ONLY, "a stream or table that may not be changed", "ALTER TABLE t ADD COLUMN c INT; -- a SOURCE table"),
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
    entry(
        NOT_SUPPORTED,
        "a statement or clause that is not built yet",
        "CREATE TABLE t AS SELECT id, COUNT(*) FROM orders GROUP BY id;",
    ),
    entry(STREAMING, "a query that cannot be continuous as it is", "SELECT * FROM orders EMIT FINAL;"),
    entry(PROJECTION_KEY, "a key that SELECT leaves out or has twice", "CREATE STREAM s AS SELECT item FROM orders;"),
    entry(TRANSPORT, "the cluster could not do what was asked", "PRINT orders; -- with the cluster down"),
    entry(UNKNOWN_TOPIC, "a topic that does not exist", "PRINT nothing;"),
    entry(
        TOPIC_MISMATCH,
        "a topic that exists otherwise than declared",
        "CREATE STREAM s (v INT) WITH (KAFKA_TOPIC='t', PARTITIONS=9, …);",
    ),
    entry(UNKNOWN_PROPERTY, "a property that does not exist", "SET 'auto.ofset.reset' = 'earliest';"),
    entry(DUPLICATE_PROPERTY, "a property given twice", "… WITH (KAFKA_TOPIC='a', KAFKA_TOPIC='b');"),
    entry(PROPERTY_CONFLICT, "properties that do not go together", "… WITH (FORMAT='JSON', VALUE_FORMAT='JSON');"),
    entry(PROPERTY_VALUE, "a property with a value it does not take", "… WITH (PARTITIONS='many');"),
    entry(MISSING_PROPERTY, "a property that is missing", "CREATE STREAM s (v INT) WITH (VALUE_FORMAT='JSON');"),
    entry(
        FORMAT,
        "a format that cannot do what it shall",
        "CREATE STREAM s (a INT, b INT) WITH (VALUE_FORMAT='KAFKA', …);",
    ),
    entry(TIMESTAMP_COLUMN, "a column that cannot be the event time", "… WITH (TIMESTAMP='NAME', …);"),
    entry(INTERNAL, "a fault of ours", "none: please report it"),
];

const fn entry(code: Code, title: &'static str, example: &'static str) -> CodeEntry {
    CodeEntry { code, title, example }
}
