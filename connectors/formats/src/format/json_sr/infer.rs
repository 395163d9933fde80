//! The columns that a JSON Schema stands for, as ksqlDB infers them.
//!
//! | JSON Schema | SQL |
//! |---|---|
//! | boolean | BOOLEAN |
//! | integer | BIGINT; INT with the `connect.type` int8, int16 or int32 |
//! | number | DOUBLE |
//! | string | STRING; BYTES with the `connect.type` bytes |
//! | a title of Connect's logical types | DECIMAL, DATE, TIME, TIMESTAMP |
//! | array | ARRAY; MAP with the `connect.type` map |
//! | object | STRUCT; MAP with the `connect.type` map, or if it has `additionalProperties` only |
//! | a type or null, in `type`, `oneOf` or `anyOf` | that type |
//! | several types | no column |
//!
//! The fields of an object are in the order of their `connect.index`, or else as they are written. Everything that only
//! restricts values (`required`, `enum`, `pattern`, …) is ignored.

use arrow::datatypes::{DataType, TimeUnit};
use serde_json::Value;

use super::documents::{Documents, Node};
use crate::format::inferred::{Inference, Inferred, Names, Source, array_of, decimal_of, map_of};
use crate::schema::Schema;

/// The digits of a decimal that does not give them, as in Connect.
const DIGITS: u32 = 64;
/// What the titles of Connect's logical types begin with.
const LOGICAL: &str = "org.apache.kafka.connect.data.";

/// The columns for a schema, or for one of its definitions. One that is not an object gives a single column named
/// `bare_name`. The error is for users.
pub(in super::super) fn infer(
    schema: &Schema,
    full_name: Option<&str>,
    names: Names,
    bare_name: &str,
) -> Result<Inferred, String> {
    let documents = &Documents::parse(schema)?;
    let mut inference = Inference::new(&documents, names);
    let root = documents.resolve(documents.named(full_name)?)?;
    Ok(match json_type(root)? {
        JsonType::Object if !is_map(root) => {
            let fields = inference.record(root, fields(root).into_iter());
            inference.into_record(fields)
        }
        _ => {
            let bare = inference.data_type(root);
            inference.into_bare(bare_name, bare)
        }
    })
}

/// A type of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JsonType {
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

impl JsonType {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "boolean" => Self::Boolean,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "string" => Self::String,
            "array" => Self::Array,
            "object" => Self::Object,
            _ => return None,
        })
    }

    /// Its name in a schema.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
        }
    }

    fn of_value(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Null => return None,
            Value::Bool(_) => Self::Boolean,
            Value::Number(number) if number.is_f64() => Self::Number,
            Value::Number(_) => Self::Integer,
            Value::String(_) => Self::String,
            Value::Array(_) => Self::Array,
            Value::Object(_) => Self::Object,
        })
    }
}

impl<'d> Source for &'d Documents {
    type Node = Node<'d>;

    fn data_type(&self, node: Node<'d>, inference: &mut Inference<'_, Self>) -> Result<DataType, String> {
        let node = self.resolve(node)?;
        let json_type = json_type(node)?;
        if let Some(logical) = logical(node, json_type) {
            return logical;
        }
        Ok(match (json_type, node.text("connect.type")) {
            (JsonType::Boolean, _) => DataType::Boolean,
            (JsonType::Integer, Some("int8" | "int16" | "int32")) => DataType::Int32,
            (JsonType::Integer, _) => DataType::Int64,
            (JsonType::Number, _) => DataType::Float64,
            (JsonType::String, Some("bytes")) => DataType::Binary,
            (JsonType::String, _) => DataType::Utf8,
            (JsonType::Array, Some("map")) => map_of(inference.data_type(entry_value(self.items(node)?)?)?),
            (JsonType::Array, _) => array_of(inference.data_type(self.items(node)?)?),
            (JsonType::Object, _) if is_map(node) => {
                let values = node.member("additionalProperties");
                map_of(inference.data_type(values.ok_or("the type of the values of a map is not given")?)?)
            }
            (JsonType::Object, _) if inference.is_within(node) => {
                return Err(format!("{} contains itself", name_of(node)));
            }
            (JsonType::Object, _) => inference.structure(node, name_of(node), fields(node).into_iter())?,
        })
    }
}

impl Documents {
    fn items<'d>(&'d self, array: Node<'d>) -> Result<Node<'d>, String> {
        let items = array.member("items").ok_or("the type of the items of an array is not given")?;
        self.resolve(items)
    }
}

fn name_of(node: Node<'_>) -> &str {
    node.text("title").unwrap_or("the object")
}

/// The values of a map that is an array of entries.
pub(super) fn entry_value(entry: Node<'_>) -> Result<Node<'_>, String> {
    let value = entry.members("properties").and_then(|properties| properties.get("value"));
    Ok(entry.beside(value.ok_or("the entries of a map have no value")?))
}

/// True for an object whose members have any names.
fn is_map(node: Node<'_>) -> bool {
    let has_properties = node.members("properties").is_some_and(|properties| !properties.is_empty());
    node.text("connect.type") == Some("map") || !has_properties && node.member("additionalProperties").is_some()
}

/// The fields of an object.
pub(super) fn fields(object: Node<'_>) -> Vec<(&str, Node<'_>)> {
    let properties = object.members("properties").into_iter().flatten();
    let place = |value: &Value, at: usize| value.get("connect.index").and_then(Value::as_u64).unwrap_or(at as u64);
    let mut fields: Vec<_> =
        properties.enumerate().map(|(at, (name, value))| (place(value, at), name, value)).collect();
    fields.sort_by_key(|(place, ..)| *place);
    fields.into_iter().map(|(_, name, value)| (name.as_str(), object.beside(value))).collect()
}

/// The type of a schema, which may be given by its other members only.
pub(super) fn json_type(node: Node<'_>) -> Result<JsonType, String> {
    let names: Vec<&str> = match node.value.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => return unnamed_type(node).ok_or_else(|| "the type is not given".to_owned()),
    };
    let others: Vec<_> = names.into_iter().filter(|name| *name != "null").collect();
    match others.as_slice() {
        [] => Err("null alone is not a type of a column".to_owned()),
        [name] => JsonType::of(name).ok_or_else(|| format!("the type \"{name}\" does not exist")),
        ["integer", "number"] | ["number", "integer"] => Ok(JsonType::Number),
        several => Err(format!("one of {} is not a type of a column", several.join(", "))),
    }
}

fn unnamed_type(node: Node<'_>) -> Option<JsonType> {
    let has = |key: &str| node.value.get(key).is_some();
    if has("properties") || node.member("additionalProperties").is_some() {
        return Some(JsonType::Object);
    }
    if has("items") {
        return Some(JsonType::Array);
    }
    if let Some(only) = node.value.get("const") {
        return JsonType::of_value(only);
    }
    let values = node.value.get("enum").and_then(Value::as_array)?;
    let mut types = values.iter().filter_map(JsonType::of_value);
    let first = types.next()?;
    types.all(|other| other == first).then_some(first)
}

/// The type of a column for one of Connect's logical types.
pub(super) fn logical(node: Node<'_>, json_type: JsonType) -> Option<Result<DataType, String>> {
    Some(match (node.text("title")?.strip_prefix(LOGICAL)?, json_type) {
        ("Decimal", JsonType::Number | JsonType::Integer | JsonType::String) => {
            let parameters = node.members("connect.parameters");
            let number = |key: &str| parameters?.get(key)?.as_str()?.parse().ok();
            decimal_of(number("connect.decimal.precision").unwrap_or(DIGITS), number("scale").unwrap_or(0))
        }
        ("Date", JsonType::Integer) => Ok(DataType::Date32),
        ("Time", JsonType::Integer) => Ok(DataType::Time32(TimeUnit::Millisecond)),
        ("Timestamp", JsonType::Integer) => Ok(DataType::Timestamp(TimeUnit::Millisecond, None)),
        _ => return None,
    })
}
