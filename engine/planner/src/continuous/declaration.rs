//! The declaration of the stream or table that `CREATE … AS SELECT` creates, in the form that a user would have written
//! it, so that names, formats and topic are checked in one place.

use headwater_formats::format::Presence;
use headwater_language::definition::SourceDef;
use headwater_language::diagnostic::{Diagnostic, PROPERTY_CONFLICT, Span};
use headwater_language::sql::ast;
use headwater_language::topology::ResultColumn;

use super::lowering::Lowered;

/// The declaration of the stream that a query creates.
pub fn of(
    create: &ast::CreateAs,
    mut properties: Vec<ast::Property>,
    source: &SourceDef,
    lowered: &Lowered,
    topic_prefix: &str,
) -> ast::CreateSource {
    let whole = create.name.span;
    let column = |(column, span): (&ResultColumn, &Option<Span>)| {
        let span = span.unwrap_or(whole);
        let role = match (column.key, create.kind) {
            (true, ast::SourceKind::Stream) => ast::ColumnRole::Key,
            (true, ast::SourceKind::Table) => ast::ColumnRole::PrimaryKey,
            (false, _) => ast::ColumnRole::Value,
        };
        ast::ColumnDef {
            name: ast::Spanned::new(column.name.clone(), span),
            ty: ast::Spanned::new(column.ty.clone(), span),
            role: ast::Spanned::new(role, span),
        }
    };
    let columns = lowered.projection.columns.iter().zip(&lowered.spans).map(column).collect();
    let has_key = lowered.projection.columns.iter().any(|c| c.key);
    inherit(&mut properties, source, &create.name, has_key, topic_prefix);
    ast::CreateSource {
        or_replace: create.or_replace,
        read_only: false,
        kind: create.kind,
        if_not_exists: create.if_not_exists,
        name: create.name.clone(),
        columns,
        properties,
    }
}

/// Checks that a result without a key has no key format.
pub fn check_keyless(properties: &[ast::Property], lowered: &Lowered) -> Result<(), Vec<Diagnostic>> {
    let said = properties.iter().find(|p| p.name.eq_ignore_ascii_case("KEY_FORMAT"));
    let is_none = |text: &ast::Literal| matches!(text, ast::Literal::String(text) if text.eq_ignore_ascii_case("NONE"));
    match said.filter(|said| !is_none(&said.value.value) && !lowered.projection.columns.iter().any(|c| c.key)) {
        None => Ok(()),
        Some(said) => {
            let message = "property \"KEY_FORMAT\" is not allowed: the result has no key column";
            let error = Diagnostic::new(PROPERTY_CONFLICT, message).at(said.name.span);
            Err(vec![error.hint("Remove it, write 'NONE', or create a key with PARTITION BY.")])
        }
    }
}

/// Adds what WITH does not set: formats as in the source, and a topic named after the stream, with the prefix that is
/// set.
fn inherit(
    properties: &mut Vec<ast::Property>,
    source: &SourceDef,
    name: &ast::Name,
    has_key: bool,
    topic_prefix: &str,
) {
    let said = |properties: &[ast::Property], wanted: &str| {
        let found = properties.iter().find(|p| p.name.eq_ignore_ascii_case(wanted));
        found.map(|p| match &p.value.value {
            ast::Literal::String(text) => text.to_uppercase(),
            _ => String::new(),
        })
    };
    let add = |properties: &mut Vec<ast::Property>, property: &str, value: &str| {
        let value = ast::Spanned::new(ast::Literal::String(value.to_owned()), name.span);
        properties.push(ast::Property { name: ast::Spanned::new(property.to_owned(), name.span), value });
    };
    let both = said(properties, "FORMAT");
    if said(properties, "KAFKA_TOPIC").is_none() {
        add(properties, "KAFKA_TOPIC", &format!("{topic_prefix}{}", name.value));
    }
    let sides = [("KEY", &source.key), ("VALUE", &source.value)];
    for (side, def) in sides {
        let (format, delimiter) = (format!("{side}_FORMAT"), format!("{side}_DELIMITER"));
        let chosen = said(properties, &format).or_else(|| both.clone());
        let inherited = side == "VALUE" || (has_key && def.format != "NONE");
        if chosen.is_none() && inherited {
            add(properties, &format, &def.format);
        } else if chosen.is_none() && side == "KEY" && !has_key {
            add(properties, &format, "NONE");
        }
        let same = chosen.is_none_or(|chosen| chosen == def.format) && inherited;
        if same && def.format == "DELIMITED" && said(properties, &delimiter).is_none() {
            add(properties, &delimiter, &delimiter_name(def.delimiter));
        }
        let presence = format!("{side}_PROTOBUF_NULLABLE_REPRESENTATION");
        if same && def.presence != Presence::Implicit && said(properties, &presence).is_none() {
            add(properties, &presence, &def.presence.to_string());
        }
    }
}

/// Key columns whose names PARTITION BY generated.
pub fn natural(lowered: &Lowered) -> Vec<&str> {
    let made = |column: &&ResultColumn| lowered.projection.rekeyed && column.key && column.name == column.expr;
    lowered.projection.columns.iter().filter(made).map(|column| column.name.as_str()).collect()
}

/// A delimiter as it is written in WITH.
fn delimiter_name(delimiter: u8) -> String {
    match delimiter {
        b' ' => "SPACE".to_owned(),
        b'\t' => "TAB".to_owned(),
        other => char::from(other).to_string(),
    }
}
