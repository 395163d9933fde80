//! The schema for the payloads of a layout, as ksqlDB generates it. Its text is the same for the same layout, because a
//! registry compares texts.
//!
//! Every field may be null and is null by default. Records are named after the fields around them. Logical types carry
//! Connect's names, too, as they do in what ksqlDB and Connect register.

use std::collections::HashSet;

use arrow::datatypes::{DataType, FieldRef};
use serde_json::{Map, Value, json};

use super::super::Layout;
use super::super::kind::FormatError;
use super::parse::is_full_name;
use super::value_type;
use crate::schema::is_avro_name;

/// The full name of the record that a value is, unless another one is given.
pub const DEFAULT_FULL_NAME: &str = "io.confluent.ksql.avro_schemas.KsqlDataSourceSchema";

/// The full name of the record that the key of a stream or table is: `OutputKey` for `OUTPUT`.
pub fn key_full_name(source: &str) -> String {
    let camel = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map_or(String::new(), |first| first.to_uppercase().chain(letters.flat_map(char::to_lowercase)).collect())
    };
    let words: String = source.split(|letter: char| !letter.is_alphanumeric()).map(camel).collect();
    format!("io.confluent.ksql.avro_schemas.{words}Key")
}

/// The text of the schema for the payloads of a layout. A record, and what is in it, is named after `full_name`. Fails
/// if the name, or that of a column, is not valid in Avro, or if Avro cannot hold a type.
pub fn schema_of(layout: &Layout, full_name: &str) -> Result<String, FormatError> {
    super::check_types(layout)?;
    if !is_full_name(full_name) {
        return Err(FormatError::Unfit(format!("\"{full_name}\" is not a valid full name of an Avro schema")));
    }
    let (namespace, name) = full_name.rsplit_once('.').unwrap_or(("", full_name));
    let mut generator = Generator { namespace, names: HashSet::new(), depth: 0 };
    let schema = match layout.fields.as_slice() {
        [bare] if !layout.is_record() => generator.data_type(bare.data_type(), name)?,
        fields => generator.record(fields, name)?,
    };
    Ok(schema.to_string())
}

struct Generator<'a> {
    namespace: &'a str,
    /// The names of the records so far.
    names: HashSet<String>,
    /// How many records are around the type.
    depth: usize,
}

impl Generator<'_> {
    /// A record. The outermost one has a namespace, and those in it are in the same.
    fn record(&mut self, fields: &[FieldRef], name: &str) -> Result<Value, FormatError> {
        let name = self.free_name(name);
        self.depth += 1;
        let members = fields.iter().map(|field| self.field(field, &name)).collect::<Result<Vec<_>, _>>()?;
        self.depth -= 1;
        let mut record = Map::new();
        record.insert("type".into(), "record".into());
        record.insert("name".into(), name.clone().into());
        let full_name = match self.namespace {
            "" => name,
            namespace => {
                if self.depth == 0 {
                    record.insert("namespace".into(), namespace.into());
                }
                format!("{namespace}.{name}")
            }
        };
        record.insert("fields".into(), members.into());
        record.insert("connect.name".into(), full_name.into());
        Ok(record.into())
    }

    /// The name, with a number if another record has it.
    fn free_name(&mut self, name: &str) -> String {
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !self.names.contains(name));
        let free = free.unwrap_or_else(|| name.to_owned());
        self.names.insert(free.clone());
        free
    }

    fn field(&mut self, field: &FieldRef, parent: &str) -> Result<Value, FormatError> {
        let name = field.name();
        if !is_avro_name(name) {
            let rule = "a name is letters, digits and _, and begins with no digit";
            return Err(FormatError::Unfit(format!("\"{name}\" cannot be the name of a field in Avro: {rule}")));
        }
        let data_type = self.optional(field.data_type(), &format!("{parent}_{name}"))?;
        Ok(json!({ "name": name, "type": data_type, "default": null }))
    }

    fn optional(&mut self, data_type: &DataType, name: &str) -> Result<Value, FormatError> {
        Ok(json!(["null", self.data_type(data_type, name)?]))
    }

    fn data_type(&mut self, data_type: &DataType, name: &str) -> Result<Value, FormatError> {
        Ok(match data_type {
            DataType::Boolean => json!("boolean"),
            DataType::Int32 => json!("int"),
            DataType::Int64 => json!("long"),
            DataType::Float64 => json!("double"),
            DataType::Utf8 => json!("string"),
            DataType::Binary => json!("bytes"),
            DataType::Date32 => logical("int", "Date", "date"),
            DataType::Time32(_) => logical("int", "Time", "time-millis"),
            DataType::Timestamp(..) => logical("long", "Timestamp", "timestamp-millis"),
            DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
                decimal(*precision, *scale)
            }
            DataType::List(item) => json!({ "type": "array", "items": self.optional(item.data_type(), name)? }),
            DataType::Map(entries, _) => {
                let value = value_type(entries).ok_or_else(|| FormatError::unknown_type(&data_type.to_string()))?;
                json!({ "type": "map", "values": self.optional(value, &format!("{name}_MapValue"))? })
            }
            DataType::Struct(fields) => self.record(fields, name)?,
            other => return Err(FormatError::unknown_type(&other.to_string())),
        })
    }
}

fn logical(encoding: &str, connect: &str, name: &str) -> Value {
    json!({
        "type": encoding,
        "connect.version": 1,
        "connect.name": format!("org.apache.kafka.connect.data.{connect}"),
        "logicalType": name,
    })
}

/// As Connect writes it: 64 digits are its default and no parameter.
fn decimal(precision: u8, scale: i8) -> Value {
    let mut parameters = json!({ "scale": scale.to_string() });
    if precision != 64 {
        parameters["connect.decimal.precision"] = precision.to_string().into();
    }
    json!({
        "type": "bytes",
        "scale": scale,
        "precision": precision,
        "connect.version": 1,
        "connect.parameters": parameters,
        "connect.name": "org.apache.kafka.connect.data.Decimal",
        "logicalType": "decimal",
    })
}
