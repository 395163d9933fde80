//! The formats of a declaration's keys and values: which they are, what they support, and how a single value is
//! encoded.

use headwater_formats::format::{Envelope, FormatKind, Presence};
use headwater_formats::record::Side;
use headwater_language::definition::{ColumnDef, ColumnRole, SideDef, SourceDef, SourceKind};
use headwater_language::diagnostic::{Diagnostic, FORMAT, PROPERTY_CONFLICT, format_refusal};
use headwater_language::sql::ast;
use headwater_language::types::SqlType;

use super::define::{FormatDefaults, missing};
use super::properties::{KEY_PRESENCE, SchemaProperties, SourceProperties, VALUE_PRESENCE};
use super::schemas::{Completed, SideSchemas};

/// The formats of keys and values, if both are known.
pub(super) fn sides(
    completed: &Completed,
    properties: &SourceProperties,
    columns: &[ColumnDef],
    defaults: &FormatDefaults,
    errors: &mut Vec<Diagnostic>,
) -> Option<(SideDef, SideDef)> {
    let create = &completed.create;
    let has_key = columns.iter().any(|c| c.role == ColumnRole::Key);
    let default_key = if has_key { defaults.key.clone() } else { "NONE".to_owned() };
    let here = |name: String| ast::Spanned::new(name, create.name.span);
    let key = properties.key_format.clone().unwrap_or_else(|| here(default_key));
    check_keys(create, columns, errors);
    let value = properties.value_format.clone().or_else(|| defaults.value.clone().map(here));
    let value = value.or_else(|| missing(create, "VALUE_FORMAT", "VALUE_FORMAT='JSON'", errors));
    let (delimiter, presence) = (properties.key_delimiter.as_ref(), properties.key_presence.as_ref());
    let (envelope, wrapped) = (completed.envelope_of(&key), completed.envelope_of(&key) != Envelope::Bare);
    let given = Given { side: Side::Key, format: &key, delimiter, presence, wrapped, envelope };
    let key = given.define(columns, errors);
    let wrapped = wrapping(properties, defaults, columns, value.as_ref(), errors);
    let wrapped = completed.wraps_value.filter(|_| properties.wrap_single_value.is_none()).unwrap_or(wrapped);
    let (delimiter, presence) = (properties.value_delimiter.as_ref(), properties.value_presence.as_ref());
    let (value, envelope) = (value?, completed.envelope);
    if envelope != Envelope::Bare && completed.envelope_of(&value) == Envelope::Bare {
        let message = format!("format {} does not hold change events of Debezium", value.value);
        errors.push(Diagnostic::new(PROPERTY_CONFLICT, message).at(value.span).detail("JSON, JSON_SR and AVRO do."));
    }
    let wrapped = wrapped || envelope != Envelope::Bare;
    let given = Given { side: Side::Value, format: &value, delimiter, presence, wrapped, envelope };
    let value = given.define(columns, errors);
    let with_schemas = |def: SideDef, schemas: &SideSchemas, given: &SchemaProperties| SideDef {
        schema: schemas.writer.clone(),
        reader: schemas.reader.clone(),
        full_name: given.full_name.as_ref().map(|name| name.value.clone()),
        ..def
    };
    let key = with_schemas(key?, &completed.key, &properties.key_schema);
    Some((key, with_schemas(value?, &completed.value, &properties.value_schema)))
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
    let wraps = |kind: FormatKind| kind.wraps_by_default(Side::Value);
    let natural = values != 1 || format.is_some_and(|format| format.value.parse::<FormatKind>().is_ok_and(wraps));
    let Some(said) = &properties.wrap_single_value else {
        let both = format.is_some_and(|f| f.value.parse().is_ok_and(FormatKind::wraps_or_not));
        return if values == 1 && both { defaults.wrap_single_values.unwrap_or(natural) } else { natural };
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

/// What is given for one side of the records.
struct Given<'a> {
    side: Side,
    format: &'a ast::Spanned<String>,
    delimiter: Option<&'a ast::Spanned<u8>>,
    presence: Option<&'a ast::Spanned<Presence>>,
    wrapped: bool,
    envelope: Envelope,
}

impl Given<'_> {
    /// The definition of the side, if its format exists. It may have errors.
    fn define(&self, columns: &[ColumnDef], errors: &mut Vec<Diagnostic>) -> Option<SideDef> {
        let unbuilt = FormatKind::is_unbuilt(&self.format.value);
        let kind: FormatKind = match self.format.value.parse() {
            Ok(kind) => kind,
            // What applies to JSON applies to these formats: records with fields, maps with STRING keys.
            Err(_) if unbuilt => FormatKind::Json,
            Err(error) => {
                errors.push(format_refusal(&error).at(self.format.span));
                return None;
            }
        };
        self.check_options(kind, errors);
        let role = if self.side == Side::Key { ColumnRole::Key } else { ColumnRole::Value };
        let count = columns.iter().filter(|c| c.role == role).count();
        let def = SideDef {
            format: self.format.value.clone(),
            wrapped: self.wrapped || self.side == Side::Key && (count > 1 || kind.always_wraps()),
            delimiter: self.delimiter.map_or(b',', |delimiter| delimiter.value),
            presence: self.presence.map_or(Presence::Implicit, |presence| presence.value),
            schema: None,
            reader: None,
            full_name: None,
            envelope: self.envelope,
        };
        let layout = SourceDef { columns: columns.to_vec(), ..empty_source() }.layout(&def, &role);
        let told = self.side == Side::Key && columns.iter().any(|c| c.role == role && contains_map(&c.ty));
        if let (Err(error), false) = (kind.check(&layout, self.side), told) {
            let error = if unbuilt {
                error.to_string().replace("format JSON", &format!("format {} (like JSON)", self.format.value))
            } else {
                error.to_string()
            };
            errors.push(Diagnostic::new(FORMAT, error).at(self.format.span));
        }
        check_avro_names(self.format, columns, &role, errors);
        Some(def)
    }

    /// Checks that the format takes the properties of its side.
    fn check_options(&self, kind: FormatKind, errors: &mut Vec<Diagnostic>) {
        let (delimiter, presence) = match self.side {
            Side::Key => ("KEY_DELIMITER", KEY_PRESENCE),
            Side::Value => ("VALUE_DELIMITER", VALUE_PRESENCE),
        };
        let mut refuse = |property: &str, span, detail: &str| {
            let message = format!("format {} does not take \"{property}\"", self.format.value);
            errors.push(Diagnostic::new(PROPERTY_CONFLICT, message).at(span).detail(detail));
        };
        if let Some(given) = self.delimiter.filter(|_| !kind.supports_delimiter()) {
            refuse(delimiter, given.span, "Only DELIMITED has a delimiter.");
        }
        let is_protobuf = self.format.value == "PROTOBUF" || kind.supports_presence();
        if let Some(given) = self.presence.filter(|_| !is_protobuf) {
            refuse(presence, given.span, "It is for the formats PROTOBUF and PROTOBUF_NOSR.");
        }
    }
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
    let side = SideDef { wrapped: false, ..SideDef::of("") };
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
