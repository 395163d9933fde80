//! Decodes JSON behind the id of a schema, or without one.

use std::sync::Arc;

use arrow::array::BinaryArray;

use super::documents::Documents;
use super::names::ignored_of;
use crate::format::batch::Selected;
use crate::format::framing::{HEADER_LEN, missing_ids, no_schema_id, schema_id};
use crate::format::json::{Dialect, Ignored, JsonReader, Times};
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
    times: Times,
) -> Result<Box<dyn Decoder>, FormatError> {
    let selected = Selected::try_new(layout, projection)?;
    let mut decoder = JsonSrDecoder {
        layout: layout.clone(),
        times,
        selected,
        readers: Vec::new(),
        ignored: Vec::new(),
        schemas: Schemas::ById(Known::new()),
    };
    decoder.reader_for(Ignored::default());
    if !framed {
        let ignored = layout.schema.as_ref().map(|writer| decoder.ignored_of(&writer.schema)).unwrap_or_default();
        decoder.schemas = Schemas::None(decoder.reader_for(ignored));
    }
    Ok(Box::new(decoder))
}

/// Checks that a schema can be used, and has its full name.
pub(in super::super) fn check(writer: &WriterSchema) -> Result<(), FormatError> {
    let documents = Documents::parse(&writer.schema).map_err(FormatError::Unfit)?;
    documents.named(writer.full_name.as_deref()).map(drop).map_err(FormatError::Unfit)
}

struct JsonSrDecoder {
    layout: Layout,
    times: Times,
    selected: Selected,
    /// The first one reads payloads of nearly all schemas.
    readers: Vec<JsonReader>,
    /// What each of them does not read.
    ignored: Vec<Ignored>,
    schemas: Schemas,
}

impl JsonSrDecoder {
    /// What is not read of payloads with a schema; a schema that cannot be used changes nothing.
    fn ignored_of(&self, schema: &Schema) -> Ignored {
        Documents::parse(schema).map(|documents| ignored_of(&documents, &self.layout)).unwrap_or_default()
    }

    /// The reader that does not read these members.
    fn reader_for(&mut self, ignored: Ignored) -> usize {
        if let Some(known) = self.ignored.iter().position(|known| *known == ignored) {
            return known;
        }
        let mut reader = JsonReader::new(&self.selected, self.layout.is_record(), Dialect::Connect, self.times);
        reader.ignore(&ignored);
        self.readers.push(reader);
        self.ignored.push(ignored);
        self.readers.len() - 1
    }
}

/// The schemas that payloads begin with.
enum Schemas {
    /// None: payloads are bare, and are read by this reader.
    None(usize),
    /// With the reader for each.
    ById(Known<usize>),
}

impl Schemas {
    /// The reader of a payload, and the byte at which its JSON begins.
    #[inline]
    fn begin(&self, payload: &[u8]) -> Result<(usize, usize), String> {
        let known = match self {
            Self::None(reader) => return Ok((*reader, 0)),
            Self::ById(known) => known,
        };
        let Some(id) = schema_id(payload) else { return Err(no_schema_id(payload, ADVICE)) };
        known.get(id, &mut 0).map(|reader| (*reader, HEADER_LEN))
    }
}

impl Decoder for JsonSrDecoder {
    fn decode(&mut self, payloads: &BinaryArray) -> Decoded {
        let Self { selected, readers, schemas, .. } = self;
        let decoded = JsonReader::decode(readers, payloads, &mut selected.columns, |payload| schemas.begin(payload));
        if let Schemas::ById(known) = &mut self.schemas {
            known.end_batch();
        }
        decoded
    }

    fn missing_schemas(&self, payloads: &BinaryArray) -> Vec<SchemaId> {
        match &self.schemas {
            Schemas::None(_) => Vec::new(),
            Schemas::ById(known) => missing_ids(payloads, |id| known.contains(id)),
        }
    }

    fn learn(&mut self, id: SchemaId, schema: Result<Arc<Schema>, String>) {
        let other = |kind: SchemaKind| format!("the schema with id {id} is {kind}, not {}", SchemaKind::Json);
        let schema = schema.and_then(|schema| match schema.kind {
            SchemaKind::Json => Ok(self.reader_for(self.ignored_of(&schema))),
            kind => Err(other(kind)),
        });
        if let Schemas::ById(known) = &mut self.schemas {
            known.learn(id, schema);
        }
    }
}
