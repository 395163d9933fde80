//! The codes: what can be wrong. They are stable once released; what there is to say of each is in `table`.
//!
//! `K01` names and types, `K02` syntax, `K03` streaming rules, `K04` topics and formats, `K09` internal.

use super::Code;

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
/// A stream, table or topic that others need.
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
/// Records, or a place in a log, that are gone.
pub const LOST: Code = Code("K0411");
/// A command topic that is damaged.
pub const COMMAND_TOPIC: Code = Code("K0415");
/// A command topic that a newer version has written to.
pub const NEWER_COMMAND: Code = Code("K0416");
/// A topic that belongs to Headwater or Kafka.
pub const OWNED_TOPIC: Code = Code("K0417");
/// A fault of ours.
pub const INTERNAL: Code = Code("K0901");
