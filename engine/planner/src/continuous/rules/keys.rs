//! The key of the result: PARTITION BY, and the key columns that SELECT must contain if the result is written to a
//! topic.

use headwater_language::diagnostic::{Diagnostic, PROJECTION_KEY, STREAMING};
use headwater_language::sql::print;

use crate::continuous::key::{self, Key, Part};
use crate::continuous::query::Streaming;
use crate::continuous::scope::span_of;
use crate::define::ROWHEADERS;

/// PARTITION BY contains each expression once, or only NULL.
pub fn partition_by(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    let Some(list) = &query.query.partition_by else { return };
    if list.value.iter().any(key::is_null) {
        if list.value.len() > 1 {
            let message = "NULL must be the only expression in PARTITION BY: it removes the key";
            errors.push(Diagnostic::new(STREAMING, message).at(list.span));
        }
        return;
    }
    let mut seen: Vec<String> = Vec::new();
    for expr in &list.value {
        let text = print::expr(&query.scope.lowered(expr));
        if seen.contains(&text) {
            let message = format!("\"{text}\" appears twice in PARTITION BY");
            errors.push(Diagnostic::new(STREAMING, message).at(span_of(expr, list.span)));
        } else {
            seen.push(text);
        }
    }
}

/// If the result is written to a topic, SELECT contains each part of its key exactly once.
pub fn selected_once(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    if query.purpose.sink().is_none() {
        return;
    }
    let key = Key::of(query);
    errors.extend(missing(query, &key));
    errors.extend(key.parts.iter().filter_map(|part| repeated(query, part)));
}

/// The first part of the key that SELECT lacks; the message names the others.
fn missing(query: &Streaming<'_>, key: &Key) -> Option<Diagnostic> {
    let part = key.parts.iter().find(|part| part.items.is_empty())?;
    let message = format!("{} is missing from SELECT", part.subject);
    let hint = format!("Write SELECT {}, …{}.", key.example, key.alternative);
    Some(Diagnostic::new(PROJECTION_KEY, message).at(query.span()).detail(key.reason.as_str()).hint(hint))
}

fn repeated(query: &Streaming<'_>, part: &Part) -> Option<Diagnostic> {
    let [first, second, ..] = part.items[..] else { return None };
    let [first, second] = [first, second].map(|at| &query.items[at]);
    let message =
        format!("{} appears more than once in SELECT, as \"{}\" and \"{}\"", part.repeated, first.name, second.name);
    let hint = format!("Copy it into the value with AS_VALUE({}).", part.text);
    Some(Diagnostic::new(PROJECTION_KEY, message).at(second.span.unwrap_or(query.span())).hint(hint))
}

/// If the result is written to a topic, it has value columns besides its key.
pub fn values(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    let Some(sink) = query.purpose.sink() else { return };
    let key = Key::of(query);
    let is_value = |(at, name): (usize, &str)| name != ROWHEADERS && key.rank(at).is_none();
    if !query.items.iter().map(|item| item.name.as_str()).enumerate().any(is_value) {
        let message = format!("SELECT contains only the key of \"{sink}\" and no value column");
        errors.push(Diagnostic::new(STREAMING, message).at(query.span()));
    }
}
