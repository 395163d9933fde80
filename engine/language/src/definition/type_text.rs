//! The form of a type in the JSON of a catalog change: its SQL text.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

use crate::sql;
use crate::types::SqlType;

/// Writes a type as its text.
pub fn serialize<S: Serializer>(ty: &SqlType, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&ty.to_string())
}

/// Reads a type from its text. Fails if the text is not a type.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SqlType, D::Error> {
    let text = String::deserialize(deserializer)?;
    sql::parse_type(&text).map_err(|error| D::Error::custom(format!("\"{text}\" is not a type: {error}")))
}
