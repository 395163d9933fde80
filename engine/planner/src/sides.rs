//! The formats of a declaration's keys and values: which they are, what they support, and how a single value is
//! encoded.

use headwater_formats::format::FormatKind;
use headwater_formats::record::Side;
use headwater_language::definition::{ColumnDef, ColumnRole, SideDef, SourceDef, SourceKind};
use headwater_language::diagnostic::{Diagnostic, FORMAT, PROPERTY_CONFLICT, format_refusal};
use headwater_language::sql::ast;
use headwater_language::types::SqlType;

use super::define::{FormatDefaults, missing};
use super::properties::SourceProperties;

/// The formats of keys and values, if both are known.
pub(super) fn sides(
    create: &ast::CreateSource,
    properties: &SourceProperties,
    columns: &[ColumnDef],
    defaults: &FormatDefaults,
    errors: &mut Vec<Diagnostic>,
) -> Option<(SideDef, SideDef)> {
    let has_key = columns.iter().any(|c| c.role == ColumnRole::Key);
    let default_key = if has_key { defaults.key.clone() } else { "NONE".to_owned() };
    let here = |name: String| ast::Spanned::new(name, create.name.span);
    let key = properties.key_format.clone().unwrap_or_else(|| here(default_key));
    check_keys(create, columns, errors);
    let value = properties.value_format.clone().or_else(|| defaults.value.clone().map(here));
    let value = value.or_else(|| missing(create, "VALUE_FORMAT", "VALUE_FORMAT='JSON'", errors));
    let key = side(&key, properties.key_delimiter.as_ref(), "KEY_DELIMITER", false, columns, Side::Key, errors);
    let wrapped = wrapping(properties, defaults, columns, value.as_ref(), errors);
    let value =
        side(&value?, properties.value_delimiter.as_ref(), "VALUE_DELIMITER", wrapped, columns, Side::Value, errors);
    Some((key?, value?))
}

/// Whether the value is written as a record with fields.
fn wrapping(
    properties: &SourceProperties,
    defaults: &FormatDefaults,
    columns: &[ColumnDef],
    format: Option<&ast::Spanned<String>>,
    errors: &mut Vec<Diagnostic>,
) -> bool {
    let values = columns.iter().filter(|c| c.role == ColumnRole::Value).count();
    let natural = values != 1 || format.is_some_and(|f| f.value == "JSON");
    let Some(said) = &properties.wrap_single_value else {
        let json = format.is_some_and(|f| f.value == "JSON");
        return if values == 1 && json { defaults.wrap_single_values.unwrap_or(natural) } else { natural };
    };
    let mut refuse = |message: String| {
        errors.push(Diagnostic::new(PROPERTY_CONFLICT, message).at(said.span));
        natural
    };
    if values != 1 {
        return refuse(format!("property \"WRAP_SINGLE_VALUE\" is for a single value column, but there are {values}"));
    }
    match format.map(|format| (format.value.as_str(), said.value)) {
        Some((name @ ("DELIMITED" | "KAFKA" | "NONE"), true)) => refuse(format!(
            "format {name} cannot have \"WRAP_SINGLE_VALUE\" = true: it does not support records with fields"
        )),
        Some((name @ ("PROTOBUF" | "PROTOBUF_NOSR"), false)) => refuse(format!(
            "format {name} cannot have \"WRAP_SINGLE_VALUE\" = false: it supports only records with fields"
        )),
        _ => said.value,
    }
}

/// Checks that no key contains a MAP, in any format: the entries of a map have no order, so equal keys could differ.
fn check_keys(create: &ast::CreateSource, columns: &[ColumnDef], errors: &mut Vec<Diagnostic>) {
    for column in columns.iter().filter(|c| c.role == ColumnRole::Key && contains_map(&c.ty)) {
        let message = map_in_key(&column.name, &column.ty);
        let declared = create.columns.iter().find(|c| c.name.value == column.name);
        let span = declared.map_or(create.name.span, |c| c.ty.span);
        errors.push(Diagnostic::new(FORMAT, message).at(span));
    }
}

/// The message for a key column with a MAP in it.
pub(super) fn map_in_key(name: &str, ty: &SqlType) -> String {
    format!("key column \"{name}\" has the type {ty}: a key cannot contain a MAP")
}

/// Whether a type contains a MAP.
pub fn contains_map(ty: &SqlType) -> bool {
    match ty {
        SqlType::Map(..) => true,
        SqlType::Array(item) => contains_map(item),
        SqlType::Struct(fields) => fields.iter().any(|field| contains_map(&field.ty)),
        _ => false,
    }
}

fn side(
    format: &ast::Spanned<String>,
    delimiter: Option<&ast::Spanned<u8>>,
    delimiter_name: &str,
    wrapped: bool,
    columns: &[ColumnDef],
    side: Side,
    errors: &mut Vec<Diagnostic>,
) -> Option<SideDef> {
    let unbuilt = FormatKind::is_unbuilt(&format.value);
    let kind: FormatKind = match format.value.parse() {
        Ok(kind) => kind,
        // What applies to JSON applies to these formats: records with fields, maps with STRING keys.
        Err(_) if unbuilt => FormatKind::Json,
        Err(error) => {
            errors.push(format_refusal(&error).at(format.span));
            return None;
        }
    };
    if let Some(delimiter) = delimiter.filter(|_| kind != FormatKind::Delimited) {
        let message = format!("format {} does not take \"{delimiter_name}\"", format.value);
        errors.push(
            Diagnostic::new(PROPERTY_CONFLICT, message).at(delimiter.span).detail("Only DELIMITED has a delimiter."),
        );
    }
    let role = if side == Side::Key { ColumnRole::Key } else { ColumnRole::Value };
    let count = columns.iter().filter(|c| c.role == role).count();
    let wrapped = wrapped || (side == Side::Key && count > 1);
    let def = SideDef { format: format.value.clone(), wrapped, delimiter: delimiter.map_or(b',', |d| d.value) };
    let layout = SourceDef { columns: columns.to_vec(), ..empty_source() }.layout(&def, &role);
    let told = side == Side::Key && columns.iter().any(|c| c.role == role && contains_map(&c.ty));
    if let (Err(error), false) = (kind.check(&layout, side), told) {
        let error = if unbuilt {
            error.to_string().replace("format JSON", &format!("format {} (like JSON)", format.value))
        } else {
            error.to_string()
        };
        errors.push(Diagnostic::new(FORMAT, error).at(format.span));
    }
    check_avro_names(format, columns, &role, errors);
    Some(def)
}

/// Checks names in AVRO, which consist of letters, digits and underscores and do not start with a digit.
fn check_avro_names(
    format: &ast::Spanned<String>,
    columns: &[ColumnDef],
    role: &ColumnRole,
    errors: &mut Vec<Diagnostic>,
) {
    let legal = |name: &str| {
        let mut chars = name.chars();
        chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    for column in columns.iter().filter(|c| format.value == "AVRO" && c.role == *role && !legal(&c.name)) {
        let message = format!("format AVRO cannot hold column \"{}\": it is not a valid AVRO name", column.name);
        let error = Diagnostic::new(FORMAT, message).at(format.span);
        errors.push(
            error.detail("AVRO names consist of letters, digits and underscores, and cannot start with a digit."),
        );
    }
}

/// A source of which only the columns matter.
fn empty_source() -> SourceDef {
    let side = SideDef { format: String::new(), wrapped: false, delimiter: b',' };
    SourceDef {
        name: String::new(),
        kind: SourceKind::Stream,
        read_only: false,
        columns: Vec::new(),
        topic: String::new(),
        key: side.clone(),
        value: side,
        event_time: None,
        window: None,
        statement: String::new(),
    }
}
