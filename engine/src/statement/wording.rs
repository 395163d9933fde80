//! Answers and errors that several statements share.

use headwater_language::diagnostic::{Diagnostic, NOT_SUPPORTED, Span};

use super::Answered;
use crate::answer::Answer;

/// An error, or a warning if the statement allows it (IF EXISTS, IF NOT EXISTS).
pub(super) fn unless_forgiven(forgiven: bool, error: Diagnostic) -> Answered {
    match forgiven {
        true => Ok(Answer::warning(format!("{}; nothing was done", error.message))),
        false => Err(vec![error]),
    }
}

/// The answer to IF NOT EXISTS when something already exists.
pub(super) fn exists_already(kind: &str, name: &str) -> Answer {
    Answer::warning(format!("{kind} \"{name}\" already exists; nothing was done"))
}

/// A word with a capital first letter.
pub(super) fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// The error for something that is not supported yet.
pub(super) fn not_supported(what: &str, span: Span) -> Diagnostic {
    Diagnostic::new(NOT_SUPPORTED, format!("{what} not supported yet")).at(span)
}
