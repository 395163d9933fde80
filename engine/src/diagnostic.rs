//! What a user is told when a statement is refused: message, code, span, detail, hint.
//!
//! Diagnostics are values: the parser and the planner collect every independent one, and whoever
//! shows them sorts them by position and renders them with the text that was typed.

use std::fmt;

/// A refusal, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code, listed in [`CODES`].
    pub code: Code,
    /// A fact in one line, lower case, no full stop, names in double quotes.
    pub message: String,
    /// The smallest piece of the text that is wrong, where there is one.
    pub span: Option<Span>,
    /// What was found and what was expected, in full sentences.
    pub detail: Option<String>,
    /// Something that can be done now, best a line of SQL that works.
    pub hint: Option<String>,
}

/// A piece of the text as typed: bytes from `start` up to `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// Byte at which it starts.
    pub start: usize,
    /// Byte at which it has ended.
    pub end: usize,
}

/// A stable error code such as `K0102`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub &'static str);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Every code with its title: `K01` names and types, `K02` syntax, `K03` streaming rules,
/// `K04` topics and formats, `K09` internal.
pub const CODES: &[(Code, &str)] = &[
    (UNKNOWN_SOURCE, "a stream or table that does not exist"),
    (UNKNOWN_COLUMN, "a column that does not exist"),
    (SYNTAX, "text that is not SQL"),
    (TRANSPORT, "the cluster could not do what was asked"),
    (INTERNAL, "a fault of ours"),
];

/// A stream or table that does not exist.
pub const UNKNOWN_SOURCE: Code = Code("K0101");
/// A column that does not exist.
pub const UNKNOWN_COLUMN: Code = Code("K0102");
/// Text that is not SQL.
pub const SYNTAX: Code = Code("K0201");
/// The cluster could not do what was asked.
pub const TRANSPORT: Code = Code("K0401");
/// A fault of ours.
pub const INTERNAL: Code = Code("K0901");

impl Diagnostic {
    /// A diagnostic with a code and a message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), span: None, detail: None, hint: None }
    }

    /// The same with the piece of text that is wrong.
    pub fn at(self, span: Span) -> Self {
        Self { span: Some(span), ..self }
    }

    /// The same with what was found and expected.
    pub fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// The same with what can be done.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}
