//! Decodes Avro payloads to columns. The schema of each payload is that of its writer: one that was given for all of
//! them, or the one whose number is in front of the payload. So several versions of a schema may be in one batch.

use std::sync::Arc;

use arrow::array::{Array, BinaryArray};

use super::super::batch::{Rows, Selected};
use super::super::column::Column;
use super::super::framing::{self, missing_ids, schema_id};
use super::super::kind::FormatError;
use super::super::known::Known;
use super::super::{Decoded, Decoder, Layout};
use super::program::Program;
use super::reader::reader_schema;
use super::schema::AvroSchema;
use crate::schema::{Schema, SchemaId};

/// What can be done about payloads without a schema id.
const ADVICE: &str = "if it is Avro without one, give its schema as VALUE_SCHEMA or KEY_SCHEMA";

/// A decoder for payloads that begin with a schema id, as Confluent's serializers write them.
///
/// It knows no schema at first: see [`Decoder::missing_schemas`] and [`Decoder::learn`]. Fails if a field does not
/// exist, is requested twice or has a type that Avro cannot hold.
pub fn decoder(layout: &Layout, projection: &[usize]) -> Result<Box<dyn Decoder>, FormatError> {
    let by_id = |layout: &Layout, _: &[Option<usize>]| Programs::ById {
        reader: reader_schema(layout),
        known: Known::new(),
        last: 0,
    };
    Ok(Box::new(AvroDecoder::try_new(layout, projection, by_id)?))
}

/// A decoder for bare Avro, all of it written with one schema. Fails as [`decoder`] does.
pub fn bare_decoder(
    layout: &Layout,
    projection: &[usize],
    schema: Arc<AvroSchema>,
) -> Result<Box<dyn Decoder>, FormatError> {
    let only =
        |layout: &Layout, by_field: &[Option<usize>]| Programs::Only(Program::new(schema, None, layout, by_field));
    Ok(Box::new(AvroDecoder::try_new(layout, projection, only)?))
}

struct AvroDecoder {
    layout: Layout,
    by_field: Vec<Option<usize>>,
    columns: Vec<Column>,
    programs: Programs,
}

enum Programs {
    Only(Program),
    ById {
        /// The schema that the columns were taken from.
        reader: Option<Arc<AvroSchema>>,
        known: Known<Program>,
        /// Where in it the one is that the last payload was written with.
        last: usize,
    },
}

impl AvroDecoder {
    fn try_new(
        layout: &Layout,
        projection: &[usize],
        programs: impl FnOnce(&Layout, &[Option<usize>]) -> Programs,
    ) -> Result<Self, FormatError> {
        let Selected { columns, by_field, .. } = Selected::try_new(layout, projection)?;
        super::check_types(layout)?;
        let programs = programs(layout, &by_field);
        Ok(Self { layout: layout.clone(), by_field, columns, programs })
    }
}

impl Decoder for AvroDecoder {
    fn decode(&mut self, payloads: &BinaryArray) -> Decoded {
        let mut absent = Vec::new();
        let mut rows = Rows::new(&mut self.columns);
        for row in 0..payloads.len() {
            rows.decode(row, payloads, |payload, columns| {
                let (program, start) = self.programs.of(payload)?;
                let is_present = program.read(payload, start, columns).map_err(|fault| fault.reason("$"))?;
                if !is_present {
                    absent.push(row);
                }
                Ok(())
            });
        }
        let decoded = rows.finish();
        if let Programs::ById { known, .. } = &mut self.programs {
            known.end_batch();
        }
        Decoded { absent, ..decoded }
    }

    fn missing_schemas(&self, payloads: &BinaryArray) -> Vec<SchemaId> {
        let Programs::ById { known, .. } = &self.programs else { return Vec::new() };
        missing_ids(payloads, |id| known.contains(id))
    }

    fn learn(&mut self, id: SchemaId, schema: Result<Arc<Schema>, String>) {
        let Programs::ById { reader, known, .. } = &mut self.programs else { return };
        let parsed = schema.and_then(|schema| {
            AvroSchema::parse(&schema).map_err(|error| format!("the schema with id {id} cannot be used: {error}"))
        });
        let program = |schema| Program::new(Arc::new(schema), reader.as_ref(), &self.layout, &self.by_field);
        known.learn(id, parsed.map(program));
    }
}

impl Programs {
    /// The program for a payload, and the byte at which its value begins.
    #[inline]
    fn of(&mut self, payload: &[u8]) -> Result<(&Program, usize), String> {
        match self {
            Self::Only(program) => Ok((program, 0)),
            Self::ById { known, last, .. } => {
                let Some(id) = schema_id(payload) else { return Err(framing::no_schema_id(payload, ADVICE)) };
                Ok((known.get(id, last)?, framing::HEADER_LEN))
            }
        }
    }
}
