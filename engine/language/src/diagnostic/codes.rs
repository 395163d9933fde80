//! The error codes. A code never changes once it is released; its documentation is in `table`.
//!
//! `K01` names and types, `K02` syntax, `K03` streaming rules, `K04` topics and formats, `K09` internal.

use super::Code;

/// A stream or table that does not exist.
pub const UNKNOWN_SOURCE: Code = Code("K0101");
/// A column that does not exist.
pub const UNKNOWN_COLUMN: Code = Code("K0102");
/// A type that does not exist.
pub const UNKNOWN_TYPE: Code = Code("K0103");
/// A column name that is ambiguous: more than one source has it, or it would occur twice in the result.
pub const AMBIGUOUS_COLUMN: Code = Code("K0104");
/// A name that is already taken, or whose owner cannot be replaced.
pub const EXISTS: Code = Code("K0105");
/// A column declared twice.
pub const DUPLICATE_COLUMN: Code = Code("K0106");
/// A reserved name.
pub const RESERVED_NAME: Code = Code("K0107");
/// A column with the wrong role, such as PRIMARY KEY in a stream.
pub const COLUMN_ROLE: Code = Code("K0108");
/// A source without the columns it needs.
pub const MISSING_KEY: Code = Code("K0109");
/// A row that cannot be written.
pub const INSERT: Code = Code("K0110");
/// An invalid expression or query.
pub const PLAN: Code = Code("K0111");
/// A query that failed while running.
pub const RUNTIME: Code = Code("K0112");
/// A query that exceeds its memory limit.
pub const MEMORY: Code = Code("K0113");
/// A file that cannot be written.
pub const COPY: Code = Code("K0114");
/// A function that does not exist.
pub const UNKNOWN_FUNCTION: Code = Code("K0115");
/// A persistent query that does not exist.
pub const UNKNOWN_QUERY: Code = Code("K0116");
/// A stream, table or topic that is in use.
pub const IN_USE: Code = Code("K0117");
/// A read-only stream or table.
pub const READ_ONLY: Code = Code("K0118");
/// A syntax error.
pub const SYNTAX: Code = Code("K0201");
/// An unclosed string, quoted name or comment.
pub const UNCLOSED: Code = Code("K0202");
/// An unknown statement.
pub const UNKNOWN_STATEMENT: Code = Code("K0203");
/// A statement that is too large or too deeply nested.
pub const TOO_LARGE: Code = Code("K0204");
/// An invalid literal, such as a number out of range.
pub const LITERAL: Code = Code("K0205");
/// An invalid type, such as a DECIMAL without a precision.
pub const BAD_TYPE: Code = Code("K0206");
/// A misplaced clause.
pub const MISPLACED: Code = Code("K0207");
/// An undefined variable.
pub const UNDEFINED_VARIABLE: Code = Code("K0208");
/// A statement or clause that is not supported yet.
pub const NOT_SUPPORTED: Code = Code("K0301");
/// A query that cannot run continuously.
pub const STREAMING: Code = Code("K0302");
/// A key that SELECT omits or contains twice.
pub const PROJECTION_KEY: Code = Code("K0303");
/// The cluster did not carry out a request.
pub const TRANSPORT: Code = Code("K0401");
/// A topic that does not exist.
pub const UNKNOWN_TOPIC: Code = Code("K0402");
/// A topic that differs from its declaration.
pub const TOPIC_MISMATCH: Code = Code("K0403");
/// A property that does not exist.
pub const UNKNOWN_PROPERTY: Code = Code("K0404");
/// A property given twice.
pub const DUPLICATE_PROPERTY: Code = Code("K0405");
/// Conflicting properties.
pub const PROPERTY_CONFLICT: Code = Code("K0406");
/// An invalid property value.
pub const PROPERTY_VALUE: Code = Code("K0407");
/// A missing property.
pub const MISSING_PROPERTY: Code = Code("K0408");
/// A format that does not support the columns.
pub const FORMAT: Code = Code("K0409");
/// A column that cannot be the event time.
pub const TIMESTAMP_COLUMN: Code = Code("K0410");
/// Lost records, or a lost position in a log.
pub const LOST: Code = Code("K0411");
/// A damaged command topic.
pub const COMMAND_TOPIC: Code = Code("K0415");
/// A command topic written by a newer version.
pub const NEWER_COMMAND: Code = Code("K0416");
/// A topic that belongs to Headwater or Kafka.
pub const OWNED_TOPIC: Code = Code("K0417");
/// A disk that fails while state is kept on it.
pub const STATE_DISK: Code = Code("K0418");
/// An internal error.
pub const INTERNAL: Code = Code("K0901");
