//! AVRO: binary values without names, read by the schema that they were written with.
//!
//! * [`AvroSchema`] is a parsed schema (`parse`, `schema`, `logical`);
//! * [`infer`](fn@infer) gives the columns for a schema, [`schema_of`] a schema for columns;
//! * [`decoder`] and [`bare_decoder`] make decoders: a schema and a layout are compiled to a plan (`plan`), which is
//!   run for each payload (`read`, `check`, `skip`);
//! * [`encoder`] makes an encoder for a given schema.
//!
//! The rules:
//!
//! * a column is read from the field with exactly its name, or else from the one whose name in upper case it has; a
//!   field without a column is skipped;
//! * a column without a field is null. If it was taken from a schema ([`Layout::reader`]), it is read from a field with
//!   one of its aliases, or has its default; what is a union there is resolved by the specification;
//! * values are promoted where nothing is lost, and scalars become texts in a STRING column, as in ksqlDB; a value
//!   that its column cannot hold makes the whole payload bad;
//! * a union of null and another type is that type; one of several types is a STRUCT with a field for each, as Connect
//!   reads it, or whatever type all of them can be read as;
//! * of several entries of a map with the same key the last one wins;
//! * a payload whose root is a union and null is a row of nulls, listed in
//!   [`Decoded::absent`](super::Decoded::absent).
//!
//! Fields in the layout are checked whether or not they are requested; of those that are not in it, only the structure
//! is (see `skip`).
//!
//! ```
//! use std::sync::Arc;
//! use arrow::array::{ArrayRef, Int64Array};
//! use headwater_formats::format::avro::{AvroSchema, bare_decoder, encoder, infer};
//! use headwater_formats::format::{Layout, Names};
//!
//! let text = r#"{"type": "record", "name": "Order", "fields": [{"name": "id", "type": "long"}]}"#;
//! let schema = Arc::new(AvroSchema::parse_text(text)?);
//! let columns = infer(&schema, Names::Upper, "ROWVAL");
//! let layout = Layout { wrapped: columns.is_record, ..Layout::of(columns.fields) };
//!
//! let ids: ArrayRef = Arc::new(Int64Array::from(vec![7, -1]));
//! let payloads = encoder(&layout, &schema, None)?.encode(&[ids.clone()], 2, None).payloads;
//! assert_eq!(payloads.value(0), [14]);
//! let decoded = bare_decoder(&layout, &[0], schema)?.decode(&payloads);
//! assert_eq!(&decoded.columns[0], &ids);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cells;
mod check;
mod cursor;
mod decimal;
mod decode;
mod default;
mod encode;
mod generate;
mod infer;
mod logical;
mod map;
mod matching;
mod parse;
mod plan;
mod program;
mod quick;
mod read;
mod reader;
mod schema;
mod skip;
#[cfg(test)]
mod tests;
mod text;
mod write;
mod write_plan;

use arrow::datatypes::{DataType, FieldRef};

use super::Layout;
use super::kind::FormatError;
use super::scalar::Scalar;
use super::types::sql_name;

pub use decode::{bare_decoder, decoder};
pub use encode::encoder;
pub(super) use encode::encoder_of;
pub use generate::{DEFAULT_FULL_NAME, key_full_name, schema_of};
pub use infer::infer;
pub(super) use infer::infer_named;
pub use schema::AvroSchema;

/// True if Avro can hold a column of this type: all but maps with keys of another type than STRING.
pub fn supports_type(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) => supports_type(item.data_type()),
        DataType::Struct(fields) => fields.iter().all(|field| supports_type(field.data_type())),
        DataType::Map(entries, _) => value_type(entries).is_some_and(supports_type),
        other => Scalar::of(other).is_some(),
    }
}

fn check_types(layout: &Layout) -> Result<(), FormatError> {
    let is_refused = |field: &&FieldRef| !supports_type(field.data_type());
    match layout.fields.iter().find(is_refused) {
        None => Ok(()),
        Some(field) => {
            let (name, kind) = (field.name(), sql_name(field.data_type()));
            let reason = format!("format AVRO cannot hold column \"{name}\" of type {kind}: its maps have STRING keys");
            Err(FormatError::Unfit(reason))
        }
    }
}

/// The type of a map's values, if its keys are texts.
fn value_type(entries: &FieldRef) -> Option<&DataType> {
    match entries.data_type() {
        DataType::Struct(fields) => match fields.as_ref() {
            [key, value] if key.data_type() == &DataType::Utf8 => Some(value.data_type()),
            _ => None,
        },
        _ => None,
    }
}
