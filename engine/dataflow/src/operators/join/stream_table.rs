//! A stream with a table: each row of the stream gets the row that the table has for its key at that time.
//!
//! Port 0 has the rows of the stream, port 1 the changes of the table, whose last row for each key is kept in a store. A batch of
//! the stream reads the store once, for its distinct keys. A change of the table emits nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use headwater_language::diagnostic::Diagnostic;
use headwater_language::topology::{Join, JoinKind};
use headwater_state::Store;

use super::side::{Side, SideRows, existing, present};
use crate::chunk::Chunk;
use crate::operator::{Context, Emitted, Operator, Port};
use crate::operators::encoding::Encoding;
use crate::operators::grouping::group;
use crate::operators::internal;

/// The operator for a join of a stream with a table.
#[derive(Clone, Debug)]
pub struct JoinStreamTable {
    /// Whether rows of the stream without a match are emitted.
    keeps_unmatched: bool,
    stream: Side,
    table: Side,
    /// The encoding of the table's rows.
    row: Encoding,
    /// The index of its store in [`Context::stores`].
    store: usize,
    schema: SchemaRef,
}

impl JoinStreamTable {
    /// Creates the operator for a stream and a table with these columns, of which it emits those that are `used`. The table is
    /// kept in the store at the index `store`. Fails if a column of the join does not exist.
    pub fn new(
        join: &Join,
        [stream, table]: [&SchemaRef; 2],
        used: &BTreeSet<String>,
        store: usize,
    ) -> Result<Self, Vec<Diagnostic>> {
        let (stream, table) = (Side::new(&join.left, stream, used)?, Side::new(&join.right, table, used)?);
        let fields: Vec<_> = stream.fields.iter().chain(&table.fields).cloned().collect();
        Ok(Self {
            keeps_unmatched: join.kind == JoinKind::Left,
            row: Encoding::new(table.value_fields()).map_err(internal)?,
            stream,
            table,
            store,
            schema: Arc::new(Schema::new(fields)),
        })
    }

    /// The columns of its rows: those of the stream, then those of the table. All may be null.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows of the stream with those of the table.
    fn joined(&self, chunk: Chunk, store: &dyn Store) -> Result<Emitted, ArrowError> {
        let key = self.stream.key(&chunk.rows).clone();
        let table = self.matches(&key, chunk.len(), store)?;
        let of_stream = SideRows { values: self.stream.values(&chunk.rows), exists: None };
        let mut columns = self.stream.emitted(&key, &of_stream, None)?;
        columns.extend(self.table.emitted(&key, &table, None)?);
        let options = RecordBatchOptions::new().with_row_count(Some(chunk.len()));
        let rows = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        let chunk = chunk.with_rows(rows);
        match table.exists.filter(|_| !self.keeps_unmatched) {
            Some(matched) => chunk.filter(&matched).map(Emitted::from),
            None => Ok(Emitted::from(chunk)),
        }
    }

    /// The row of the table for each key.
    fn matches(&self, key: &ArrayRef, rows: usize, store: &dyn Store) -> Result<SideRows, ArrowError> {
        let keys = self.stream.keys.encode(std::slice::from_ref(key), rows)?;
        let groups = group(&keys, &vec![0; rows]);
        let values = store.get(0, &taken(&keys, groups.firsts)?)?;
        let numbers = UInt32Array::from(groups.numbers);
        let exists = present(&values).map(|found| take(&found, &numbers, None)).transpose()?;
        let columns = self.row.decode(&values)?;
        let values = columns.iter().map(|column| take(column, &numbers, None)).collect::<Result<_, _>>()?;
        Ok(SideRows { values, exists: exists.map(|exists| exists.as_boolean().clone()) })
    }

    /// The last row of each key of the table, null if it was deleted.
    fn last_rows(&self, chunk: &Chunk) -> Result<(BinaryArray, BinaryArray), ArrowError> {
        let keys = self.table.keys.encode(std::slice::from_ref(self.table.key(&chunk.rows)), chunk.len())?;
        let groups = group(&keys, &vec![0; chunk.len()]);
        let mut lasts = groups.firsts;
        (0..).zip(&groups.numbers).for_each(|(row, number)| lasts[*number as usize] = row);
        let lasts = UInt32Array::from(lasts);
        let last = |column: &ArrayRef| take(column, &lasts, None);
        let columns = self.table.values(&chunk.rows).iter().map(last).collect::<Result<Vec<_>, _>>()?;
        let valued = chunk.valued.as_ref().map(|valued| BooleanArray::new(valued.inner().clone(), None));
        let valued = valued.map(|valued| take(&valued, &lasts, None)).transpose()?;
        let rows = self.row.encode(&columns, lasts.len())?;
        let rows = existing(&rows, valued.as_ref().map(|valued| valued.as_boolean()))?;
        Ok((taken(&keys, lasts)?, rows))
    }
}

impl Operator for JoinStreamTable {
    /// Joins rows of the stream, or keeps rows of the table. Rows without a key have no match and are reported.
    fn push(&mut self, port: Port, chunk: Chunk, cx: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        let mut clocks = cx.clocks.clone();
        clocks.advance_with(&chunk, cx.source);
        let (mut failures, store) = (Vec::new(), &mut cx.stores[self.store]);
        let emitted = if port == Port(0) {
            let chunk = self.stream.keyed(chunk, &mut failures)?;
            self.joined(chunk, &**store)?
        } else {
            let (keys, rows) = self.last_rows(&self.table.keyed(chunk, &mut failures)?)?;
            store.put(0, &keys, &rows);
            Emitted::Nothing
        };
        // Nothing fails from here on: if rows are pushed again after a failure, nothing must have changed.
        *cx.clocks = clocks;
        cx.failures.extend(failures);
        Ok(emitted)
    }

    fn grows(&self) -> bool {
        true
    }

    fn fresh(&self) -> Box<dyn Operator> {
        Box::new(self.clone())
    }
}

fn taken(values: &BinaryArray, at: impl Into<UInt32Array>) -> Result<BinaryArray, ArrowError> {
    Ok(take(values, &at.into(), None)?.as_binary().clone())
}
