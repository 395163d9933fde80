//! The form of a [`Presence`] in the JSON of a catalog change: its name in WITH. The default has none and is left out.

use headwater_formats::format::Presence;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

/// Writes its name.
pub fn serialize<S: Serializer>(presence: &Presence, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&presence.to_string())
}

/// Reads it from its name. Fails if there is none with that name.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Presence, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

/// True for the default, which is left out.
pub fn is_left_out(presence: &Presence) -> bool {
    *presence == Presence::Implicit
}
