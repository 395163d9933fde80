//! What is in front of a payload that was written with a registry: a zero byte and the number of the schema, with its
//! most significant byte first. PROTOBUF has more behind it (`protobuf/framed.rs`).

use arrow::array::{Array, BinaryArray};

use crate::schema::SchemaId;

/// The number of bytes in front of the value.
pub const HEADER_LEN: usize = 5;

/// The id of the schema that the payload was written with; `None` if there is none in front of it.
#[inline]
pub fn schema_id(payload: &[u8]) -> Option<SchemaId> {
    match payload {
        [0, id @ ..] => id.first_chunk().map(|id| SchemaId::from_be_bytes(*id)),
        _ => None,
    }
}

/// What is in front of payloads that are written with a schema.
pub(super) fn header(id: SchemaId) -> [u8; HEADER_LEN] {
    let [a, b, c, d] = id.to_be_bytes();
    [0, a, b, c, d]
}

/// The ids in front of the payloads that are not known, each once, in ascending order.
pub(super) fn missing_ids(payloads: &BinaryArray, is_known: impl Fn(SchemaId) -> bool) -> Vec<SchemaId> {
    let mut missing = Vec::new();
    let (offsets, bytes) = (payloads.value_offsets(), payloads.value_data());
    let mut last: &[u8] = &[];
    for (row, ends) in offsets.windows(2).enumerate() {
        let payload = &bytes[ends[0] as usize..ends[1] as usize];
        let Some(header) = payload.get(..HEADER_LEN) else { continue };
        // Most payloads have the schema of the one before.
        if header == last || payloads.is_null(row) {
            continue;
        }
        last = header;
        missing.extend(schema_id(header).filter(|id| !is_known(*id)));
    }
    missing.sort_unstable();
    missing.dedup();
    missing
}

/// The reason why a payload without a schema id is bad, with what can be done about it.
#[cold]
pub(super) fn no_schema_id(payload: &[u8], advice: &str) -> String {
    match payload {
        [] => "the payload is empty".to_owned(),
        [0, ..] => "the payload ends within its schema id".to_owned(),
        _ => format!("the payload does not begin with a schema id (a zero byte and 4 more); {advice}"),
    }
}

/// The reason why a payload is bad whose schema was not given.
#[cold]
pub(super) fn unknown_schema(id: SchemaId) -> String {
    format!("the schema with id {id} is not known")
}
