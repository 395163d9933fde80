//! WITH (…) of a declaration: converts names and literals to typed values.
//!
//! All properties of the dialect are listed in [`KNOWN`]. All errors in a clause are reported together.

use headwater_formats::format::Presence;
use headwater_formats::record::Side;
use headwater_formats::schema::SchemaId;
use headwater_language::diagnostic::{
    DUPLICATE_PROPERTY, Diagnostic, PROPERTY_CONFLICT, PROPERTY_VALUE, Span, UNKNOWN_PROPERTY, nearest,
};
use headwater_language::sql::ast;

/// The properties of a source or sink, each with the location of its value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceProperties {
    /// KAFKA_TOPIC.
    pub topic: Option<ast::Spanned<String>>,
    /// PARTITIONS, at least 1.
    pub partitions: Option<ast::Spanned<i32>>,
    /// REPLICAS; none for the broker's default (-1).
    pub replicas: Option<ast::Spanned<i32>>,
    /// RETENTION_MS; -1 keeps everything.
    pub retention_ms: Option<ast::Spanned<i64>>,
    /// KEY_FORMAT or FORMAT.
    pub key_format: Option<ast::Spanned<String>>,
    /// VALUE_FORMAT or FORMAT.
    pub value_format: Option<ast::Spanned<String>>,
    /// KEY_DELIMITER.
    pub key_delimiter: Option<ast::Spanned<u8>>,
    /// VALUE_DELIMITER.
    pub value_delimiter: Option<ast::Spanned<u8>>,
    /// KEY_PROTOBUF_NULLABLE_REPRESENTATION.
    pub key_presence: Option<ast::Spanned<Presence>>,
    /// VALUE_PROTOBUF_NULLABLE_REPRESENTATION.
    pub value_presence: Option<ast::Spanned<Presence>>,
    /// WRAP_SINGLE_VALUE.
    pub wrap_single_value: Option<ast::Spanned<bool>>,
    /// TIMESTAMP: the name of a column.
    pub timestamp: Option<ast::Spanned<String>>,
    /// TIMESTAMP_FORMAT: a pattern.
    pub timestamp_format: Option<ast::Spanned<String>>,
    /// WINDOW_TYPE, in upper case.
    pub window_type: Option<ast::Spanned<String>>,
    /// WINDOW_SIZE in ms.
    pub window_size_ms: Option<ast::Spanned<i64>>,
    /// ENVELOPE: what is around the rows, which can only be a change event of Debezium.
    pub envelope: Option<ast::Spanned<String>>,
    /// The schema of the key.
    pub key_schema: SchemaProperties,
    /// The schema of the value.
    pub value_schema: SchemaProperties,
    /// The names of the properties about schemas, with the side that they apply to.
    pub registered: Vec<(Side, ast::Spanned<String>)>,
}

/// What a WITH clause says about the schema of one side.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SchemaProperties {
    /// KEY_SCHEMA_ID or VALUE_SCHEMA_ID.
    pub id: Option<ast::Spanned<SchemaId>>,
    /// KEY_SCHEMA_FULL_NAME or VALUE_SCHEMA_FULL_NAME.
    pub full_name: Option<ast::Spanned<String>>,
    /// KEY_SCHEMA or VALUE_SCHEMA: the text of the schema of bare payloads.
    pub text: Option<ast::Spanned<String>>,
}

/// How the literal of a property is read.
#[derive(Clone, Copy)]
enum Kind {
    Topic,
    Partitions,
    Replicas,
    Retention,
    Format,
    KeyFormat,
    ValueFormat,
    KeyDelimiter,
    ValueDelimiter,
    KeyPresence,
    ValuePresence,
    Wrap,
    Timestamp,
    TimestampFormat,
    WindowType,
    WindowSize,
    Envelope,
    Informational,
    /// For formats with registered schemas.
    Registered(Side, OfSchema),
    /// A file that a declaration was to be given the text of.
    File,
}

/// What a property says about a schema.
#[derive(Clone, Copy)]
enum OfSchema {
    Id,
    FullName,
    Text,
}

/// How a Protobuf key tells null from a default.
pub const KEY_PRESENCE: &str = "KEY_PROTOBUF_NULLABLE_REPRESENTATION";
/// How a Protobuf value tells null from a default.
pub const VALUE_PRESENCE: &str = "VALUE_PROTOBUF_NULLABLE_REPRESENTATION";

/// All properties of the dialect.
const KNOWN: &[(&str, Kind)] = &[
    ("KAFKA_TOPIC", Kind::Topic),
    ("PARTITIONS", Kind::Partitions),
    ("REPLICAS", Kind::Replicas),
    ("RETENTION_MS", Kind::Retention),
    ("FORMAT", Kind::Format),
    ("KEY_FORMAT", Kind::KeyFormat),
    ("VALUE_FORMAT", Kind::ValueFormat),
    ("KEY_DELIMITER", Kind::KeyDelimiter),
    ("VALUE_DELIMITER", Kind::ValueDelimiter),
    (KEY_PRESENCE, Kind::KeyPresence),
    (VALUE_PRESENCE, Kind::ValuePresence),
    ("WRAP_SINGLE_VALUE", Kind::Wrap),
    ("TIMESTAMP", Kind::Timestamp),
    ("TIMESTAMP_FORMAT", Kind::TimestampFormat),
    ("WINDOW_TYPE", Kind::WindowType),
    ("WINDOW_SIZE", Kind::WindowSize),
    ("ENVELOPE", Kind::Envelope),
    ("SOURCE_CONNECTOR", Kind::Informational),
    ("SOURCED_BY_CONNECTOR", Kind::Informational),
    ("KEY_SCHEMA_ID", Kind::Registered(Side::Key, OfSchema::Id)),
    ("VALUE_SCHEMA_ID", Kind::Registered(Side::Value, OfSchema::Id)),
    ("KEY_SCHEMA_FULL_NAME", Kind::Registered(Side::Key, OfSchema::FullName)),
    ("VALUE_SCHEMA_FULL_NAME", Kind::Registered(Side::Value, OfSchema::FullName)),
    ("VALUE_AVRO_SCHEMA_FULL_NAME", Kind::Registered(Side::Value, OfSchema::FullName)),
    ("KEY_SCHEMA", Kind::Registered(Side::Key, OfSchema::Text)),
    ("VALUE_SCHEMA", Kind::Registered(Side::Value, OfSchema::Text)),
    ("KEY_SCHEMA_FILE", Kind::File),
    ("VALUE_SCHEMA_FILE", Kind::File),
];

/// The names of all properties, for completion and for suggestions.
pub fn property_names() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|(name, _)| *name)
}

/// Reads a WITH clause. Returns the properties that could be read even if others have errors.
pub fn read(properties: &[ast::Property], errors: &mut Vec<Diagnostic>) -> SourceProperties {
    let mut read = SourceProperties::default();
    let mut seen: Vec<String> = Vec::new();
    for property in properties {
        let name = property.name.to_uppercase();
        if seen.contains(&name) {
            errors.push(
                Diagnostic::new(DUPLICATE_PROPERTY, format!("property \"{name}\" is given twice"))
                    .at(property.name.span),
            );
            continue;
        }
        if let Err(error) = read_one(&mut read, &name, property) {
            errors.push(*error);
        }
        seen.push(name);
    }
    check_format(&seen, properties, errors);
    check_schemas(&read, errors);
    read
}

fn read_one(out: &mut SourceProperties, name: &str, property: &ast::Property) -> Result<(), Box<Diagnostic>> {
    let Some((_, kind)) = KNOWN.iter().find(|(known, _)| *known == name) else {
        return Err(unknown(name, property.name.span));
    };
    let value = Value { name, value: &property.value };
    match kind {
        Kind::Topic => out.topic = Some(value.text()?),
        Kind::Partitions => out.partitions = Some(value.count()?),
        Kind::Replicas => out.replicas = Some(value.replicas()?).filter(|r| r.value > 0),
        Kind::Retention => out.retention_ms = Some(value.at_least(-1)?),
        Kind::KeyFormat => out.key_format = Some(value.upper()?),
        Kind::ValueFormat => out.value_format = Some(value.upper()?),
        Kind::Format => {
            out.key_format = Some(value.upper()?);
            out.value_format = out.key_format.clone();
        }
        Kind::KeyDelimiter => out.key_delimiter = Some(value.delimiter()?),
        Kind::ValueDelimiter => out.value_delimiter = Some(value.delimiter()?),
        Kind::KeyPresence => out.key_presence = Some(value.presence()?),
        Kind::ValuePresence => out.value_presence = Some(value.presence()?),
        Kind::Wrap => out.wrap_single_value = Some(value.boolean()?),
        Kind::Timestamp => out.timestamp = Some(value.column()?),
        Kind::TimestampFormat => out.timestamp_format = Some(value.text()?),
        Kind::WindowType => out.window_type = Some(value.upper()?),
        Kind::WindowSize => out.window_size_ms = Some(value.duration_ms()?),
        Kind::Envelope => out.envelope = Some(value.envelope()?),
        Kind::Informational => {
            value.text()?;
        }
        Kind::File => return Err(value.bad("the path of a file with a schema, in a statement that declares something")),
        Kind::Registered(side, what) => {
            let schema = if *side == Side::Key { &mut out.key_schema } else { &mut out.value_schema };
            match what {
                OfSchema::Id => schema.id = Some(value.schema_id()?),
                OfSchema::FullName => schema.full_name = Some(value.text()?),
                OfSchema::Text => schema.text = Some(value.text()?),
            }
            out.registered.push((*side, ast::Spanned::new(name.to_owned(), property.name.span)));
        }
    }
    Ok(())
}

/// Reports a schema that is given twice.
fn check_schemas(read: &SourceProperties, errors: &mut Vec<Diagnostic>) {
    for schema in [&read.key_schema, &read.value_schema] {
        if let (Some(_), Some(text)) = (&schema.id, &schema.text) {
            let message = "a schema is given both by its id and by its text";
            let detail = "Payloads have the id of their schema in front or are bare, but not both.";
            errors.push(Diagnostic::new(PROPERTY_CONFLICT, message).at(text.span).detail(detail));
        }
    }
}

fn check_format(seen: &[String], properties: &[ast::Property], errors: &mut Vec<Diagnostic>) {
    let has = |name: &str| seen.iter().any(|s| s == name);
    let other = ["KEY_FORMAT", "VALUE_FORMAT"].into_iter().find(|name| has(name));
    let (Some(other), true) = (other, has("FORMAT")) else { return };
    let span =
        properties.iter().find(|p| p.name.eq_ignore_ascii_case("FORMAT")).map_or(Span::default(), |p| p.name.span);
    let message = format!("property \"FORMAT\" cannot be given together with \"{other}\"");
    errors.push(
        Diagnostic::new(PROPERTY_CONFLICT, message)
            .at(span)
            .detail("\"FORMAT\" sets the format of key and value at once.")
            .hint("Give either \"FORMAT\", or \"KEY_FORMAT\" and \"VALUE_FORMAT\"."),
    );
}

fn unknown(name: &str, span: Span) -> Box<Diagnostic> {
    let error = Diagnostic::new(UNKNOWN_PROPERTY, format!("WITH has no property \"{name}\"")).at(span);
    Box::new(match nearest(name, property_names()) {
        Some(near) => error.hint(format!("Did you mean \"{near}\"?")),
        None => error.detail(format!("The properties are {}.", property_names().collect::<Vec<_>>().join(", "))),
    })
}

/// The literal of one property.
struct Value<'a> {
    name: &'a str,
    value: &'a ast::Spanned<ast::Literal>,
}

impl Value<'_> {
    fn bad(&self, expected: &str) -> Box<Diagnostic> {
        let message = format!("property \"{}\" has a value of the wrong kind", self.name);
        Box::new(Diagnostic::new(PROPERTY_VALUE, message).at(self.value.span).detail(format!("It takes {expected}.")))
    }

    /// The error for a value of the right kind that is not accepted.
    fn not(&self, expected: &str) -> Box<Diagnostic> {
        let Some(text) = self.str() else { return self.bad(expected) };
        let message = format!("property \"{}\" cannot be \"{text}\"", self.name);
        Box::new(Diagnostic::new(PROPERTY_VALUE, message).at(self.value.span).detail(format!("It takes {expected}.")))
    }

    fn spanned<T>(&self, value: T) -> ast::Spanned<T> {
        ast::Spanned::new(value, self.value.span)
    }

    fn str(&self) -> Option<&str> {
        match &self.value.value {
            ast::Literal::String(text) => Some(text),
            _ => None,
        }
    }

    fn text(&self) -> Result<ast::Spanned<String>, Box<Diagnostic>> {
        let text = self.str().filter(|text| !text.trim().is_empty());
        text.map(|text| self.spanned(text.to_owned())).ok_or_else(|| self.bad("a string that is not empty"))
    }

    fn upper(&self) -> Result<ast::Spanned<String>, Box<Diagnostic>> {
        self.text().map(|text| self.spanned(text.value.to_uppercase()))
    }

    /// Reads the name of a column: in the string it folds to upper case as in SQL, unless it is in backticks.
    fn column(&self) -> Result<ast::Spanned<String>, Box<Diagnostic>> {
        let text = self.text()?;
        let quoted = text.value.strip_prefix('`').and_then(|t| t.strip_suffix('`'));
        Ok(self.spanned(quoted.map_or_else(|| text.value.to_uppercase(), str::to_owned)))
    }

    fn integer(&self) -> Option<i64> {
        match &self.value.value {
            ast::Literal::Number(digits) | ast::Literal::String(digits) => digits.trim().parse().ok(),
            _ => None,
        }
    }

    fn at_least(&self, min: i64) -> Result<ast::Spanned<i64>, Box<Diagnostic>> {
        let value = self.integer().filter(|v| *v >= min);
        value.map(|v| self.spanned(v)).ok_or_else(|| self.bad(&format!("a whole number, {min} or more")))
    }

    fn count(&self) -> Result<ast::Spanned<i32>, Box<Diagnostic>> {
        let value = self.integer().and_then(|v| i32::try_from(v).ok()).filter(|v| *v >= 1);
        value.map(|v| self.spanned(v)).ok_or_else(|| self.bad("a whole number, 1 or more"))
    }

    fn replicas(&self) -> Result<ast::Spanned<i32>, Box<Diagnostic>> {
        let value = self.integer().and_then(|v| i16::try_from(v).ok()).filter(|v| *v >= 1 || *v == -1);
        value
            .map(|v| self.spanned(i32::from(v)))
            .ok_or_else(|| self.bad("a whole number from 1 to 32767, or -1 for the broker's default"))
    }

    fn boolean(&self) -> Result<ast::Spanned<bool>, Box<Diagnostic>> {
        let value = match &self.value.value {
            ast::Literal::Boolean(value) => Some(*value),
            ast::Literal::String(text) => text.to_lowercase().parse().ok(),
            _ => None,
        };
        value.map(|v| self.spanned(v)).ok_or_else(|| self.bad("true or false"))
    }

    fn delimiter(&self) -> Result<ast::Spanned<u8>, Box<Diagnostic>> {
        let byte = self.str().and_then(|text| match text.to_uppercase().as_str() {
            "SPACE" => Some(b' '),
            "TAB" => Some(b'\t'),
            // Blank characters have names, so that nobody sets one without noticing it.
            _ => {
                text.as_bytes().first().copied().filter(|b| text.len() == 1 && b.is_ascii() && !b.is_ascii_whitespace())
            }
        });
        byte.map(|b| self.spanned(b)).ok_or_else(|| self.not("one ASCII character such as ';', or 'SPACE' or 'TAB'"))
    }

    fn presence(&self) -> Result<ast::Spanned<Presence>, Box<Diagnostic>> {
        let presence = self.str().and_then(|text| text.parse().ok());
        presence.map(|presence| self.spanned(presence)).ok_or_else(|| self.not("OPTIONAL or WRAPPER"))
    }

    fn envelope(&self) -> Result<ast::Spanned<String>, Box<Diagnostic>> {
        let text = self.upper()?;
        if text.value == "DEBEZIUM" { Ok(text) } else { Err(self.not("DEBEZIUM")) }
    }

    fn schema_id(&self) -> Result<ast::Spanned<SchemaId>, Box<Diagnostic>> {
        let id = self.integer().and_then(|id| SchemaId::try_from(id).ok());
        id.map(|id| self.spanned(id)).ok_or_else(|| self.bad("the id of a schema, a whole number, 0 or more"))
    }

    fn duration_ms(&self) -> Result<ast::Spanned<i64>, Box<Diagnostic>> {
        let parsed = self.str().and_then(parse_duration_ms).filter(|ms| *ms > 0);
        parsed.map(|ms| self.spanned(ms)).ok_or_else(|| {
            self.not(
                "a number and a unit such as '30 SECONDS'; units are MILLISECONDS, SECONDS, MINUTES, HOURS and DAYS",
            )
        })
    }
}

fn parse_duration_ms(text: &str) -> Option<i64> {
    let (count, unit) = text.trim().split_once(char::is_whitespace)?;
    let unit_ms = match unit.trim().to_uppercase().trim_end_matches('S') {
        "MILLISECOND" => 1,
        "SECOND" => 1_000,
        "MINUTE" => 60_000,
        "HOUR" => 3_600_000,
        "DAY" => 86_400_000,
        _ => return None,
    };
    count.parse::<i64>().ok()?.checked_mul(unit_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_language::sql::ast::{Literal, Property, Spanned};

    fn property(name: &str, value: Literal) -> Property {
        let span = Span::default();
        Property { name: Spanned::new(name.to_owned(), span), value: Spanned::new(value, span) }
    }

    fn text(value: &str) -> Literal {
        Literal::String(value.to_owned())
    }

    #[test]
    fn reads_every_kind_of_value() {
        let clause = [
            property("kafka_topic", text("t")),
            property("PARTITIONS", Literal::Number("4".into())),
            property("REPLICAS", Literal::Number("-1".into())),
            property("VALUE_FORMAT", text("json")),
            property("KEY_DELIMITER", text("TAB")),
            property("VALUE_PROTOBUF_NULLABLE_REPRESENTATION", text("optional")),
            property("TIMESTAMP", text("`ts`")),
            property("WINDOW_SIZE", text("30 seconds")),
        ];
        let mut errors = Vec::new();
        let read = read(&clause, &mut errors);
        assert_eq!(errors, []);
        assert_eq!(read.topic.unwrap().value, "t");
        assert_eq!(read.partitions.unwrap().value, 4);
        assert_eq!(read.replicas, None);
        assert_eq!(read.value_format.unwrap().value, "JSON");
        assert_eq!(read.key_delimiter.unwrap().value, b'\t');
        assert_eq!(read.value_presence.unwrap().value, Presence::Optional);
        assert_eq!(read.timestamp.unwrap().value, "ts");
        assert_eq!(read.window_size_ms.unwrap().value, 30_000);
    }

    #[test]
    fn reports_every_mistake_at_once() {
        let clause = [
            property("KAFKA_TOPICS", text("t")),
            property("PARTITIONS", Literal::Number("0".into())),
            property("FORMAT", text("JSON")),
            property("VALUE_FORMAT", text("JSON")),
            property("VALUE_FORMAT", text("JSON")),
            property("VALUE_SCHEMA_ID", Literal::Number("1".into())),
            property("VALUE_SCHEMA", text("\"int\"")),
        ];
        let mut errors = Vec::new();
        read(&clause, &mut errors);
        let codes: Vec<_> = errors.iter().map(|e| e.code).collect();
        assert_eq!(codes, [UNKNOWN_PROPERTY, PROPERTY_VALUE, DUPLICATE_PROPERTY, PROPERTY_CONFLICT, PROPERTY_CONFLICT]);
        assert_eq!(errors[0].hint.as_deref(), Some("Did you mean \"KAFKA_TOPIC\"?"));
    }
}
