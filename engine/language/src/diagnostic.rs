//! The errors that users see when a statement is refused: message, code, span, detail and hint.
//!
//! Diagnostics are values: the parser and the planner collect all independent ones, and they are rendered, together
//! with the text of the statement, where they are shown ([`render()`]).

mod codes;
mod render;
mod shortened;
mod table;
mod unfit;

use std::fmt;

use serde::{Serialize, Serializer};

pub use codes::*;
pub use render::render;
pub use shortened::shortened;
pub use table::{CODES, CodeEntry, Example, PRELUDE};
pub use unfit::format_refusal;

/// One error in a statement; a statement may have several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code, listed in [`CODES`].
    pub code: Code,
    /// A fact in one line, lower case, no full stop, names in double quotes.
    pub message: String,
    /// The smallest part of the text that is wrong, if there is one.
    pub span: Option<Span>,
    /// What was found and what was expected, in full sentences.
    pub detail: Option<String>,
    /// What the user can do now, ideally a line of SQL that works.
    pub hint: Option<String>,
    /// True if the statement may be correct, but the cluster could not be reached.
    pub unreachable: bool,
}

/// A part of the text as typed: the bytes from `start` up to `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last one.
    pub end: usize,
}

/// A stable error code such as `K0102`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub &'static str);

/// A diagnostic in machine-readable form, with the statement it refers to.
#[derive(Clone, Debug, Serialize)]
pub struct Report<'a> {
    /// Stable code.
    pub code: Code,
    /// A fact in one line.
    pub message: &'a str,
    /// Bytes of the statement that are wrong.
    pub span: Option<Span>,
    /// What was found and expected.
    pub detail: Option<&'a str>,
    /// What can be done.
    pub hint: Option<&'a str>,
    /// The text that was typed.
    pub statement: &'a str,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl Diagnostic {
    /// A diagnostic with a code and a message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), span: None, detail: None, hint: None, unreachable: false }
    }

    /// Adds the part of the text that is wrong.
    pub fn at(self, span: Span) -> Self {
        Self { span: Some(span), ..self }
    }

    /// Adds the part of the text that is wrong, if it is known.
    pub fn at_maybe(self, span: Option<Span>) -> Self {
        Self { span, ..self }
    }

    /// Adds what was found and what was expected.
    pub fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// Adds what the user can do.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Adds the nearest of `names` as a hint, if one is near enough.
    pub fn nearest_of<'a>(self, name: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(name, names) {
            Some(near) => self.hint(format!("Did you mean \"{near}\"?")),
            None => self,
        }
    }

    /// The machine-readable form, with the text that was typed.
    pub fn report<'a>(&'a self, statement: &'a str) -> Report<'a> {
        Report {
            code: self.code,
            message: &self.message,
            span: self.span,
            detail: self.detail.as_deref(),
            hint: self.hint.as_deref(),
            statement,
        }
    }
}

/// Writes only the code and the message, in one line.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Diagnostic {}

/// The hint for a name that exists in another case: names without quotes are converted to upper case.
pub fn other_case(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    match plain {
        true => format!("Did you mean {name}, without quotes?"),
        false => format!("Did you mean `{name}`? Its name must be quoted."),
    }
}

/// The candidate nearest to a misspelt name, ignoring case, if the distance is at most half of the name's length (one
/// letter for a name of at most four letters). Of several candidates, it is the first.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_uppercase();
    let allowed = match name.chars().count() {
        length @ 0..=4 => (length / 2).min(1),
        length => length / 2,
    };
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&name, &candidate.to_uppercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_within_half_its_length() {
        assert_eq!(nearest("PRIC", ["ID", "PRICE", "QTY"]), Some("PRICE"));
        assert_eq!(nearest("selct", ["INSERT", "SELECT"]), Some("SELECT"));
        assert_eq!(nearest("X", ["Y"]), None);
        assert_eq!(nearest("CUSTOMER", ["ORDERS", "ITEMS"]), None);
    }

    #[test]
    fn a_report_has_every_field() {
        let error = Diagnostic::new(SYNTAX, "no").at(Span { start: 1, end: 2 }).hint("yes");
        let json = serde_json::to_string(&error.report("a b")).expect("plain data");
        let expected = r#"{"code":"K0201","message":"no","span":{"start":1,"end":2},"detail":null,"hint":"yes","statement":"a b"}"#;
        assert_eq!(json, expected);
    }

    #[test]
    fn codes_are_distinct_and_in_order() {
        assert!(CODES.windows(2).all(|pair| pair[0].code < pair[1].code));
        let declared = include_str!("diagnostic/codes.rs").matches("pub const").count();
        assert_eq!(CODES.len(), declared, "a code is not in the table");
    }
}
