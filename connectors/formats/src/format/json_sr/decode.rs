//! Decodes and encodes JSON behind the id of a schema, or without one.

use std::sync::Arc;

use arrow::array::BinaryArray;

use super::documents::Documents;
use crate::format::batch::Selected;
use crate::format::column::Column;
use crate::format::framing::{HEADER_LEN, header, missing_ids, no_schema_id, schema_id, unknown_schema};
use crate::format::json::{Dialect, JsonEncoder, JsonReader};
use crate::format::kind::FormatError;
use crate::format::{Decoded, Decoder, Encoder, Layout};
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
    let schemas = if framed { Schemas::ById(Vec::new()) } else { Schemas::None };
    Ok(Box::new(JsonSrDecoder { columns: selected.columns, reader, schemas }))
}

/// An encoder for all fields of a layout; payloads begin with the id if it is given.
pub(in super::super) fn encoder(layout: &Layout, id: Option<SchemaId>) -> Box<dyn Encoder> {
    let header = id.map(|id| header(id).to_vec()).unwrap_or_default();
    Box::new(JsonEncoder::with(layout, Dialect::Connect, header))
}

/// Checks that a schema is what payloads can be written with.
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
    /// Those that are known, in ascending order of their ids, or why their payloads are bad.
    ById(Vec<(SchemaId, Result<(), String>)>),
}

impl Schemas {
    /// The byte at which the JSON of a payload begins.
    #[inline]
    fn start_of(&self, payload: &[u8]) -> Result<usize, String> {
        let Self::ById(known) = self else { return Ok(0) };
        let Some(id) = schema_id(payload) else { return Err(no_schema_id(payload, ADVICE)) };
        match position(known, id) {
            Ok(at) => known[at].1.clone().map(|()| HEADER_LEN),
            Err(_) => Err(unknown_schema(id)),
        }
    }
}

fn position(known: &[(SchemaId, Result<(), String>)], id: SchemaId) -> Result<usize, usize> {
    known.binary_search_by_key(&id, |(known, _)| *known)
}

impl Decoder for JsonSrDecoder {
    fn decode(&mut self, payloads: &BinaryArray) -> Decoded {
        self.reader.decode(payloads, &mut self.columns, |payload| self.schemas.start_of(payload))
    }

    fn missing_schemas(&self, payloads: &BinaryArray) -> Vec<SchemaId> {
        match &self.schemas {
            Schemas::None => Vec::new(),
            Schemas::ById(known) => missing_ids(payloads, |id| position(known, id).is_ok()),
        }
    }

    fn learn(&mut self, id: SchemaId, schema: Result<Arc<Schema>, String>) {
        let Schemas::ById(known) = &mut self.schemas else { return };
        let other = |kind: SchemaKind| format!("the schema with id {id} is {kind}, not {}", SchemaKind::Json);
        let schema = schema.and_then(|schema| match schema.kind {
            SchemaKind::Json => Ok(()),
            kind => Err(other(kind)),
        });
        match position(known, id) {
            Ok(at) => known[at].1 = schema,
            Err(at) => known.insert(at, (id, schema)),
        }
    }
}
