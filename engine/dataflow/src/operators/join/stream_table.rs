//! A stream with a table: each row of the stream gets the row that the table has for its key at that time.
//!
//! Port 0 has the rows of the stream, port 1 the changes of the table, whose last row for each key is kept in a store. A batch of
//! the stream reads the store once, for its distinct keys. A change of the table emits nothing. It may be pushed before rows of the
//! stream that are older: these get the row before the change.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array,
};
use arrow::compute::take;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use headwater_language::diagnostic::Diagnostic;
use headwater_language::topology::{Join, JoinKind};
use headwater_state::Store;

use super::side::{Side, SideRows, existing, present};
use super::versions::{self, History, Versions};
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
    /// The former rows of the table that rows of the stream may still get.
    versions: Versions,
    /// Whether they were read from the store.
    is_restored: bool,
}

/// What rows of the table change.
struct Changed {
    /// The keys whose rows are to be put.
    keys: BinaryArray,
    /// The rows, null if they are deleted.
    rows: BinaryArray,
    /// The former rows of these keys, if rows of the stream may get them.
    histories: Vec<(Box<[u8]>, History)>,
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
            versions: Versions::default(),
            is_restored: false,
        })
    }

    /// The columns of its rows: those of the stream, then those of the table. All may be null.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows of the stream with those of the table at their stream times.
    fn joined(&self, chunk: Chunk, clocks_ms: &Int64Array, store: &dyn Store) -> Result<Emitted, ArrowError> {
        let key = self.stream.key(&chunk.rows).clone();
        let table = self.matches(&key, clocks_ms, store)?;
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

    /// The row of the table for each key at a stream time.
    fn matches(&self, key: &ArrayRef, clocks_ms: &Int64Array, store: &dyn Store) -> Result<SideRows, ArrowError> {
        let keys = self.stream.keys.encode(std::slice::from_ref(key), clocks_ms.len())?;
        let groups = group(&keys, &vec![0; clocks_ms.len()]);
        let distinct = taken(&keys, groups.firsts)?;
        let values = store.get(0, &distinct)?;
        let (values, numbers) = self.at(clocks_ms, &distinct, values, groups.numbers);
        let numbers = UInt32Array::from(numbers);
        let exists = present(&values).map(|found| take(&found, &numbers, None)).transpose()?;
        let columns = self.row.decode(&values)?;
        let values = columns.iter().map(|column| take(column, &numbers, None)).collect::<Result<_, _>>()?;
        Ok(SideRows { values, exists: exists.map(|exists| exists.as_boolean().clone()) })
    }

    /// The values that the table has for some keys, followed by former ones, and the place of each row's value among them. `numbers`
    /// has the place of each row's key.
    fn at(
        &self,
        clocks_ms: &Int64Array,
        keys: &BinaryArray,
        values: BinaryArray,
        mut numbers: Vec<u32>,
    ) -> (BinaryArray, Vec<u32>) {
        let earliest_ms = clocks_ms.values().iter().copied().min().unwrap_or(i64::MAX);
        if !self.versions.reach(earliest_ms) {
            return (values, numbers);
        }
        let histories: Vec<Option<&History>> = (0..keys.len()).map(|at| self.versions.of(keys.value(at))).collect();
        let mut all: Vec<Option<&[u8]>> = values.iter().collect();
        for (number, clock_ms) in numbers.iter_mut().zip(clocks_ms.values()) {
            if let Some(row) = histories[*number as usize].and_then(|history| history.at(*clock_ms)) {
                *number = all.len() as u32;
                all.push(row);
            }
        }
        (BinaryArray::from(all), numbers)
    }

    /// What changes of the table change. Changes nothing. Fails if a row is too large for the changelog.
    fn changed(&self, chunk: &Chunk, clocks_ms: &Int64Array, cx: &Context<'_>) -> Result<Changed, ArrowError> {
        let keys = self.table.keys.encode(std::slice::from_ref(self.table.key(&chunk.rows)), chunk.len())?;
        let groups = group(&keys, &vec![0; chunk.len()]);
        let values = self.values(chunk)?;
        // Also of a row that is replaced at once: what is rejected must not depend on how records are read.
        cx.limits.check(self.store, (&keys, &values), versions::RECORD_BYTES)?;
        let is_passed = clocks_ms.values().iter().all(|clock| *clock <= cx.passed_ms && !self.versions.reach(*clock));
        if is_passed {
            let lasts = groups.lasts();
            return Ok(Changed {
                keys: taken(&keys, lasts.clone())?,
                rows: taken(&values, lasts)?,
                histories: Vec::new(),
            });
        }
        let keys = taken(&keys, groups.firsts)?;
        let stored = cx.stores[self.store].get(0, &keys)?;
        let mut present: Vec<Option<&[u8]>> = stored.iter().collect();
        let mut histories: Vec<Option<History>> = vec![None; keys.len()];
        for ((group, clock_ms), row) in groups.numbers.iter().zip(clocks_ms.values()).zip(values.iter()) {
            let group = *group as usize;
            let known = || self.versions.of(keys.value(group)).cloned().unwrap_or_default();
            let history = histories[group].get_or_insert_with(known);
            if history.add(*clock_ms, row, present[group], cx.passed_ms) {
                present[group] = row;
            }
        }
        let history = |(at, history): (usize, Option<History>)| Some((keys.value(at).into(), history?));
        let histories = histories.into_iter().enumerate().filter_map(history).collect();
        Ok(Changed { rows: BinaryArray::from(present), keys, histories })
    }

    /// The rows of the table as they are stored, null if they are deleted.
    fn values(&self, chunk: &Chunk) -> Result<BinaryArray, ArrowError> {
        let rows = self.row.encode(&self.table.values(&chunk.rows), chunk.len())?;
        let valued = chunk.valued.as_ref().map(|valued| BooleanArray::new(valued.inner().clone(), None));
        existing(&rows, valued.as_ref())
    }

    /// Reads the former rows from the store, before the first row.
    fn read_versions(&mut self, store: &dyn Store) -> Result<(), ArrowError> {
        if !self.is_restored {
            self.versions = Versions::read(store)?;
            self.is_restored = true;
        }
        Ok(())
    }
}

impl Operator for JoinStreamTable {
    /// Joins rows of the stream, or keeps rows of the table. Rows without a key have no match and are reported.
    fn push(&mut self, port: Port, chunk: Chunk, cx: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        self.read_versions(&*cx.stores[self.store])?;
        let (mut clocks, mut failures) = (cx.clocks.clone(), Vec::new());
        let clocks_ms = clocks.advance_by_row(&chunk, cx.source);
        let chunk = Chunk { clocks_ms: Some(clocks_ms), ..chunk };
        let side = if port == Port(0) { &self.stream } else { &self.table };
        let chunk = side.keyed(chunk, &mut failures)?;
        let clocks_ms = chunk.clocks_ms.clone().expect("it was set above");
        let (emitted, changed) = match port {
            Port(0) => (self.joined(chunk, &clocks_ms, &*cx.stores[self.store])?, None),
            _ => (Emitted::Nothing, Some(self.changed(&chunk, &clocks_ms, cx)?)),
        };
        // Nothing fails from here on: if rows are pushed again after a failure, nothing must have changed.
        if let Some(Changed { keys, rows, histories }) = changed {
            cx.stores[self.store].put(0, &keys, &rows);
            self.versions.put(histories);
            self.versions.pass(cx.passed_ms);
        }
        *cx.clocks = clocks;
        cx.failures.extend(failures);
        Ok(emitted)
    }

    fn barrier(&mut self, cx: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        self.read_versions(&*cx.stores[self.store])?;
        let bytes_max = cx.limits.bytes_max(self.store);
        self.versions.save(cx.passed_ms, bytes_max, &mut *cx.stores[self.store]);
        Ok(Emitted::Nothing)
    }

    fn grows(&self) -> bool {
        true
    }

    fn fresh(&self) -> Box<dyn Operator> {
        Box::new(Self { versions: Versions::default(), is_restored: false, ..self.clone() })
    }
}

fn taken(values: &BinaryArray, at: impl Into<UInt32Array>) -> Result<BinaryArray, ArrowError> {
    Ok(take(values, &at.into(), None)?.as_binary().clone())
}
