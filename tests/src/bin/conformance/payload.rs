//! Converts the records of a case to bytes and back, in the format that the topic's stream or table declares.

use arrow::array::{Array, BinaryArray};
use arrow::datatypes::{DataType, FieldRef};
use headwater_engine::definition::{ColumnRole, SideDef, SourceDef, WindowDef};
use headwater_engine::types::SqlType;
use headwater_formats::format::{FormatKind, Layout};

use crate::case::Window;
use crate::json::Json;

/// The keys or the values of a topic.
pub struct Half<'a> {
    format: &'a str,
    /// Types of its columns, by name.
    columns: Vec<(&'a str, &'a SqlType)>,
    wrapped: bool,
    layout: Option<Layout>,
}

/// What a payload contains.
pub enum Shape<'a> {
    /// Unknown.
    Unknown,
    /// A bare value.
    Value(&'a SqlType),
    /// A record of columns.
    Record(&'a [(&'a str, &'a SqlType)]),
}

impl<'a> Half<'a> {
    /// The keys of a stream or table.
    pub fn key(source: &'a SourceDef) -> Self {
        Self::new(source, &source.key, &ColumnRole::Key)
    }

    /// The values of a stream or table.
    pub fn value(source: &'a SourceDef) -> Self {
        Self::new(source, &source.value, &ColumnRole::Value)
    }

    /// The payloads of a topic without a declaration.
    pub fn undeclared(format: &'a str) -> Self {
        Self { format, columns: Vec::new(), wrapped: true, layout: None }
    }

    fn new(source: &'a SourceDef, side: &'a SideDef, role: &ColumnRole) -> Self {
        let columns = source.columns_of(role).map(|c| (c.name.as_str(), &c.ty)).collect();
        Self { format: &side.format, columns, wrapped: side.wrapped, layout: Some(source.layout(side, role)) }
    }

    /// The same with payloads that are written by a registered schema, if there is one.
    pub fn written_by(self, layout: Option<Layout>) -> Self {
        match layout {
            Some(layout) if FormatKind::is_registered(self.format) => Self { layout: Some(layout), ..self },
            _ => self,
        }
    }

    /// What its payloads contain.
    pub fn shape(&self) -> Shape<'_> {
        match (self.format, &self.columns[..]) {
            ("DELIMITED" | "NONE", _) | (_, []) => Shape::Unknown,
            (_, [(_, ty)]) if !self.wrapped => Shape::Value(ty),
            (_, columns) => Shape::Record(columns),
        }
    }

    /// A payload in the format; `None` for a null payload.
    pub fn encode(&self, value: &Json) -> Option<Vec<u8>> {
        match (self.format, value) {
            (_, Json::Null) | ("NONE", _) => None,
            ("KAFKA", value) => Some(self.encode_kafka(value)),
            ("JSON", value) => Some(value.to_string().into_bytes()),
            ("PROTOBUF_NOSR" | "AVRO" | "PROTOBUF" | "JSON_SR", value) => {
                let fields = self.layout.as_ref().filter(|layout| layout.wrapped).map(|layout| &layout.fields[..]);
                let json = fields.map_or_else(|| value.clone(), |fields| named_as(fields, value));
                let json = json.to_string().into_bytes();
                let format = self.format.parse().ok()?;
                Some(self.converted(FormatKind::Json, format, &json).unwrap_or(json))
            }
            (_, Json::Text(text)) => Some(text.clone().into_bytes()),
            (_, other) => Some(other.to_string().into_bytes()),
        }
    }

    /// Encodes as Kafka's serializers do; a value that does not fit the type becomes text, as another writer might
    /// produce.
    fn encode_kafka(&self, value: &Json) -> Vec<u8> {
        let text = value.text().map_or_else(|| value.to_string(), str::to_owned);
        let bytes = match self.columns.first().map(|(_, ty)| *ty) {
            Some(SqlType::Int) => text.parse::<i32>().ok().map(|n| n.to_be_bytes().to_vec()),
            Some(SqlType::BigInt) => text.parse::<i64>().ok().map(|n| n.to_be_bytes().to_vec()),
            Some(SqlType::Double) => text.parse::<f64>().ok().map(|n| n.to_be_bytes().to_vec()),
            _ => None,
        };
        bytes.unwrap_or(text.into_bytes())
    }

    /// The value of a payload. Bytes that the format cannot have written are shown as text.
    pub fn decode(&self, payload: Option<&[u8]>) -> Json {
        let Some(payload) = payload else { return Json::Null };
        let text = String::from_utf8_lossy(payload).into_owned();
        match self.format {
            "KAFKA" => self.decode_kafka(payload).unwrap_or(Json::Text(text)),
            "JSON" => Json::parse(&text).unwrap_or(Json::Text(text)),
            "PROTOBUF_NOSR" | "AVRO" | "PROTOBUF" | "JSON_SR" => {
                let format = self.format.parse().ok();
                let json = format.and_then(|format| self.converted(format, FormatKind::Json, payload));
                let json = json.and_then(|json| Json::parse(&String::from_utf8_lossy(&json)).ok());
                json.unwrap_or(Json::Text(text))
            }
            _ => Json::Text(text),
        }
    }

    /// A payload in another format; `None` if it is not one of its format or cannot be written in the other.
    fn converted(&self, from: FormatKind, to: FormatKind, payload: &[u8]) -> Option<Vec<u8>> {
        let layout = self.layout.as_ref()?;
        let all: Vec<usize> = (0..layout.fields.len()).collect();
        let decoded = from.decoder(layout, &all).ok()?.decode(&BinaryArray::from_vec(vec![payload]));
        let encoded = to.encoder(layout).ok()?.encode(&decoded.columns, 1, None).payloads;
        (decoded.bad.is_empty() && encoded.is_valid(0)).then(|| encoded.value(0).to_vec())
    }

    fn decode_kafka(&self, payload: &[u8]) -> Option<Json> {
        let number = |text: String| Some(Json::Number(text));
        match self.columns.first().map(|(_, ty)| *ty)? {
            SqlType::Int => number(i32::from_be_bytes(payload.try_into().ok()?).to_string()),
            SqlType::BigInt => number(i64::from_be_bytes(payload.try_into().ok()?).to_string()),
            SqlType::Double => number(f64::from_be_bytes(payload.try_into().ok()?).to_string()),
            _ => None,
        }
    }
}

/// The members of a record under the names that its fields have: the cases write most names in upper case, whatever a
/// schema has.
fn named_as(fields: &[FieldRef], value: &Json) -> Json {
    let Json::Object(members) = value else { return value.clone() };
    let has = |name: &str| members.iter().any(|(member, _)| member == name);
    let named = |(name, value): &(String, Json)| {
        let exact = fields.iter().find(|field| field.name() == name);
        let alike = || fields.iter().find(|field| field.name().eq_ignore_ascii_case(name) && !has(field.name()));
        match exact.or_else(alike) {
            Some(field) => (field.name().clone(), typed_as(field.data_type(), value)),
            None => (name.clone(), value.clone()),
        }
    };
    Json::Object(members.iter().map(named).collect())
}

fn typed_as(data_type: &DataType, value: &Json) -> Json {
    match (data_type, value) {
        (DataType::Struct(fields), _) => named_as(fields, value),
        (DataType::List(item), Json::Array(items)) => {
            Json::Array(items.iter().map(|value| typed_as(item.data_type(), value)).collect())
        }
        _ => value.clone(),
    }
}

/// A key followed by its window, as Kafka Streams writes it.
pub fn with_window(key: Option<Vec<u8>>, window: Option<Window>) -> Option<Vec<u8>> {
    let Some(window) = window else { return key };
    let mut key = key?;
    if window.is_session {
        key.extend(window.end_ms.to_be_bytes());
    }
    key.extend(window.start_ms.to_be_bytes());
    Some(key)
}

/// A key without its window, and the window; a key that is too short has no window.
pub fn without_window(key: &[u8], window: Option<WindowDef>) -> (&[u8], Option<Window>) {
    split(key, window).unwrap_or((key, None))
}

fn split(key: &[u8], window: Option<WindowDef>) -> Option<(&[u8], Option<Window>)> {
    let (rest, start) = key.split_last_chunk::<8>()?;
    let start_ms = i64::from_be_bytes(*start);
    let time = |size_ms: i64| Window { start_ms, end_ms: start_ms.saturating_add(size_ms), is_session: false };
    Some(match window? {
        WindowDef::Tumbling(size_ms) | WindowDef::Hopping(size_ms) => (rest, Some(time(size_ms))),
        WindowDef::Session => {
            let (rest, end) = rest.split_last_chunk::<8>()?;
            (rest, Some(Window { start_ms, end_ms: i64::from_be_bytes(*end), is_session: true }))
        }
    })
}
