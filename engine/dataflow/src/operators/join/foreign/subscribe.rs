//! The first step: turns the changes of the left table into requests.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, Int32Array, Int64Array, RecordBatch, UInt32Array};
use arrow::buffer::NullBuffer;
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use headwater_language::diagnostic::Diagnostic;
use headwater_language::topology::{JoinKind, Subscribe as Definition};
use headwater_state::Store;

use super::request::Request;
use super::{index, take_all};
use crate::chunk::Chunk;
use crate::operator::{Context, Emitted, Operator, Port};
use crate::operators::encoding::Encoding;
use crate::operators::internal;

/// The operator that sends left rows to the rows that they refer to.
#[derive(Clone, Debug)]
pub struct Subscribe {
    /// The index of the column that refers to a right row.
    foreign_key: usize,
    encoding: Encoding,
    /// Whether left rows without a right row are kept.
    keeps_unmatched: bool,
    /// The index of its store in [`Context::stores`].
    store: usize,
    schema: SchemaRef,
}

/// A request.
struct Sent {
    /// The place of its columns among the rows of the chunk and, after those, the rows before.
    place: u32,
    /// The row of the chunk that caused it.
    row: u32,
    version: i64,
    request: Request,
}

impl Subscribe {
    /// Creates the operator for the changes of a table with these columns. Fails if the column does not exist.
    pub fn new(definition: &Definition, input: &SchemaRef, store: usize) -> Result<Self, Vec<Diagnostic>> {
        let foreign_key = index(&definition.foreign_key, input)?;
        let field = input.field(foreign_key).clone().with_nullable(true);
        let own = [(&definition.version, DataType::Int64), (&definition.request, DataType::Int32)];
        let own = own.map(|(name, data_type)| Field::new(name, data_type, true));
        let fields = input.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).chain(own);
        Ok(Self {
            foreign_key,
            encoding: Encoding::new(vec![Arc::new(field)]).map_err(internal)?,
            keeps_unmatched: definition.kind == JoinKind::Left,
            store,
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
        })
    }

    /// The columns of the table, then number and kind of request; all may be null.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The right row that each row refers to.
    fn references(&self, rows: &RecordBatch, valued: Option<&NullBuffer>) -> Result<BinaryArray, ArrowError> {
        let column = rows.column(self.foreign_key);
        let bytes = self.encoding.encode(std::slice::from_ref(column), rows.num_rows())?;
        let nulls = NullBuffer::union(column.logical_nulls().as_ref(), valued);
        let (offsets, values, _) = bytes.into_parts();
        Ok(BinaryArray::new(offsets, values, nulls))
    }

    /// The requests for the changes of a chunk, with numbers from `first` on.
    fn requests(&self, chunk: &Chunk, first: i64) -> Result<Vec<Sent>, ArrowError> {
        let missing = || ArrowError::ComputeError("a foreign key needs the rows before they changed".to_owned());
        let before = chunk.before.as_ref().ok_or_else(missing)?;
        let new = self.references(&chunk.rows, chunk.valued.as_ref())?;
        let old = self.references(&before.rows, before.valued.as_ref())?;
        let is_valid = |marks: &Option<NullBuffer>, row| marks.as_ref().is_none_or(|marks| marks.is_valid(row));
        let mut sent = Vec::with_capacity(chunk.len());
        for (row, version) in (0..chunk.len()).zip(first..) {
            let [now, then] = [&new, &old].map(|keys| keys.is_valid(row).then(|| keys.value(row)));
            let has_row = is_valid(&chunk.valued, row) && (now.is_some() || self.keeps_unmatched);
            let had_row = is_valid(&before.valued, row) && (then.is_some() || self.keeps_unmatched);
            let (at, before_at) = (row as u32, (chunk.len() + row) as u32);
            let mut send = |place, request| sent.push(Sent { place, row: at, version, request });
            if has_row {
                if then.is_some() && then != now {
                    send(before_at, Request::Unsubscribe);
                }
                send(at, Request::Subscribe);
            } else if had_row {
                send(before_at, Request::Delete);
            }
        }
        Ok(sent)
    }

    /// The rows of requests.
    fn rows(&self, chunk: Chunk, sent: &[Sent]) -> Result<Chunk, ArrowError> {
        let places: UInt32Array = sent.iter().map(|sent| Some(sent.place)).collect();
        let before = chunk.before.iter().flat_map(|before| before.rows.columns());
        let columns = chunk.rows.columns().iter().zip(before).map(|(now, then)| concat(&[now, then]));
        let mut columns = take_all(&columns.collect::<Result<Vec<_>, _>>()?, &places)?;
        let versions: Int64Array = sent.iter().map(|sent| Some(sent.version)).collect();
        let requests: Int32Array = sent.iter().map(|sent| Some(sent.request.number())).collect();
        columns.extend([Arc::new(versions) as ArrayRef, Arc::new(requests)]);
        let rows = RecordBatch::try_new(self.schema.clone(), columns)?;
        let causes: UInt32Array = sent.iter().map(|sent| Some(sent.row)).collect();
        let none = chunk.rows.project(&[])?;
        let chunk = Chunk { valued: None, before: None, headers: None, windows: None, ..chunk }.with_rows(none);
        Ok(chunk.take(&causes)?.with_rows(rows))
    }
}

/// The number of the next request of a task, whose key in the store is empty. Each left row is always in the same task, so that
/// its requests have growing numbers.
fn next(store: &dyn Store) -> Result<i64, ArrowError> {
    let damaged = || ArrowError::ParseError("the number of the next request is damaged".to_owned());
    let values = store.get(0, &BinaryArray::from_vec(vec![b""]))?;
    match values.is_null(0) {
        true => Ok(0),
        false => values.value(0).try_into().map(i64::from_be_bytes).map_err(|_| damaged()),
    }
}

impl Operator for Subscribe {
    fn push(&mut self, _: Port, chunk: Chunk, cx: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        let first = next(&*cx.stores[self.store])?;
        let after = first + chunk.len() as i64;
        let sent = self.requests(&chunk, first)?;
        let rows = self.rows(chunk, &sent)?;
        // Nothing fails from here on: if rows are pushed again after a failure, nothing must have changed.
        let value = BinaryArray::from_vec(vec![&after.to_be_bytes()]);
        cx.stores[self.store].put(0, &BinaryArray::from_vec(vec![b""]), &value);
        Ok(Emitted::from(rows))
    }

    fn grows(&self) -> bool {
        false
    }

    fn fresh(&self) -> Box<dyn Operator> {
        Box::new(self.clone())
    }
}
