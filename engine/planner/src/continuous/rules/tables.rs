//! What is not allowed for tables and windowed sources, and what CREATE and INSERT INTO require.

use headwater_language::definition::SourceKind;
use headwater_language::diagnostic::{Diagnostic, STREAMING};

use crate::continuous::query::{Purpose, Streaming};
use crate::define::source_kind;

/// Rows of a table and of a windowed source keep their key.
pub fn partition_by(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    let Some(list) = &query.query.partition_by else { return };
    if query.is_joined() && query.reads_tables() {
        let message = "PARTITION BY is only for streams, but a join of tables is a table";
        errors.push(Diagnostic::new(STREAMING, message).at(list.span));
    }
    // Of sources that are joined, all are windowed or none.
    let source = &query.first().source;
    let why = match (source.kind, source.window) {
        (SourceKind::Table, _) if !query.is_joined() => "is a table",
        (SourceKind::Stream, Some(_)) => "has windows in its keys",
        _ => return,
    };
    let message = format!("PARTITION BY is only for streams without windows, but \"{}\" {why}", source.name);
    errors.push(Diagnostic::new(STREAMING, message).at(list.span));
}

/// Rows of a windowed table cannot be written to another topic, and neither can their groups.
pub fn windowed(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    if !query.reads_tables() || query.purpose.sink().is_none() {
        return;
    }
    let mut sources = query.scope.members.iter().map(|member| &member.source);
    if let Some(source) = sources.find(|source| source.window.is_some()) {
        let name = &source.name;
        let message =
            format!("\"{name}\" is a windowed table: its rows can be shown, but not written to another topic");
        let error = Diagnostic::new(STREAMING, message).at(query.span());
        let hint = "Group them while they are shown, with SELECT … EMIT CHANGES, or in a query without EMIT.";
        errors.push(if query.is_grouped() { error.hint(hint) } else { error });
    }
}

/// A row of a table cannot become several rows, which would have the same key.
pub fn table_functions(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    if !query.reads_tables() || query.is_grouped() {
        return;
    }
    let what = query.only_source().map_or("a join of tables".to_owned(), |source| format!("\"{}\"", source.name));
    for (name, span) in query.items.iter().flat_map(|item| query.table_functions_in(&item.expr)) {
        let message = format!("table function {name} is only for streams, but {what} is a table");
        errors.push(Diagnostic::new(STREAMING, message).at(span));
    }
}

/// CREATE STREAM needs a query that gives a stream, CREATE TABLE one that gives a table.
pub fn created(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    let Purpose::Create(create) = query.purpose else { return };
    let (found, wanted) = (query.kind(), source_kind(create.kind));
    if wanted != found {
        let (given, said) = (found.word().to_uppercase(), wanted.word().to_uppercase());
        let message = format!("the result of this SELECT is a {given}, not a {said}");
        let error = Diagnostic::new(STREAMING, message).at(create.name.span);
        errors.push(error.hint(format!("Use CREATE {given} {} AS SELECT ….", create.name.value)));
    }
}

/// INSERT INTO … SELECT accepts only the rows of a stream.
pub fn inserted(query: &Streaming<'_>, errors: &mut Vec<Diagnostic>) {
    if matches!(query.purpose, Purpose::Insert(_)) && query.reads_tables() && !query.is_grouped() {
        let what = query.only_source().map_or("a join of tables".to_owned(), |source| format!("\"{}\"", source.name));
        let message = format!("{what} is a table: INSERT INTO … SELECT can only read a stream");
        errors.push(Diagnostic::new(STREAMING, message).at(query.span()));
    }
}
