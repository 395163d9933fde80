//! The envelope of a side in definitions that are kept: the name that the property ENVELOPE takes.

use headwater_formats::format::Envelope;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

const DEBEZIUM: &str = "DEBEZIUM";

/// Writes the name.
pub fn serialize<S: Serializer>(_: &Envelope, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(DEBEZIUM)
}

/// Reads the name.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Envelope, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        DEBEZIUM => Ok(Envelope::Debezium),
        other => Err(D::Error::custom(format!("the envelope \"{other}\" is not known"))),
    }
}

/// Whether there is none.
pub fn is_left_out(envelope: &Envelope) -> bool {
    *envelope == Envelope::Bare
}
