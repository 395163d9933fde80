//! GROUP BY: adds rows to the state of their group, and emits the groups that change.
//!
//! A batch is grouped once, by window and key. The states of its groups are read, changed as columns and written, with one
//! read and one write of the store for each window. The operator emits the group of each row as it is after that row, or each
//! changed group once, at the barrier, or each group once, when its window has closed (EMIT FINAL).
//!
//! Whether a row is late depends on the stream time of its own source partition, and when a result is final on those of the
//! partitions that contributed to it: a partition that is ahead takes nothing from the others, and an idle one holds nothing back.

mod changed_sessions;
mod contributors;
mod deadlines;
mod emission;
mod encoding;
mod expiry;
mod finals;
mod folding;
mod grouping;
mod history;
mod list;
mod memory;
#[cfg(test)]
mod model;
mod open;
mod sessions;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod window_tests;
mod windowed;
mod windowing;
mod with_sessions;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, BinaryArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use headwater_formats::decode::{WINDOWEND, WINDOWSTART};
use headwater_functions::fold::{Fold, fold};
use headwater_language::diagnostic::{Diagnostic, INTERNAL};
use headwater_language::topology::{AggregateCall, Aggregation};

use crate::chunk::Chunk;
use crate::clocks::{Clocks, SourcePartition};
use crate::operator::{Context, Emitted, Late, Operator, Port};
use encoding::{Encoding, StateEncoding};
use memory::Memory;
use windowing::Windows;

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
    state: StateEncoding,
    /// The index of its store in [`Context::stores`].
    store: usize,
    emission: Emission,
    gives_before: bool,
    schema: SchemaRef,
    /// What it remembers of its windows and groups; `None` until it is read from the store.
    memory: Option<Memory>,
}

/// When groups are emitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Emission {
    /// After each row.
    EveryChange,
    /// At the barrier, if they have changed.
    LastChange,
    /// Once, when their window has closed.
    Final,
}

/// A call of an aggregate.
#[derive(Clone, Debug)]
struct Call {
    fold: Arc<dyn Fold>,
    /// The indices of the columns that are its arguments.
    args: Vec<usize>,
    /// The positions of its state among the state columns of all calls.
    state: Range<usize>,
}

/// The effect of a batch on its groups.
struct Effect {
    /// The keys and values to be put, by window.
    puts: Vec<(i64, BinaryArray, BinaryArray)>,
    emitted: Emitted,
    late: Vec<Late>,
}

impl Effect {
    /// The effect of a batch without rows that belong to a group.
    fn of_nothing(late: Vec<Late>) -> Self {
        Self { puts: Vec::new(), emitted: Emitted::Nothing, late }
    }
}

/// The rows of a batch, with the source partition and the stream time of each.
#[derive(Clone, Copy)]
struct Incoming<'a> {
    chunk: &'a Chunk,
    /// The source partition of the rows, if they do not have their own.
    own: SourcePartition,
}

impl Incoming<'_> {
    fn source(&self, row: usize) -> SourcePartition {
        self.chunk.origins.as_ref().map_or(self.own, |origins| origins.source(row))
    }

    fn stream_time_ms(&self, row: usize) -> i64 {
        self.chunk.clocks_ms.as_ref().unwrap_or(&self.chunk.times_ms).value(row)
    }
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
        let Aggregation { groups, window, calls, is_final, .. } = aggregation;
        let groups = indices(groups, input)?;
        let windows = window.map(|window| {
            let refused = || internal(format!("the lengths of {} windows are not valid", window.def.word()));
            Windows::new(window).ok_or_else(refused)
        });
        let windows = windows.transpose()?;
        let emission = match (is_final, emits_every_change) {
            (true, _) => Emission::Final,
            (false, true) => Emission::EveryChange,
            (false, false) => Emission::LastChange,
        };
        let has_shares = *is_final || matches!(windows, Some(Windows::Session(_)));
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
            state: StateEncoding::new(states, has_shares).map_err(internal)?,
            store,
            emission,
            gives_before,
            schema: Arc::new(Schema::new(fields)),
            memory: None,
        })
    }

    /// The columns of the result; all may be null.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Whether each row belongs to a group: it comes from a record with a value and has no null in a GROUP BY column.
    fn belongs(&self, chunk: &Chunk) -> impl Fn(usize) -> bool + use<> {
        let nulls = self.groups.iter().filter_map(|at| chunk.rows.column(*at).logical_nulls());
        let masks: Vec<NullBuffer> = nulls.chain(chunk.valued.clone()).filter(|nulls| nulls.null_count() > 0).collect();
        move |row| masks.iter().all(|mask| mask.is_valid(row))
    }

    /// The effect of rows, which also advance the clocks. Nothing else changes but the memory.
    fn effect(
        &self,
        chunk: Chunk,
        memory: &mut Memory,
        clocks: &mut Clocks,
        cx: &Context<'_>,
    ) -> Result<Effect, ArrowError> {
        let (store, own) = (&*cx.stores[self.store], cx.source);
        match self.windows {
            Some(Windows::Session(windows)) => self.in_sessions(windows, &chunk, own, memory, clocks, store),
            Some(Windows::Time(windows)) => self.in_windows(Some(windows), &chunk, own, memory, clocks, store),
            None => self.in_windows(None, &chunk, own, memory, clocks, store),
        }
    }
}

impl Operator for Aggregate {
    /// Adds rows to their groups. A row without a value, or with a null in a GROUP BY column, belongs to no group.
    fn push(&mut self, _: Port, chunk: Chunk, cx: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        debug_assert!(chunk.before.is_none(), "rows of a table are not only added");
        // If rows are pushed again after a failure, the clocks must not have changed, and the memory is read again.
        let mut clocks = cx.clocks.clone();
        let mut memory = match self.memory.take() {
            Some(memory) => memory,
            None => self.read_memory(&*cx.stores[self.store])?,
        };
        let Effect { puts, emitted, late } = self.effect(chunk, &mut memory, &mut clocks, cx)?;
        // Nothing fails from here on, since the store must not have changed then.
        let store = &mut *cx.stores[self.store];
        puts.iter().for_each(|(start, keys, values)| store.put(*start, keys, values));
        memory.open.save(store);
        *cx.clocks = clocks;
        cx.late.extend(late);
        self.memory = Some(memory);
        Ok(emitted)
    }

    fn barrier(&mut self, cx: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        let emitted = match (self.emission, self.windows) {
            (Emission::EveryChange | Emission::Final, _) => Emitted::Nothing,
            (Emission::LastChange, Some(Windows::Session(_))) => self.changed_sessions(&*cx.stores[self.store])?,
            (Emission::LastChange, _) => self.changed_groups(&*cx.stores[self.store])?,
        };
        if let Some(memory) = &mut self.memory {
            memory.expire(&self.state, self.windows, cx.clocks, &mut *cx.stores[self.store])?;
        }
        Ok(emitted)
    }

    fn grows(&self) -> bool {
        false
    }

    fn fresh(&self) -> Box<dyn Operator> {
        Box::new(Self { memory: None, ..self.clone() })
    }
}

impl Call {
    /// The call. Its state columns are appended to `states`.
    fn new(call: &AggregateCall, input: &SchemaRef, states: &mut Vec<Field>) -> Result<Self, Vec<Diagnostic>> {
        let args = indices(&call.args, input)?;
        let types: Vec<DataType> = args.iter().map(|at| input.field(*at).data_type().clone()).collect();
        let refused = || internal(format!("continuous queries cannot compute {} yet", call.function));
        let fold = fold(&call.function, &types, &[]).ok_or_else(refused)?;
        let start = states.len();
        states.extend(fold.state());
        Ok(Self { fold, args, state: start..states.len() })
    }
}

fn indices(names: &[String], input: &SchemaRef) -> Result<Vec<usize>, Vec<Diagnostic>> {
    let index = |name: &String| input.index_of(name).map_err(|_| internal(format!("column \"{name}\" does not exist")));
    names.iter().map(index).collect()
}

fn internal(what: impl ToString) -> Vec<Diagnostic> {
    vec![Diagnostic::new(INTERNAL, what.to_string())]
}
