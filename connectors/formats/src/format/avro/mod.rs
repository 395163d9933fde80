//! AVRO: binary values without names, read by the schema that they were written with.
//!
//! * [`AvroSchema`] is a parsed schema (`parse`, `schema`, `logical`);
//! * [`infer`](fn@infer) gives the columns for a schema, [`schema_of`] a schema for columns.

mod generate;
mod infer;
mod logical;
mod parse;
mod schema;
#[cfg(test)]
mod tests;

use arrow::datatypes::{DataType, FieldRef};

use super::Layout;
use super::kind::FormatError;
use super::scalar::Scalar;
use super::types::sql_name;

pub use generate::{DEFAULT_FULL_NAME, key_full_name, schema_of};
pub use infer::{Dropped, Inferred, Names, infer};
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
