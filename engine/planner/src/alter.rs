//! ALTER STREAM and ALTER TABLE: add value columns at the end.
//!
//! A source written by a query is changed by CREATE OR REPLACE of that query; a read-only source cannot be changed.

use headwater_formats::record::Side;
use headwater_language::catalog::Catalog;
use headwater_language::definition::{ColumnDef, ColumnRole, SourceDef};
use headwater_language::diagnostic::{
    COLUMN_ROLE, DUPLICATE_COLUMN, Diagnostic, FORMAT, IN_USE, READ_ONLY, RESERVED_NAME, UNKNOWN_SOURCE,
};
use headwater_language::sql::ast;

use super::define::{RESERVED, source_kind};
use super::types::resolve;

/// The source with its new columns. Returns all errors at once.
pub fn alter(alter: &ast::AlterSource, text: &str, catalog: &Catalog) -> Result<SourceDef, Vec<Diagnostic>> {
    let standing = standing(alter, catalog)?;
    let mut errors = Vec::new();
    let mut altered = SourceDef { statement: text.to_owned(), ..standing.clone() };
    for column in &alter.columns {
        check(column, &altered, &mut errors);
        match resolve(&column.ty, catalog) {
            Ok(ty) => {
                altered.columns.push(ColumnDef { name: column.name.value.clone(), ty, role: ColumnRole::Value });
            }
            Err(error) => errors.push(*error),
        }
    }
    match altered.value.schema.as_ref().map(|schema| schema.id) {
        Some(None) => {
            let message =
                format!("cannot alter \"{}\": its columns come from the schema in its declaration", altered.name);
            errors.push(Diagnostic::new(FORMAT, message).at(alter.name.span));
        }
        // The next writer registers the schema of what it writes.
        Some(Some(_)) => altered.value.schema = None,
        None => {}
    }
    altered.value.wrapped |= altered.columns_of(&ColumnRole::Value).count() > 1;
    let layout = altered.layout(&altered.value, &ColumnRole::Value);
    if errors.is_empty()
        && let Ok(format) = altered.format_of(&altered.value, &ColumnRole::Value)
        && let Err(error) = format.check(&layout, Side::Value)
    {
        errors.push(Diagnostic::new(FORMAT, error.to_string()).at(alter.name.span));
    }
    if errors.is_empty() { Ok(altered) } else { Err(errors) }
}

/// The source to change, if it may be changed.
fn standing<'a>(alter: &ast::AlterSource, catalog: &'a Catalog) -> Result<&'a SourceDef, Vec<Diagnostic>> {
    let (kind, name, span) = (source_kind(alter.kind), alter.name.value.as_str(), alter.name.span);
    let refuse = |code, message: String| vec![Diagnostic::new(code, message).at(span)];
    let Some(source) = catalog.source(name) else {
        return Err(refuse(UNKNOWN_SOURCE, format!("{} \"{name}\" does not exist", kind.word())));
    };
    if source.kind != kind {
        let found = source.kind.word();
        let error = Diagnostic::new(UNKNOWN_SOURCE, format!("\"{name}\" is a {found}, not a {}", kind.word())).at(span);
        return Err(vec![error.hint(format!("ALTER {} {name} ADD COLUMN …;", found.to_uppercase()))]);
    }
    if source.read_only {
        let message = format!("cannot alter {} \"{name}\": it was declared with SOURCE", kind.word());
        return Err(refuse(READ_ONLY, message));
    }
    if let Some(query) = catalog.query_behind(name) {
        let message = format!("cannot alter \"{name}\": its columns come from query {}", query.id);
        let error = Diagnostic::new(IN_USE, message).at(span);
        return Err(vec![error.hint(format!("CREATE OR REPLACE {} {name} AS SELECT …;", kind.word().to_uppercase()))]);
    }
    Ok(source)
}

fn check(column: &ast::ColumnDef, altered: &SourceDef, errors: &mut Vec<Diagnostic>) {
    let name = column.name.value.as_str();
    if RESERVED.contains(&name) {
        errors.push(Diagnostic::new(RESERVED_NAME, format!("column name \"{name}\" is reserved")).at(column.name.span));
    }
    if altered.column(name).is_some() {
        let message = format!("\"{}\" already has a column \"{name}\"", altered.name);
        errors.push(Diagnostic::new(DUPLICATE_COLUMN, message).at(column.name.span));
    }
    if column.role.value != ast::ColumnRole::Value {
        let message = format!("column \"{name}\" can only be a value column: keys and headers cannot be altered");
        errors.push(Diagnostic::new(COLUMN_ROLE, message).at(column.role.span));
    }
}
