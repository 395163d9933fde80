//! GROUP BY: adds rows to the state of their group, and emits the groups that change.
//!
//! A batch is grouped once, by window and key. The states of its groups are read, changed as columns and written, with one
//! read and one write of the store for each window. The operator emits the group of each row as it is after that row, or each
//! changed group once, at the barrier, or each group once, when its window has closed (EMIT FINAL). A row of a table that changes
//! is taken out as it was before and added as it is now, unless it had been rejected: what a group has differently from the table is kept.
//!
//! Whether a row is late depends on the stream time of its own source partition, and when a result is final on those of the
//! partitions that contributed to it: a partition that is ahead takes nothing from the others, and an idle one holds nothing back.

mod apart;
mod changed_sessions;
mod changes;
mod contributors;
mod deadlines;
mod differences;
#[cfg(test)]
mod differences_tests;
mod emission;
mod entries;
mod expiry;
mod finals;
mod folding;
mod history;
mod kept;
mod large;
mod list;
mod memory;
#[cfg(test)]
mod model;
mod open;
mod over_table;
mod rejection;
mod sessions;
#[cfg(test)]
mod table_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod window_tests;
mod windowed;
mod windowing;
mod with_sessions;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use headwater_expression::Failure;
use headwater_formats::decode::{WINDOWEND, WINDOWSTART};
use headwater_functions::fold::{Fold, constant, fold};
use headwater_language::diagnostic::Diagnostic;
use headwater_language::topology::{AggregateCall, Aggregation};

use crate::chunk::Chunk;
use crate::clocks::SourcePartition;
use crate::keeper::Keeper;
use crate::operator::{Context, Emitted, Late, Operator, Port};
use crate::operators::encoding::{Encoding, States};
use crate::operators::internal;
use changes::{Expanded, expand};
use differences::Changes;
use memory::Memory;
use over_table::OverTable;
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
    /// The encoding of a group's state. Its first column is the group's share, if that is kept.
    state: Encoding,
    /// The index of its store in [`Context::stores`].
    store: usize,
    emission: Emission,
    gives_before: bool,
    schema: SchemaRef,
    /// What it has in addition if its rows are those of a table.
    over: Option<OverTable>,
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
    /// The call as EXPLAIN shows it.
    text: String,
    fold: Arc<dyn Fold>,
    /// The indices of the columns that are its arguments.
    args: Vec<usize>,
    /// The positions of its state among the state columns.
    state: Range<usize>,
}

/// The effect of a batch on its groups.
#[derive(Default)]
struct Effect {
    /// The keys and values to be put, by window.
    puts: Vec<(i64, BinaryArray, BinaryArray)>,
    /// The rows to be emitted; `None` if there are none.
    emitted: Option<Chunk>,
    late: Vec<Late>,
    /// The rows that a call cannot fold.
    failures: Vec<Failure>,
    /// The differences between the table and its groups that change.
    differences: Changes,
}

/// The rows of a batch, with the source partition and the stream time of each.
#[derive(Clone, Copy)]
struct Incoming<'a> {
    chunk: &'a Chunk,
    /// The rows that are undone: `None` if there are none.
    undone: Option<&'a BooleanBuffer>,
    /// The rows that are taken out only now, after another one of their group: `None` if there are none.
    retried: Option<&'a BooleanBuffer>,
    /// Whether rows that could not be taken out of a group are taken out when it changes.
    retries: bool,
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
    /// `emits_every_change` it emits the group of each row, otherwise each changed group at the barrier, unless groups are emitted once. With `gives_before` the
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
        let mut states = Vec::new();
        if emission == Emission::Final || matches!(windows, Some(Windows::Session(_))) {
            states.push(contributors::field());
        }
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
            emission,
            gives_before,
            schema: Arc::new(Schema::new(fields)),
            over: None,
            memory: None,
        })
    }

    /// The same operator for the rows of a table. Fails if one of the aggregates cannot take rows out of their groups.
    pub fn over_table(self, input: &SchemaRef) -> Result<Self, Vec<Diagnostic>> {
        if !self.calls.iter().all(|call| call.fold.can_undo()) {
            return Err(internal("an aggregate cannot be applied to a table"));
        }
        let over = OverTable::new(&self.calls, input).map_err(internal)?;
        Ok(Self { over: Some(over), ..self })
    }

    /// The columns of the result; all may be null.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Adds rows and takes others out. Nothing has changed if that fails. With `retries`, rows that could not be taken out of their
    /// groups before are tried again in those that change.
    fn push_entries(
        &mut self,
        expanded: &Expanded,
        retries: bool,
        cx: &mut Context<'_>,
    ) -> Result<Emitted, ArrowError> {
        let chunk = &expanded.chunk;
        let incoming = Incoming { chunk, undone: expanded.undone.as_ref(), retried: None, retries, own: cx.source };
        let store = &mut *cx.stores[self.store];
        // If rows are pushed again after a failure, the clocks must not have changed, and the memory is read again.
        let mut clocks = cx.clocks.clone();
        let mut memory = match self.memory.take() {
            Some(memory) => memory,
            None => self.read_memory(store)?,
        };
        if let Some(over) = &mut self.over {
            over.known(store)?;
        }
        let effect = match (self.windows, &self.over) {
            (Some(Windows::Session(windows)), _) => {
                self.in_sessions(windows, incoming, &mut memory, &mut clocks, store)?
            }
            (Some(Windows::Time(windows)), _) => {
                self.in_windows(Some(windows), incoming, &mut memory, &mut clocks, store)?
            }
            (None, Some(over)) => self.of_changes(over, incoming, &mut memory, &mut clocks, store)?,
            (None, None) => self.in_windows(None, incoming, &mut memory, &mut clocks, store)?,
        };
        if !chunk.is_empty() {
            self.check_size(incoming, &effect.puts, &mut cx.limits)?;
        }
        let known = self.over.as_mut().map(|over| over.known(store)).transpose()?;
        // Nothing fails from here on, since the store must not have changed then.
        effect.puts.iter().for_each(|(start, keys, values)| store.put(*start, keys, values));
        memory.open.save(store);
        if let Some(known) = known {
            effect.differences.save(known, cx.limits.bytes_max(self.store), store);
        }
        *cx.clocks = clocks;
        cx.late.extend(effect.late);
        let of_change = |failure: Failure| Failure { row: expanded.change_of(failure.row), ..failure };
        cx.failures.extend(effect.failures.into_iter().map(of_change));
        self.memory = Some(memory);
        Ok(effect.emitted.map_or(Emitted::Nothing, Emitted::from))
    }

    /// Whether each row belongs to a group: it comes from a record with a value and has no null in a GROUP BY column.
    fn belongs(&self, chunk: &Chunk) -> impl Fn(usize) -> bool + use<> {
        let nulls = self.groups.iter().filter_map(|at| chunk.rows.column(*at).logical_nulls());
        let masks: Vec<NullBuffer> = nulls.chain(chunk.valued.clone()).filter(|nulls| nulls.null_count() > 0).collect();
        move |row| masks.iter().all(|mask| mask.is_valid(row))
    }

    /// The values of the GROUP BY columns.
    fn group_columns(&self, chunk: &Chunk) -> Vec<ArrayRef> {
        self.groups.iter().map(|at| chunk.rows.column(*at).clone()).collect()
    }
}

impl Operator for Aggregate {
    /// Adds rows to their groups. A row without a value, or with a null in a GROUP BY column, belongs to no group.
    fn push(&mut self, _: Port, chunk: Chunk, cx: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        let changes = chunk.len();
        let expanded = expand(chunk)?;
        match self.push_entries(&expanded, true, cx) {
            Err(_) if changes == 1 && self.over.is_some() => Ok(self.push_apart(&expanded, cx)),
            pushed => pushed,
        }
    }

    fn barrier(&mut self, cx: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        let store = &mut *cx.stores[self.store];
        let emitted = match (self.emission, self.windows) {
            (Emission::EveryChange | Emission::Final, _) => Emitted::Nothing,
            (Emission::LastChange, Some(Windows::Session(_))) => self.changed_sessions(store)?,
            (Emission::LastChange, _) => self.changed_groups(store)?,
        };
        if let Some(memory) = &mut self.memory {
            memory.expire(&self.state, self.windows, cx.clocks, store)?;
        }
        Ok(emitted)
    }

    fn waits_for_time(&self) -> bool {
        self.emission == Emission::Final
    }

    fn pending(&self) -> Option<usize> {
        let memory = self.memory.as_ref().filter(|_| self.emission == Emission::Final);
        memory.map(|memory| memory.closing.len())
    }

    fn keeper(&self) -> Option<&dyn Keeper> {
        Some(self)
    }

    fn grows(&self) -> bool {
        false
    }

    fn fresh(&self) -> Box<dyn Operator> {
        let over = self.over.as_ref().map(OverTable::fresh);
        Box::new(Self { over, memory: None, ..self.clone() })
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
