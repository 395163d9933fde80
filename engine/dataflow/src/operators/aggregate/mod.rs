//! GROUP BY: adds rows to the state of their group, and emits the groups that change.
//!
//! A batch is grouped once, by window and key. The states of its groups are read, changed as columns and written, with one
//! read and one write of the store for each window. The operator emits either the group of each row as it is after that row,
//! or each changed group once, at the barrier. A row of a table that changes is taken out as it was before and added as it is now.

mod changes;
mod rejection;
#[cfg(test)]
mod table_tests;
#[cfg(test)]
mod tests;
mod windowing;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use headwater_expression::Failure;
use headwater_formats::decode::{WINDOWEND, WINDOWSTART};
use headwater_functions::fold::{Fold, Rows, constant, fold};
use headwater_functions::in_one_form;
use headwater_language::diagnostic::{Diagnostic, INTERNAL};
use headwater_language::topology::{AggregateCall, Aggregation};
use headwater_state::{Scanned, Store};

use crate::chunk::{Before, Chunk};
use crate::clocks::{Clocks, SourcePartition};
use crate::materialized::Keeper;
use crate::operator::{Context, Emitted, Operator, Port};
use crate::operators::encoding::{Encoding, States};
use crate::operators::grouping::{Groups, group};
use changes::{expand, shown};
use rejection::{Rejected, rejected};
use windowing::{Arrived, Windows, arrive};

/// The operator for GROUP BY.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// The indices of the GROUP BY columns.
    groups: Vec<usize>,
    windows: Option<Windows>,
    calls: Vec<Call>,
    /// The encoding of a group's key.
    key: Encoding,
    /// The encoding of a group's state.
    state: Encoding,
    /// The index of its store in [`Context::stores`].
    store: usize,
    emits_every_change: bool,
    gives_before: bool,
    schema: SchemaRef,
}

/// A call of an aggregate.
#[derive(Clone, Debug)]
struct Call {
    /// The call as EXPLAIN shows it.
    text: String,
    fold: Arc<dyn Fold>,
    /// The indices of the columns that are its arguments.
    args: Vec<usize>,
    /// The positions of its state among the state columns of all calls.
    state: Range<usize>,
}

/// The outcome of folding a batch.
enum Outcome {
    /// All rows can be folded.
    Changed(Box<Changed>),
    /// Some rows cannot be folded by one of the calls, and are to be left out.
    Rejected(Vec<Rejected>),
}

/// The effect of a batch on its groups.
struct Changed {
    /// The keys and values to be put, by window.
    puts: Vec<(i64, BinaryArray, BinaryArray)>,
    emitted: Emitted,
}

impl Aggregate {
    /// Creates the operator for rows with the columns of `input`, with its state in the store at the index `store`. With
    /// `emits_every_change` it emits the group of each row, otherwise each changed group at the barrier. With `gives_before` the
    /// rows include their groups before the change. Fails if a column does not exist, or if an aggregate or a type of window is
    /// not supported.
    pub fn new(
        aggregation: &Aggregation,
        input: &SchemaRef,
        store: usize,
        emits_every_change: bool,
        gives_before: bool,
    ) -> Result<Self, Vec<Diagnostic>> {
        let Aggregation { groups, window, calls, .. } = aggregation;
        let groups = indices(groups, input)?;
        let windows = window.map(|window| {
            let refused = || internal(format!("{} windows are not supported yet", window.def.word()));
            Windows::new(window).ok_or_else(refused)
        });
        let windows = windows.transpose()?;
        let mut states = Vec::new();
        let folds = calls.iter().map(|call| Call::new(call, input, &mut states)).collect::<Result<Vec<_>, _>>()?;
        let group_fields: Vec<FieldRef> =
            groups.iter().map(|at| Arc::new(input.field(*at).clone().with_nullable(true))).collect();
        let mut fields = group_fields.clone();
        let bounds: &[&str] = if windows.is_some() { &[WINDOWSTART, WINDOWEND] } else { &[] };
        fields.extend(bounds.iter().map(|name| Arc::new(Field::new(*name, DataType::Int64, true))));
        let result = |(call, fold): (&AggregateCall, &Call)| Field::new(&call.column, fold.fold.data_type(), true);
        fields.extend(calls.iter().zip(&folds).map(result).map(Arc::new));
        Ok(Self {
            groups,
            windows,
            calls: folds,
            key: Encoding::new(group_fields).map_err(internal)?,
            state: States::encoding(states).map_err(internal)?,
            store,
            emits_every_change,
            gives_before,
            schema: Arc::new(Schema::new(fields)),
        })
    }

    /// The columns of the result; all may be null.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows that belong to a group: those of records with a value and without a null in a GROUP BY column.
    fn arrived(&self, chunk: &Chunk, clocks: &mut Clocks, own: SourcePartition) -> Arrived {
        let nulls = self.groups.iter().filter_map(|at| chunk.rows.column(*at).logical_nulls());
        let masks: Vec<NullBuffer> = nulls.chain(chunk.valued.clone()).filter(|nulls| nulls.null_count() > 0).collect();
        let belongs = |row: usize| masks.iter().all(|mask| mask.is_valid(row));
        let clock = |row: usize| {
            let time_ms = chunk.clocks_ms.as_ref().unwrap_or(&chunk.times_ms).value(row);
            let source = chunk.origins.as_ref().map_or(own, |origins| origins.source(row));
            clocks.advance(source, time_ms)
        };
        arrive(chunk.times_ms.values(), belongs, self.windows, clock)
    }

    /// Whether rows can be taken out of their groups, which a table requires.
    pub fn can_undo(&self) -> bool {
        self.calls.iter().all(|call| call.fold.can_undo())
    }

    /// Computes the effect of rows on their groups, some of which are `undone`. Changes nothing.
    fn changed(
        &self,
        chunk: &Chunk,
        undone: Option<&BooleanBuffer>,
        starts: &[i64],
        store: &dyn Store,
    ) -> Result<Outcome, ArrowError> {
        let columns = self.group_columns(chunk);
        let keys = self.key.encode(&columns, chunk.len())?;
        let groups = group(&keys, starts);
        let keys = take(&keys, &UInt32Array::from(groups.firsts.clone()), None)?.as_binary::<i32>().clone();
        let before = self.states(&groups, &keys, store)?;
        let mut states = before.clone();
        let times_ms = states.advance(&groups.numbers, chunk);
        let mut running = Vec::new();
        let args: Vec<Vec<ArrayRef>> = self.calls.iter().map(|call| call.columns(chunk)).collect();
        let rows = |args| Rows { groups: &groups.numbers, args, undone, order: &chunk.offsets };
        let rows: Vec<Rows<'_>> = args.iter().map(|args| rows(args)).collect();
        for (call, own) in self.calls.iter().zip(&rows) {
            let folded = call.fold.fold(&before.columns[call.state.clone()], own, self.emits_every_change)?;
            if !folded.rejected.is_empty() {
                let groups = folded.rejected.iter().map(|(row, _)| groups.numbers[*row]).collect();
                return rejected(&self.calls, &rows, &before.columns, &groups).map(Outcome::Rejected);
            }
            states.columns.splice(call.state.clone(), folded.state);
            running.extend(folded.running);
        }
        let values = states.encode(&self.state)?;
        let emitted = match self.emits_every_change {
            false => Emitted::Nothing,
            true => {
                let shown = shown(&groups.numbers, chunk, undone);
                let after = Chunk { times_ms, ..chunk.clone() };
                self.each_change(after, (&groups, &before), (starts.to_vec().into(), running), shown)?
            }
        };
        let part = |array: &BinaryArray, groups: &Range<usize>| array.slice(groups.start, groups.len());
        let put = |(start, groups): &(i64, Range<usize>)| (*start, part(&keys, groups), part(&values, groups));
        let puts = groups.windows.iter().map(put).collect();
        Ok(Outcome::Changed(Box::new(Changed { puts, emitted })))
    }

    /// Computes the effect of the rows that all calls can fold. The others are added to `failures`. Changes nothing.
    fn changed_by(
        &self,
        mut chunk: Chunk,
        mut undone: Option<BooleanBuffer>,
        Arrived { rows, starts, .. }: &Arrived,
        store: &dyn Store,
        failures: &mut Vec<Failure>,
    ) -> Result<Option<Changed>, ArrowError> {
        // Each row with its index in the chunk that was pushed.
        let (mut rows, mut starts) = (rows.clone(), starts.clone());
        while !rows.is_empty() {
            let rejected = match self.changed(&chunk, undone.as_ref(), &starts, store)? {
                Outcome::Changed(changed) => return Ok(Some(*changed)),
                Outcome::Rejected(rejected) => rejected,
            };
            let gone: BTreeSet<usize> = rejected.iter().map(|rejected| rejected.row).collect();
            let kept: Vec<u32> = (0..rows.len() as u32).filter(|at| !gone.contains(&(*at as usize))).collect();
            failures.extend(rejected.into_iter().map(|it| it.into_failure(|row| rows[row] as usize)));
            undone = undone.map(|undone| kept.iter().map(|at| undone.value(*at as usize)).collect());
            (rows, starts) = kept.iter().map(|at| (rows[*at as usize], starts[*at as usize])).unzip();
            chunk = chunk.take(&UInt32Array::from(kept))?;
        }
        Ok(None)
    }

    /// The group of each row as it is after that row, or only of the rows that are `shown`.
    fn each_change(
        &self,
        chunk: Chunk,
        (groups, before): (&Groups, &States),
        (starts, running): (Int64Array, Vec<ArrayRef>),
        shown: Option<UInt32Array>,
    ) -> Result<Emitted, ArrowError> {
        let (chunk, starts, running, numbers) = match shown {
            None => (chunk, starts, running, groups.numbers.clone()),
            Some(shown) => {
                let running = running.iter().map(|results| take(results, &shown, None)).collect::<Result<_, _>>()?;
                let numbers = shown.values().iter().map(|row| groups.numbers[*row as usize]).collect();
                (chunk.take(&shown)?, take(&starts, &shown, None)?.as_primitive().clone(), running, numbers)
            }
        };
        let groups = Groups { numbers, firsts: groups.firsts.clone(), windows: Vec::new() };
        let before = self.gives_before.then(|| self.before_each(&groups, before, &running)).transpose()?;
        let rows = Results { groups: self.group_columns(&chunk), starts, results: running, before };
        let changed = self.chunk(rows, chunk.times_ms, chunk.offsets)?;
        Ok(Emitted::from(Chunk { origins: chunk.origins, ..changed }))
    }

    fn group_columns(&self, chunk: &Chunk) -> Vec<ArrayRef> {
        self.groups.iter().map(|at| chunk.rows.column(*at).clone()).collect()
    }

    /// The states of groups in the store.
    fn states(&self, groups: &Groups, keys: &BinaryArray, store: &dyn Store) -> Result<States, ArrowError> {
        let get = |(start, groups): &(i64, Range<usize>)| store.get(*start, &keys.slice(groups.start, groups.len()));
        let values = groups.windows.iter().map(get).collect::<Result<Vec<_>, _>>()?;
        match values.as_slice() {
            [values] => States::decode(&self.state, values),
            several => {
                let several: Vec<&dyn Array> = several.iter().map(|values| values as &dyn Array).collect();
                States::decode(&self.state, concat(&several)?.as_binary())
            }
        }
    }

    /// The results of groups.
    fn results(&self, states: &States) -> Vec<ArrayRef> {
        self.calls.iter().map(|call| call.fold.result(&states.columns[call.state.clone()])).collect()
    }

    /// The results of each row's group before that row: those after the previous row of the group in the batch, or else those
    /// in the store.
    fn before_each(&self, groups: &Groups, before: &States, running: &[ArrayRef]) -> Result<Previous, ArrowError> {
        let count = groups.firsts.len() as u32;
        let places = groups.previous();
        let exists = |place: &u32| *place >= count || before.times_ms.is_valid(*place as usize);
        let valued = NullBuffer::from(places.values().iter().map(exists).collect::<Vec<_>>());
        let each = |(stored, running): (ArrayRef, &ArrayRef)| {
            take(&concat(&[stored.as_ref(), running.as_ref()])?, &places, None)
        };
        let results = self.results(before).into_iter().zip(running).map(each).collect::<Result<_, _>>()?;
        Ok(Previous { results, valued: Some(valued) })
    }

    /// The groups that have changed since the last barrier, ordered by the offset of the record that changed them last.
    fn changed_groups(&self, store: &dyn Store) -> Result<Emitted, ArrowError> {
        let changes = store.changes()?;
        if changes.values.null_count() > 0 {
            return Err(ArrowError::ComputeError("a group was removed, but rows can only be added".to_owned()));
        }
        let states = States::decode(&self.state, &changes.values)?;
        let before = self.gives_before.then(|| {
            let before = States::decode(&self.state, &changes.before)?;
            Ok::<_, ArrowError>(Previous { results: self.results(&before), valued: changes.before.nulls().cloned() })
        });
        let groups = self.key.decode(&changes.keys)?;
        let (starts, results) = (changes.windows, self.results(&states));
        let rows = Results { groups, starts, results, before: before.transpose()? };
        let mut order: Vec<u32> = (0..states.offsets.len() as u32).collect();
        order.sort_by_key(|row| states.offsets.value(*row as usize));
        let origins = states.origins();
        let changed = Chunk { origins, ..self.chunk(rows, states.times_ms, states.offsets)? };
        changed.take(&UInt32Array::from(order)).map(Emitted::from)
    }

    /// The rows to emit.
    fn chunk(&self, rows: Results, times_ms: Int64Array, offsets: Int64Array) -> Result<Chunk, ArrowError> {
        let Results { groups, starts, results, before } = rows;
        let windows = self.windows.map(|windows| {
            let ends = starts.values().iter().map(|start| windows.end(*start)).collect::<Vec<_>>();
            [starts, Int64Array::from(ends)]
        });
        let bounds = windows.iter().flatten().map(|bound| Arc::new(bound.clone()) as ArrayRef);
        let keys: Vec<ArrayRef> = groups.into_iter().chain(bounds).collect();
        let batch = |results: Vec<ArrayRef>| {
            let columns = keys.iter().cloned().chain(results).collect();
            let options = RecordBatchOptions::new().with_row_count(Some(offsets.len()));
            RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
        };
        let before = before.map(|Previous { results, valued }| {
            let valued = valued.filter(|valued| valued.null_count() > 0);
            Ok::<_, ArrowError>(Before { rows: batch(results)?, valued })
        });
        let (rows, before) = (batch(results)?, before.transpose()?);
        let (headers, valued, origins, clocks_ms) = (None, None, None, None);
        Ok(Chunk { rows, times_ms, offsets, headers, valued, windows, before, origins, clocks_ms })
    }
}

/// Rows of groups with their results.
struct Results {
    groups: Vec<ArrayRef>,
    /// The starts of their windows.
    starts: Int64Array,
    results: Vec<ArrayRef>,
    /// The results before the change, if they are emitted.
    before: Option<Previous>,
}

/// The results of groups before a change; a group that was new has none.
struct Previous {
    results: Vec<ArrayRef>,
    valued: Option<NullBuffer>,
}

impl Operator for Aggregate {
    /// Adds rows to their groups. A row without a value, or with a null in a GROUP BY column, belongs to no group.
    fn push(&mut self, _: Port, chunk: Chunk, cx: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        let (chunk, undone) = expand(chunk)?;
        // If rows are pushed again after a failure, the clocks must not have changed either.
        let mut clocks = cx.clocks.clone();
        let arrived = self.arrived(&chunk, &mut clocks, cx.source);
        let (store, rows) = (&mut cx.stores[self.store], &arrived.rows);
        let undone = undone.map(|undone| rows.iter().map(|row| undone.value(*row as usize)).collect());
        let chunk = if rows.len() == chunk.len() { chunk } else { chunk.take(&UInt32Array::from(rows.clone()))? };
        let mut emitted = Emitted::Nothing;
        if let Some(changed) = self.changed_by(chunk, undone, &arrived, &**store, cx.failures)? {
            // Nothing fails from here on: if rows are pushed again after a failure, the store must not have changed.
            changed.puts.iter().for_each(|(start, keys, values)| store.put(*start, keys, values));
            emitted = changed.emitted;
        }
        let Arrived { late, .. } = arrived;
        *cx.clocks = clocks;
        cx.late.extend(late);
        if let (Some(windows), Some(latest)) = (self.windows, cx.clocks.latest()) {
            store.expire(windows.expired_before(latest));
        }
        Ok(emitted)
    }

    fn barrier(&mut self, cx: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        match self.emits_every_change {
            true => Ok(Emitted::Nothing),
            false => self.changed_groups(&*cx.stores[self.store]),
        }
    }

    fn keeper(&self) -> Option<&dyn Keeper> {
        Some(self)
    }

    fn grows(&self) -> bool {
        false
    }

    fn fresh(&self) -> Box<dyn Operator> {
        Box::new(self.clone())
    }
}

impl Keeper for Aggregate {
    fn store(&self) -> usize {
        self.store
    }

    fn rows(&self, scanned: &Scanned) -> Result<Chunk, ArrowError> {
        let states = States::decode(&self.state, &scanned.values)?;
        let (groups, starts) = (self.key.decode(&scanned.keys)?, scanned.windows.clone());
        let results = Results { groups, starts, results: self.results(&states), before: None };
        self.chunk(results, states.times_ms, states.offsets)
    }

    fn key_types(&self) -> Vec<DataType> {
        self.schema.fields()[..self.groups.len()].iter().map(|field| field.data_type().clone()).collect()
    }

    fn keys(&self, columns: &[ArrayRef]) -> Result<BinaryArray, ArrowError> {
        let columns = columns.iter().map(in_one_form).collect::<Result<Vec<_>, _>>()?;
        self.key.encode(&columns, columns.first().map_or(0, |column| column.len()))
    }

    fn window_end(&self, start_ms: i64) -> Option<i64> {
        self.windows.map(|windows| windows.end(start_ms))
    }

    fn kept_from(&self, stream_time_ms: i64) -> i64 {
        self.windows.map_or(i64::MIN, |windows| windows.expired_before(stream_time_ms))
    }
}

impl Call {
    /// The call. Its state columns are appended to `states`.
    fn new(call: &AggregateCall, input: &SchemaRef, states: &mut Vec<Field>) -> Result<Self, Vec<Diagnostic>> {
        let args = indices(&call.args, input)?;
        let types: Vec<DataType> = args.iter().map(|at| input.field(*at).data_type().clone()).collect();
        let refused = || internal(format!("continuous queries cannot compute {} yet", call.function));
        let constants = call.constants.iter().map(|text| constant(text)).collect::<Option<Vec<_>>>();
        let fold = constants.and_then(|constants| fold(&call.function, &types, &constants)).ok_or_else(refused)?;
        let start = states.len();
        states.extend(fold.state());
        Ok(Self { text: call.to_string(), fold, args, state: start..states.len() })
    }

    /// The arguments of rows.
    fn columns(&self, chunk: &Chunk) -> Vec<ArrayRef> {
        self.args.iter().map(|at| chunk.rows.column(*at).clone()).collect()
    }
}

fn indices(names: &[String], input: &SchemaRef) -> Result<Vec<usize>, Vec<Diagnostic>> {
    let index = |name: &String| input.index_of(name).map_err(|_| internal(format!("column \"{name}\" does not exist")));
    names.iter().map(index).collect()
}

fn internal(what: impl ToString) -> Vec<Diagnostic> {
    vec![Diagnostic::new(INTERNAL, what.to_string())]
}
