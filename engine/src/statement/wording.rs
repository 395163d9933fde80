//! Sentences of answers that several statements have in common.

use super::Answered;
use crate::answer::Answer;
use headwater_language::diagnostic::{Diagnostic, NOT_SUPPORTED, Span};

/// An error, or the same as a warning where the statement forgives it (IF EXISTS, IF NOT EXISTS).
pub(super) fn unless_forgiven(forgiven: bool, error: Diagnostic) -> Answered {
    match forgiven {
        true => Ok(Answer::warning(format!("{}; nothing was done", error.message))),
        false => Err(vec![error]),
    }
}

/// Something was not created because it exists and the statement says IF NOT EXISTS.
pub(super) fn exists_already(kind: &str, name: &str) -> Answer {
    Answer::warning(format!("{kind} \"{name}\" exists already; nothing was done"))
}

/// A word that begins a sentence.
pub(super) fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// The error of something that Headwater does not do yet.
pub(super) fn not_supported(what: &str, span: Span) -> Diagnostic {
    Diagnostic::new(NOT_SUPPORTED, format!("{what} not supported yet")).at(span)
}
