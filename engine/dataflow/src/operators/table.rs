//! A table: keeps the last row of each key in a store, and emits the changes, each with the row that was there before.
//!
//! The records of a batch are grouped by key, so that the store is read and written once. The operator emits either every
//! change, or each changed key once, at the barrier: then the rows are what the ends of two epochs differ by. A delete of a key
//! that has no row changes nothing and is not emitted.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{concat, nullif, take};
use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};
use arrow::error::ArrowError;
use headwater_expression::Failure;
use headwater_formats::decode::{ROWOFFSET, ROWTIME, WINDOWEND, WINDOWSTART};
use headwater_language::diagnostic::Diagnostic;
use headwater_language::topology::TableStore;
use headwater_state::{Changes, Scanned};

use crate::chunk::{Before, Chunk, Origins};
use crate::clocks::SourcePartition;
use crate::complaint::NO_KEY;
use crate::keeper::{Found, Keeper};
use crate::operator::{Context, Emitted, Operator, Port};
use crate::operators::encoding::{Encoding, States};
use crate::operators::grouping::{Groups, group};
use crate::operators::internal;

/// The operator for a table.
#[derive(Clone, Debug)]
pub struct Table {
    /// The columns of its rows, and where each of them is kept.
    schema: SchemaRef,
    places: Vec<Place>,
    /// The encoding of a key.
    key: Encoding,
    /// The encoding of a row.
    row: Encoding,
    /// The index of its store in [`Context::stores`].
    store: usize,
    emits_every_change: bool,
    gives_before: bool,
    /// Whether nothing is emitted: the table is read from the store.
    is_result: bool,
    /// The records that deleted rows in this epoch: the store has nothing for them.
    deletes: BTreeMap<Box<[u8]>, Delete>,
    /// The partition of the records in this epoch.
    source: Option<SourcePartition>,
}

/// Where a column is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The column of the key with this index.
    Key(usize),
    /// The column of the value with this index.
    Value(usize),
    /// It is the event time.
    Time,
    /// It is the offset of the record.
    Offset,
}

/// The record that deleted a row.
#[derive(Clone, Copy, Debug)]
struct Delete {
    time_ms: i64,
    offset: i64,
    /// The record of the query's input that it came from, if it is not that one itself.
    origin: Option<(SourcePartition, i64)>,
}

impl Table {
    /// Creates the operator for rows with the columns of `input`, with its state in the store at the index `store`. With
    /// `emits_every_change` it emits every change, otherwise each changed key at the barrier. With `gives_before` the rows include
    /// those before the change. Fails if a column of the key does not exist.
    pub fn new(
        table: &TableStore,
        input: &SchemaRef,
        store: usize,
        emits_every_change: bool,
        gives_before: bool,
    ) -> Result<Self, Vec<Diagnostic>> {
        if let Some(missing) = table.key.iter().find(|name| input.index_of(name).is_err()) {
            return Err(internal(format!("column \"{missing}\" does not exist")));
        }
        let places = places(table, input);
        let fields = |of: fn(&Place) -> Option<usize>| -> Vec<FieldRef> {
            let mut fields: Vec<(usize, &Field)> =
                input.fields().iter().zip(&places).filter_map(|(field, place)| Some((of(place)?, &**field))).collect();
            fields.sort_by_key(|(at, _)| *at);
            fields.into_iter().map(|(_, field)| Arc::new(field.clone().with_nullable(true))).collect()
        };
        let keys = fields(|place| if let Place::Key(at) = place { Some(*at) } else { None });
        let values = fields(|place| if let Place::Value(at) = place { Some(*at) } else { None });
        Ok(Self {
            schema: input.clone(),
            key: Encoding::new(keys).map_err(internal)?,
            row: States::encoding(values.iter().map(|field| field.as_ref().clone())).map_err(internal)?,
            places,
            store,
            emits_every_change: emits_every_change && !table.is_result,
            gives_before,
            is_result: table.is_result,
            deletes: BTreeMap::new(),
            source: None,
        })
    }

    /// The rows that have a key. The others are reported: a table has no place for them.
    fn keyed(&self, chunk: Chunk, failures: &mut Vec<Failure>) -> Result<Chunk, ArrowError> {
        let index = |at: usize| self.places.iter().position(|place| *place == Place::Key(at));
        let keys: Vec<usize> = (0..).map_while(index).collect();
        let has_key = |row: usize| keys.iter().any(|at| chunk.rows.column(*at).is_valid(row));
        if keys.iter().any(|at| chunk.rows.column(*at).null_count() == 0) {
            return Ok(chunk);
        }
        let keyed: BooleanArray = (0..chunk.len()).map(|row| Some(has_key(row))).collect();
        let expr = keys.iter().map(|at| self.schema.field(*at).name().as_str()).collect::<Vec<_>>().join(", ");
        let failure = |row| Failure { row, expr: expr.clone(), reason: NO_KEY.to_owned() };
        failures.extend((0..chunk.len()).filter(|row| !keyed.value(*row)).map(failure));
        chunk.filter(&keyed)
    }

    /// The columns of some rows that are kept in keys, and those that are kept in values, each in their order.
    fn split(&self, rows: &RecordBatch) -> (Vec<ArrayRef>, Vec<ArrayRef>) {
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for (place, column) in self.places.iter().zip(rows.columns()) {
            match place {
                Place::Key(at) => keys.push((*at, column.clone())),
                Place::Value(at) => values.push((*at, column.clone())),
                Place::Time | Place::Offset => {}
            }
        }
        let ordered = |mut columns: Vec<(usize, ArrayRef)>| {
            columns.sort_by_key(|(at, _)| *at);
            columns.into_iter().map(|(_, column)| column).collect()
        };
        (ordered(keys), ordered(values))
    }

    /// Rows from what is kept of them.
    fn joined(&self, keys: &[ArrayRef], states: &States) -> Result<RecordBatch, ArrowError> {
        let column = |place: &Place| match place {
            Place::Key(at) => keys[*at].clone(),
            Place::Value(at) => states.columns[*at].clone(),
            Place::Time => Arc::new(states.times_ms.clone()) as ArrayRef,
            Place::Offset => Arc::new(states.offsets.clone()),
        };
        let options = RecordBatchOptions::new().with_row_count(Some(states.offsets.len()));
        RecordBatch::try_new_with_options(self.schema.clone(), self.places.iter().map(column).collect(), &options)
    }

    /// The values to be stored for rows; null for a record that deletes its row.
    fn values(&self, chunk: &Chunk, columns: Vec<ArrayRef>) -> Result<BinaryArray, ArrowError> {
        let values = States::of(chunk, columns).encode(&self.row)?;
        let Some(valued) = &chunk.valued else { return Ok(values) };
        nullif(&values, &BooleanArray::new(!valued.inner(), None)).map(|values| values.as_binary::<i32>().clone())
    }

    /// The changes that rows make, in their order, without deletes of keys that have no row. `stored` has the value of each key
    /// before.
    fn changes(&self, chunk: Chunk, groups: &Groups, stored: &BinaryArray) -> Result<Chunk, ArrowError> {
        let (places, count) = (groups.previous(), groups.firsts.len());
        let had = |place: &u32| match (*place as usize).checked_sub(count) {
            None => stored.is_valid(*place as usize),
            Some(row) => chunk.valued.as_ref().is_none_or(|valued| valued.is_valid(row)),
        };
        let had: BooleanArray = places.values().iter().map(|place| Some(had(place))).collect();
        let is_change = |row: usize| had.value(row) || chunk.valued.as_ref().is_none_or(|valued| valued.is_valid(row));
        let changed: BooleanArray = (0..chunk.len()).map(|row| Some(is_change(row))).collect();
        let before = self.gives_before.then(|| self.before(&chunk, groups, stored, &places)).transpose()?;
        let before = before.map(|rows| Before { rows, valued: marks(had.values().clone().into()) });
        Chunk { before, ..chunk }.filter(&changed)
    }

    /// The row before each row, which is one of the batch or one of the store.
    fn before(
        &self,
        chunk: &Chunk,
        groups: &Groups,
        stored: &BinaryArray,
        places: &UInt32Array,
    ) -> Result<RecordBatch, ArrowError> {
        let firsts = UInt32Array::from(groups.firsts.clone());
        let key = |column: &ArrayRef| take(column, &firsts, None);
        let keys = self.split(&chunk.rows).0.iter().map(key).collect::<Result<Vec<_>, _>>()?;
        let stored = self.joined(&keys, &States::decode(&self.row, stored)?)?;
        let columns = stored.columns().iter().zip(chunk.rows.columns());
        let column = |(stored, new): (&ArrayRef, &ArrayRef)| take(&concat(&[stored, new])?, places, None);
        let options = RecordBatchOptions::new().with_row_count(Some(chunk.len()));
        RecordBatch::try_new_with_options(self.schema.clone(), columns.map(column).collect::<Result<_, _>>()?, &options)
    }

    /// Remembers the records that deleted rows, until the barrier.
    fn note_deletes(&mut self, chunk: &Chunk, keys: &BinaryArray, values: &BinaryArray, lasts: &UInt32Array) {
        for (at, row) in lasts.values().iter().map(|row| *row as usize).enumerate() {
            if values.is_null(at) {
                let origin = chunk.origins.as_ref().map(|origins| (origins.source(row), origins.offsets.value(row)));
                let (time_ms, offset) = (chunk.times_ms.value(row), chunk.offsets.value(row));
                self.deletes.insert(keys.value(at).into(), Delete { time_ms, offset, origin });
            }
        }
    }

    /// The keys that have changed since the last barrier, ordered by the offset of the record that changed them last.
    fn changed_keys(&self, changes: Changes) -> Result<Chunk, ArrowError> {
        let Changes { keys: key_bytes, values, before, .. } = changes;
        let keys = self.key.decode(&key_bytes)?;
        let states = self.with_deletes(States::decode(&self.row, &values)?, &key_bytes);
        let rows = self.joined(&keys, &states)?;
        let before = self.gives_before.then(|| {
            let rows = self.joined(&keys, &States::decode(&self.row, &before)?)?;
            Ok::<_, ArrowError>(Before { rows, valued: before.nulls().cloned() })
        });
        let mut order: Vec<u32> = (0..states.offsets.len() as u32).collect();
        order.sort_by_key(|row| states.offsets.value(*row as usize));
        let origins = states.origins().or_else(|| self.own_origins(&states.offsets));
        let (times_ms, offsets, valued) = (states.times_ms, states.offsets, values.nulls().cloned());
        let (headers, windows, clocks_ms, before) = (None, None, None, before.transpose()?);
        let chunk = Chunk { rows, times_ms, offsets, headers, valued, windows, before, origins, clocks_ms };
        chunk.take(&UInt32Array::from(order))
    }

    /// States in which a removed row has the time and the address of the record that removed it.
    fn with_deletes(&self, states: States, keys: &BinaryArray) -> States {
        let delete = |row: usize| if states.offsets.is_null(row) { self.deletes.get(keys.value(row)) } else { None };
        let deletes: Vec<Option<&Delete>> = (0..keys.len()).map(delete).collect();
        let integers = |column: &Int64Array, of: fn(&Delete) -> Option<i64>| -> Int64Array {
            column.iter().zip(&deletes).map(|(value, delete)| delete.map_or(value, of)).collect()
        };
        let small = |column: &arrow::array::Int32Array, of: fn(&SourcePartition) -> i32| {
            let origin = |delete: &Delete| delete.origin.map(|(source, _)| of(&source));
            column.iter().zip(&deletes).map(|(value, delete)| delete.map_or(value, origin)).collect()
        };
        let origins = Origins {
            sources: small(&states.origins.sources, |source| source.source),
            partitions: small(&states.origins.partitions, |source| source.partition),
            offsets: integers(&states.origins.offsets, |delete| delete.origin.map(|(_, offset)| offset)),
        };
        let times_ms = integers(&states.times_ms, |delete| Some(delete.time_ms));
        let offsets = integers(&states.offsets, |delete| Some(delete.offset));
        States { times_ms, offsets, origins, ..states }
    }

    /// The addresses of records that are those of the query's input themselves.
    fn own_origins(&self, offsets: &Int64Array) -> Option<Origins> {
        self.source.map(|source| Origins::own(source, offsets))
    }
}

/// Where the columns of rows are kept.
fn places(table: &TableStore, input: &SchemaRef) -> Vec<Place> {
    let mut values = 0..;
    let place = |field: &FieldRef| match (table.key.iter().position(|key| key == field.name()), field.name().as_str()) {
        (Some(at), _) => Place::Key(at),
        (None, ROWTIME) => Place::Time,
        (None, ROWOFFSET) => Place::Offset,
        (None, _) => Place::Value(values.next().unwrap_or(usize::MAX)),
    };
    input.fields().iter().map(place).collect()
}

/// The marks, or `None` if all rows are marked.
fn marks(marks: NullBuffer) -> Option<NullBuffer> {
    Some(marks).filter(|marks| marks.null_count() > 0)
}

impl Operator for Table {
    /// Replaces the rows of the records' keys. A record without a value deletes the row; one without a key is reported.
    fn push(&mut self, _: Port, chunk: Chunk, cx: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        let chunk = self.keyed(chunk, cx.failures)?;
        if chunk.is_empty() {
            return Ok(Emitted::Nothing);
        }
        let (key_columns, value_columns) = self.split(&chunk.rows);
        let keys = self.key.encode(&key_columns, chunk.len())?;
        let groups = group(&keys, &vec![0; chunk.len()]);
        let bytes = |column: &BinaryArray, rows: &UInt32Array| -> Result<BinaryArray, ArrowError> {
            take(column, rows, None).map(|taken| taken.as_binary().clone())
        };
        let values = self.values(&chunk, value_columns)?;
        // Also of a row that is replaced at once: what is rejected must not depend on how records are read.
        cx.limits.check(self.store, (&keys, &values), 0)?;
        let lasts = groups.lasts();
        let [keys, values] = [bytes(&keys, &lasts)?, bytes(&values, &lasts)?];
        let emitted = match self.emits_every_change {
            true => Some(self.changes(chunk.clone(), &groups, &cx.stores[self.store].get(0, &keys)?)?),
            false => None,
        };
        // Nothing fails from here on: if rows are pushed again after a failure, nothing must have changed.
        cx.stores[self.store].put(0, &keys, &values);
        cx.clocks.advance_with(&chunk, cx.source);
        if !self.emits_every_change && !self.is_result {
            self.note_deletes(&chunk, &keys, &values, &lasts);
            self.source = Some(cx.source);
        }
        Ok(emitted.map_or(Emitted::Nothing, Emitted::from))
    }

    fn barrier(&mut self, cx: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        if self.emits_every_change || self.is_result {
            return Ok(Emitted::Nothing);
        }
        let emitted = self.changed_keys(cx.stores[self.store].changes()?)?;
        self.deletes.clear();
        Ok(Emitted::from(emitted))
    }

    /// The rows of a table with windows are only shown, never kept in a topic.
    fn keeper(&self) -> Option<&dyn Keeper> {
        let is_bound = |field: &FieldRef| [WINDOWSTART, WINDOWEND].contains(&field.name().as_str());
        (!self.schema.fields().iter().any(is_bound)).then_some(self)
    }

    fn grows(&self) -> bool {
        false
    }

    fn fresh(&self) -> Box<dyn Operator> {
        Box::new(Self { deletes: BTreeMap::new(), source: None, ..self.clone() })
    }
}

impl Keeper for Table {
    fn stores(&self) -> Range<usize> {
        self.store..self.store + 1
    }

    fn rows(&self, found: Found<'_>) -> Result<Chunk, ArrowError> {
        let Scanned { keys, values, .. } = found.keys;
        let states = States::decode(&self.row, values)?;
        let rows = self.joined(&self.key.decode(keys)?, &states)?;
        let (times_ms, offsets) = (states.times_ms, states.offsets);
        Ok(Chunk::of_state(rows, times_ms, offsets))
    }

    fn key_types(&self) -> Vec<DataType> {
        self.key.types()
    }

    fn keys(&self, columns: &[ArrayRef]) -> Result<BinaryArray, ArrowError> {
        self.key.encode(columns, columns.first().map_or(0, |column| column.len()))
    }
}
