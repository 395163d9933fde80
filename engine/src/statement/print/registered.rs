//! Payloads with the id of a registered schema in front: shown as JSON, by the schema.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array as _, BinaryArray};
use headwater_connectors::schemas::Schemas;
use headwater_formats::format::{Decoder, Encoder, FormatKind, Layout, Names, infer};
use headwater_formats::schema::{Schema, SchemaId};

/// The number of schemas that are remembered; payloads that only look as if they had one do not fill the memory.
const SCHEMAS_MAX: usize = 10_000;

/// Shows payloads by their schemas.
pub struct Registered {
    schemas: Arc<dyn Schemas>,
    shown: HashMap<SchemaId, Option<Shower>>,
}

/// How the payloads of one schema are shown.
struct Shower {
    format: FormatKind,
    decoder: Box<dyn Decoder>,
    encoder: Box<dyn Encoder>,
}

impl Registered {
    /// Shows payloads by schemas that are known here.
    pub fn new(schemas: Arc<dyn Schemas>) -> Self {
        Self { schemas, shown: HashMap::new() }
    }

    /// The format of a payload, and its value as JSON. `None` if no schema is in front of it, or if it is not written with it.
    /// Blocks.
    pub fn show(&mut self, payload: &[u8]) -> Option<(FormatKind, String)> {
        let (0, rest) = payload.split_first()? else { return None };
        let id = SchemaId::from_be_bytes(*rest.first_chunk()?);
        if !self.shown.contains_key(&id) {
            if self.shown.len() >= SCHEMAS_MAX {
                return None;
            }
            // A registry that cannot be asked now is asked again for the next payload.
            let schema = match self.schemas.schema(id) {
                Ok(schema) => Shower::new(id, schema),
                Err(error) if error.is_retryable() => return None,
                Err(_) => None,
            };
            self.shown.insert(id, schema);
        }
        self.shown.get_mut(&id)?.as_mut()?.show(payload)
    }
}

impl Shower {
    fn new(id: SchemaId, schema: Arc<Schema>) -> Option<Self> {
        let format = FormatKind::ALL.into_iter().find(|format| format.schema_kind() == Some(schema.kind))?;
        let inferred = infer(&schema, None, Names::AsWritten, "value").ok()?;
        let layout = Layout { wrapped: inferred.is_record, ..Layout::of(inferred.fields) };
        let all: Vec<usize> = (0..layout.fields.len()).collect();
        let mut decoder = format.decoder(&layout, &all).ok()?;
        decoder.learn(id, Ok(schema));
        Some(Self { format, decoder, encoder: FormatKind::Json.encoder(&layout).ok()? })
    }

    fn show(&mut self, payload: &[u8]) -> Option<(FormatKind, String)> {
        let decoded = self.decoder.decode(&BinaryArray::from_vec(vec![payload]));
        let json = self.encoder.encode(&decoded.columns, 1, None).payloads;
        let is_good = decoded.bad.is_empty() && json.is_valid(0);
        is_good.then(|| (self.format, String::from_utf8_lossy(json.value(0)).into_owned()))
    }
}
