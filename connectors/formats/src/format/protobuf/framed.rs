//! Confluent's framing around messages, and the decoder of messages that were written with registered schemas.
//!
//! ```text
//! payload = 0, the id of the schema (4 bytes, big-endian), message indexes, message
//! indexes = the number of indexes, then each index, as varints with the sign in the lowest bit; or 0 for "the first"
//! ```
//!
//! Separate from [`super::decode`] because it chooses the message: payloads of several writers, each with its own version
//! of the schema, are in one batch. For each of them there is a plan for the same columns.

use std::sync::Arc;

use arrow::array::{Array as _, BinaryArray};

use super::WHOLE;
use super::message::Message;
use super::plan::Plan;
use super::schema::Compiled;
use super::wire::Input;
use crate::format::batch::{Rows, Selected};
use crate::format::column::Column;
use crate::format::framing::{missing_ids, no_schema_id, schema_id};
use crate::format::kind::FormatError;
use crate::format::known::Known;
use crate::format::varint::unzigzag;
use crate::format::{Decoded, Decoder, Layout};
use crate::schema::{Schema, SchemaId};

/// What can be done about payloads without a schema id.
const ADVICE: &str = "if it is Protobuf without one, give its schema as VALUE_SCHEMA or KEY_SCHEMA";

/// The most indexes of a message: how deep messages are declared within each other.
const INDEXES_MAX: usize = 16;

/// Decodes payloads that begin with the id of a schema and the indexes of a message in it.
pub struct FramedProtobufDecoder {
    layout: Layout,
    places: Vec<Option<usize>>,
    columns: Vec<Column>,
    schemas: Known<Compiled>,
    /// A plan for each message that was met, the last used first.
    programs: Vec<Program>,
}

/// How the payloads of one message are read.
struct Program {
    address: Address,
    /// What was in front of its first payload, as nearly all others have it, too.
    frame: Vec<u8>,
    plan: Result<Plan, String>,
}

/// Which message a payload is.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Address {
    schema: SchemaId,
    /// The number of indexes, and the indexes.
    count: usize,
    indexes: [u32; INDEXES_MAX],
}

impl FramedProtobufDecoder {
    /// A decoder for the columns of a layout, which are the fields with their names. Fails if a field does not exist, is
    /// requested twice or has a type that no format has.
    pub fn try_new(layout: &Layout, projection: &[usize]) -> Result<Self, FormatError> {
        let Selected { columns, by_field, .. } = Selected::try_new(layout, projection)?;
        let (schemas, programs) = (Known::new(), Vec::new());
        Ok(Self { layout: layout.clone(), places: by_field, columns, schemas, programs })
    }

    /// Makes the plan of a payload's message the first one, creating it if it is new. Returns the byte at which the
    /// message begins.
    fn prepare(
        programs: &mut Vec<Program>,
        payload: &[u8],
        new: impl FnOnce(Address) -> Result<Program, String>,
    ) -> Result<usize, String> {
        match programs.first() {
            Some(last) if payload.starts_with(&last.frame) => return Ok(last.frame.len()),
            _ => {}
        }
        let mut input = Input::new(payload);
        let address = read_address(&mut input)?;
        let start = payload.len() - input.rest().len();
        match programs.iter().position(|program| program.address == address) {
            Some(index) => programs[..=index].rotate_right(1),
            None => programs.insert(0, Program { frame: payload[..start].to_vec(), ..new(address)? }),
        }
        Ok(start)
    }
}

impl Decoder for FramedProtobufDecoder {
    fn decode(&mut self, payloads: &BinaryArray) -> Decoded {
        let Self { layout, places, columns, schemas, programs } = self;
        let mut rows = Rows::new(columns);
        for row in 0..payloads.len() {
            rows.decode(row, payloads, |payload, columns| {
                let new = |address| Program::new(address, schemas, layout, places);
                let start = Self::prepare(programs, payload, new)?;
                let plan = programs[0].plan.as_mut().map_err(|reason| reason.clone())?;
                plan.read(&mut Input::behind(payload, start), Some(columns)).map_err(|fault| fault.reason(WHOLE))
            });
        }
        let decoded = rows.finish();
        schemas.end_batch();
        decoded
    }

    fn missing_schemas(&self, payloads: &BinaryArray) -> Vec<SchemaId> {
        missing_ids(payloads, |id| self.schemas.contains(id))
    }

    fn learn(&mut self, id: SchemaId, schema: Result<Arc<Schema>, String>) {
        let unusable = |error: String| format!("the schema with id {id} cannot be used: {error}");
        self.programs.retain(|program| program.address.schema != id);
        self.schemas.learn(id, schema.and_then(|schema| Compiled::new(&schema).map_err(unusable)));
    }
}

impl Program {
    /// Fails if there is no such message, without keeping anything: there may be any number of wrong addresses.
    fn new(
        address: Address,
        schemas: &Known<Compiled>,
        layout: &Layout,
        places: &[Option<usize>],
    ) -> Result<Self, String> {
        let id = address.schema;
        let unusable = |error: String| format!("the schema with id {id} cannot be used: {error}");
        let message = schemas.get(id, &mut 0)?.message_at(&address.indexes[..address.count]).map_err(unusable)?;
        let plan = Plan::new(&message, &layout.fields, places).map_err(unusable);
        Ok(Self { address, frame: Vec::new(), plan })
    }
}

/// The message of a payload that was written with this schema, and the byte at which it begins.
pub fn message_of(schema: &Schema, payload: &[u8]) -> Result<(Arc<Message>, usize), String> {
    let mut input = Input::new(payload);
    let address = read_address(&mut input)?;
    let message = Compiled::new(schema)?.message_at(&address.indexes[..address.count])?;
    Ok((message, payload.len() - input.rest().len()))
}

/// Reads what is in front of the message, up to the message.
#[inline]
fn read_address(input: &mut Input<'_>) -> Result<Address, String> {
    let Some(schema) = schema_id(input.rest()) else { return Err(no_schema_id(input.rest(), ADVICE)) };
    let _frame: Option<[u8; 5]> = input.take();
    let mut address = Address { schema, count: 1, indexes: [0; INDEXES_MAX] };
    let mut next = || input.varint().map(unzigzag).map_err(|fault| fault.reason(WHOLE));
    let count = next()?;
    if count == 0 {
        return Ok(address);
    }
    address.count =
        usize::try_from(count).ok().filter(|count| *count <= INDEXES_MAX).ok_or_else(|| no_indexes(count))?;
    for index in &mut address.indexes[..address.count] {
        let given = next()?;
        *index = u32::try_from(given).map_err(|_| format!("{given} is not the index of a message"))?;
    }
    Ok(address)
}

#[cold]
fn no_indexes(count: i64) -> String {
    format!("a message has between 1 and {INDEXES_MAX} indexes, not {count}")
}
