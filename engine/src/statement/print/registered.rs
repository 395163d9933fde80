//! Payloads with the id of a registered schema in front: shown as JSON, by the schema.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array as _, BinaryArray};
use headwater_connectors::schemas::Schemas;
use headwater_formats::format::{Decoder, Encoder, FormatKind, HEADER_LEN, Layout, Names, infer_of_payload, schema_id};
use headwater_formats::schema::{Schema, SchemaId, SchemaKind};
use serde::de::IgnoredAny;

/// The number of schemas that are remembered; payloads that only look as if they had one do not fill the memory.
const SCHEMAS_MAX: usize = 10_000;

/// Shows payloads by their schemas.
pub struct Registered {
    schemas: Arc<dyn Schemas>,
    printers: HashMap<SchemaId, Option<Printer>>,
}

/// How the payloads of one schema are shown.
struct Printer {
    id: SchemaId,
    schema: Arc<Schema>,
    /// How the last one was shown. In Protobuf each message is shown in another way.
    last: Option<Decoded>,
}

/// How payloads with these bytes in front are shown.
struct Decoded {
    front: Vec<u8>,
    format: FormatKind,
    decoder: Box<dyn Decoder>,
    encoder: Box<dyn Encoder>,
}

impl Registered {
    /// Shows payloads by schemas that are known here.
    pub fn new(schemas: Arc<dyn Schemas>) -> Self {
        Self { schemas, printers: HashMap::new() }
    }

    /// The format of a payload, and its value as JSON. `None` if no schema is in front of it, or if it is not written with it.
    /// Blocks.
    pub fn show(&mut self, payload: &[u8]) -> Option<(FormatKind, String)> {
        let id = schema_id(payload)?;
        if !self.printers.contains_key(&id) {
            if self.printers.len() >= SCHEMAS_MAX {
                return None;
            }
            // A registry that cannot be asked now is asked again for the next payload.
            let printer = match self.schemas.schema_of_records(id) {
                Ok(schema) => Some(Printer { id, schema, last: None }),
                Err(error) if error.is_retryable() => return None,
                Err(_) => None,
            };
            self.printers.insert(id, printer);
        }
        self.printers.get_mut(&id)?.as_mut()?.show(payload)
    }
}

impl Printer {
    fn show(&mut self, payload: &[u8]) -> Option<(FormatKind, String)> {
        if self.schema.kind == SchemaKind::Json {
            // As it was written, whether or not it is what the schema says.
            let text = std::str::from_utf8(payload.get(HEADER_LEN..)?).ok()?;
            serde_json::from_str::<IgnoredAny>(text).ok()?;
            return Some((FormatKind::JsonSr, text.trim().to_owned()));
        }
        if self.last.as_ref().is_none_or(|last| !payload.starts_with(&last.front)) {
            self.last = Decoded::new(self.id, &self.schema, payload);
        }
        self.last.as_mut()?.show(payload)
    }
}

impl Decoded {
    fn new(id: SchemaId, schema: &Arc<Schema>, payload: &[u8]) -> Option<Self> {
        let format = FormatKind::ALL.into_iter().find(|format| format.schema_kind() == Some(schema.kind))?;
        let (inferred, start) = infer_of_payload(schema, payload, Names::AsWritten, "value").ok()?;
        let layout = Layout { wrapped: inferred.is_record, ..Layout::of(inferred.fields) };
        let all: Vec<usize> = (0..layout.fields.len()).collect();
        let mut decoder = format.decoder(&layout, &all).ok()?;
        decoder.learn(id, Ok(schema.clone()));
        let encoder = FormatKind::Json.encoder(&layout).ok()?;
        Some(Self { front: payload[..start].to_vec(), format, decoder, encoder })
    }

    fn show(&mut self, payload: &[u8]) -> Option<(FormatKind, String)> {
        let decoded = self.decoder.decode(&BinaryArray::from_vec(vec![payload]));
        let json = self.encoder.encode(&decoded.columns, 1, None).payloads;
        let is_good = decoded.bad.is_empty() && json.is_valid(0);
        is_good.then(|| (self.format, String::from_utf8_lossy(json.value(0)).into_owned()))
    }
}
