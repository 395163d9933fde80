//! The parser as its callers see it: text in, statements or diagnostics out.

use super::ast::{Emit, StatementKind};
use super::parse;
use crate::diagnostic::{UNKNOWN_STATEMENT, render};

/// The one error of `text`, as `line:column message` with the piece it points at.
fn error(text: &str) -> String {
    let parsed = parse(text);
    let [error] = parsed.errors.as_slice() else { panic!("one error expected in {text}: {:?}", parsed.errors) };
    let piece = error.span.map_or("", |span| &text[span.start..span.end]);
    format!("[{piece}] {}", error.message)
}
