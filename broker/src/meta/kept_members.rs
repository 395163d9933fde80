//! The members of a group, as the journal keeps them.
//!
//! Separate because their metadata and assignments are bytes that only clients understand, which JSON cannot hold as they are.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The members of a classic group in its present generation, with their assignments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptMembers {
    pub(crate) generation: i32,
    pub(crate) protocol_type: String,
    pub(crate) protocol: Option<String>,
    pub(crate) leader: String,
    pub(crate) members: Vec<KeptMember>,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptMember {
    pub(crate) id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) session_timeout_ms: i32,
    pub(crate) rebalance_timeout_ms: i32,
    /// The protocols that it supports, with its metadata for each.
    pub(crate) protocols: Vec<(String, KeptBytes)>,
    pub(crate) assignment: KeptBytes,
}

/// Bytes, which are base64 in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptBytes(pub(crate) Bytes);

impl Serialize for KeptBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for KeptBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<KeptBytes, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64_STANDARD.decode(text).map_err(serde::de::Error::custom)?;
        Ok(KeptBytes(bytes.into()))
    }
}
