//! Decodes JSON behind the id of a schema, or without one.

use std::sync::Arc;

use arrow::array::BinaryArray;

use super::documents::Documents;
use crate::format::batch::Selected;
use crate::format::column::Column;
use crate::format::framing::{HEADER_LEN, missing_ids, no_schema_id, schema_id};
use crate::format::json::{Dialect, JsonReader};
use crate::format::kind::FormatError;
use crate::format::known::Known;
use crate::format::{Decoded, Decoder, Layout};
use crate::schema::{Schema, SchemaId, SchemaKind, WriterSchema};

/// What can be done about payloads without a schema id.
const ADVICE: &str = "if it is JSON without one, use VALUE_FORMAT = 'JSON' or KEY_FORMAT = 'JSON'";

/// A decoder for payloads that begin with a schema id, or for bare ones. Fails if a field does not exist or is requested
/// twice.
pub(in super::super) fn decoder(
    layout: &Layout,
    projection: &[usize],
    framed: bool,
) -> Result<Box<dyn Decoder>, FormatError> {
    let selected = Selected::try_new(layout, projection)?;
    let reader = JsonReader::new(&selected, layout.is_record(), Dialect::Connect);
    let schemas = if framed { Schemas::ById(Known::new()) } else { Schemas::None };
    Ok(Box::new(JsonSrDecoder { columns: selected.columns, reader, schemas }))
}

/// Checks that a schema can be used, and has its full name.
pub(in super::super) fn check(writer: &WriterSchema) -> Result<(), FormatError> {
    let documents = Documents::parse(&writer.schema).map_err(FormatError::Unfit)?;
    documents.named(writer.full_name.as_deref()).map(drop).map_err(FormatError::Unfit)
}

struct JsonSrDecoder {
    columns: Vec<Column>,
    reader: JsonReader,
    schemas: Schemas,
}

/// The schemas that payloads begin with.
enum Schemas {
    /// None: payloads are bare.
    None,
    ById(Known<()>),
}

impl Schemas {
    /// The byte at which the JSON of a payload begins.
    #[inline]
    fn start_of(&self, payload: &[u8]) -> Result<usize, String> {
        let Self::ById(known) = self else { return Ok(0) };
        let Some(id) = schema_id(payload) else { return Err(no_schema_id(payload, ADVICE)) };
        known.get(id, &mut 0).map(|()| HEADER_LEN)
    }
}

impl Decoder for JsonSrDecoder {
    fn decode(&mut self, payloads: &BinaryArray) -> Decoded {
        let decoded = self.reader.decode(payloads, &mut self.columns, |payload| self.schemas.start_of(payload));
        if let Schemas::ById(known) = &mut self.schemas {
            known.end_batch();
        }
        decoded
    }

    fn missing_schemas(&self, payloads: &BinaryArray) -> Vec<SchemaId> {
        match &self.schemas {
            Schemas::None => Vec::new(),
            Schemas::ById(known) => missing_ids(payloads, |id| known.contains(id)),
        }
    }

    fn learn(&mut self, id: SchemaId, schema: Result<Arc<Schema>, String>) {
        let Schemas::ById(known) = &mut self.schemas else { return };
        let other = |kind: SchemaKind| format!("the schema with id {id} is {kind}, not {}", SchemaKind::Json);
        let schema = schema.and_then(|schema| match schema.kind {
            SchemaKind::Json => Ok(()),
            kind => Err(other(kind)),
        });
        known.learn(id, schema);
    }
}
