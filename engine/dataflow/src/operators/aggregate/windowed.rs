//! The effect of a batch on the groups of time windows, or of GROUP BY without windows.

use std::collections::BTreeSet;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, UInt32Array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::{concat, take};
use arrow::error::ArrowError;
use headwater_expression::Failure;
use headwater_state::Store;

use super::changes::shown;
use super::deadlines::Due;
use super::emission::{Previous, Results};
use super::entries::Grouped;
use super::finals::Finals;
use super::folding::{Attempt, Folded, rows_at};
use super::history::History;
use super::memory::Memory;
use super::windowing::TimeWindows;
use super::{Aggregate, Effect, Emission, Incoming, Windows};
use crate::chunk::Chunk;
use crate::clocks::Clocks;
use crate::operator::Late;
use crate::operators::encoding::States;
use crate::operators::grouping::Groups;

/// The rows of a batch in their windows.
#[derive(Debug)]
pub(super) struct Entries {
    /// The row of each entry.
    pub rows: Vec<u32>,
    /// The start of its window.
    pub starts: Vec<i64>,
    late: Vec<Late>,
}

impl Entries {
    /// So many rows, in no windows.
    pub fn without_windows(rows: usize) -> Self {
        Self { rows: (0..rows as u32).collect(), starts: vec![0; rows], late: Vec::new() }
    }

    /// The entries without some of them.
    fn without(&mut self, gone: &BTreeSet<usize>) {
        let mut entry = (0..).map(|entry| !gone.contains(&entry));
        let kept: Vec<bool> = entry.by_ref().take(self.rows.len()).collect();
        let mut of_rows = kept.iter();
        self.rows.retain(|_| of_rows.next() == Some(&true));
        let mut of_starts = kept.iter();
        self.starts.retain(|_| of_starts.next() == Some(&true));
    }
}

impl Aggregate {
    /// The effect of rows, in their windows.
    pub(super) fn in_windows(
        &self,
        windows: Option<TimeWindows>,
        incoming: Incoming<'_>,
        memory: &mut Memory,
        clocks: &mut Clocks,
        store: &dyn Store,
    ) -> Result<Effect, ArrowError> {
        let mut history = History::new(clocks.clone());
        let mut entries = self.arrive(windows, incoming, memory, clocks, &mut history);
        let finals = windows.filter(|_| self.emission == Emission::Final).map(|windows| Finals { windows, history });
        let due = if finals.is_some() { memory.take_closing(clocks) } else { Vec::new() };
        let mut failures = Vec::new();
        while !entries.rows.is_empty() || !due.is_empty() {
            let rejected = match self.attempt(finals.as_ref(), incoming, &entries, &due, memory, clocks, store)? {
                Ok(effect) => {
                    let mut late = [entries.late, effect.late].concat();
                    late.sort_by_key(|late| late.row);
                    return Ok(Effect { late, failures: once(failures), ..effect });
                }
                Err(rejected) => rejected,
            };
            let gone: BTreeSet<usize> = rejected.iter().map(|rejected| rejected.row).collect();
            failures.extend(rejected.into_iter().map(|it| it.into_failure(|entry| entries.rows[entry] as usize)));
            entries.without(&gone);
        }
        Ok(Effect { late: entries.late, failures: once(failures), ..Effect::default() })
    }

    /// The effect of entries and of groups that are due, if all entries can be folded.
    #[allow(clippy::too_many_arguments, reason = "the parts of a batch, and what an aggregate knows")]
    pub(super) fn attempt(
        &self,
        finals: Option<&Finals>,
        incoming: Incoming<'_>,
        entries: &Entries,
        due: &[Due],
        memory: &mut Memory,
        clocks: &Clocks,
        store: &dyn Store,
    ) -> Attempt<Effect> {
        let grouped = self.grouped(incoming, &entries.rows, &entries.starts, due)?;
        let before = self.states(&grouped, store)?;
        match finals {
            None => self.fold_entries(incoming, entries, &grouped, &before),
            Some(finals) => {
                self.close_windows(finals, incoming, &entries.rows, due.len(), &grouped, &before, memory, clocks)
            }
        }
    }

    /// Assigns the rows that belong to a group to their windows. A row is late if all of its windows have closed for its partition.
    pub(super) fn arrive(
        &self,
        windows: Option<TimeWindows>,
        incoming: Incoming<'_>,
        memory: &mut Memory,
        clocks: &mut Clocks,
        history: &mut History,
    ) -> Entries {
        let (belongs, rows) = (self.belongs(incoming.chunk), incoming.chunk.len());
        let mut entries =
            Entries { rows: Vec::with_capacity(rows), starts: Vec::with_capacity(rows), late: Vec::new() };
        for (row, at) in (0..rows).zip(0_u32..).filter(|(row, _)| belongs(*row)) {
            let source = incoming.source(row);
            let now_ms = clocks.arrive(source, incoming.stream_time_ms(row));
            let Some(windows) = windows else {
                entries.rows.push(at);
                entries.starts.push(0);
                continue;
            };
            if self.emission == Emission::Final {
                history.add(row, source, now_ms);
            }
            let (before, mut missed) = (entries.rows.len(), None);
            for start in windows.starts(incoming.chunk.times_ms.value(row)) {
                if let Some(close) = windows.close(start).filter(|close| *close <= now_ms) {
                    missed = Some((start, close));
                } else {
                    memory.open.add(windows, start, source);
                    entries.rows.push(at);
                    entries.starts.push(start);
                }
            }
            if let (Some((start, close)), true) = (missed, entries.rows.len() == before) {
                entries.late.push(Late { row, reason: windows.late(start, close, now_ms) });
            }
        }
        entries
    }

    /// The effect of entries whose groups are emitted when they change.
    fn fold_entries(
        &self,
        incoming: Incoming<'_>,
        entries: &Entries,
        grouped: &Grouped,
        before: &States,
    ) -> Attempt<Effect> {
        let chunk = rows_at(incoming.chunk, &entries.rows)?;
        let undone = incoming.undone.map(|undone| entries.rows.iter().map(|row| undone.value(*row as usize)).collect());
        let undone: Option<BooleanBuffer> = undone;
        let numbers = &grouped.groups.numbers;
        let Folded { states, running, times_ms } = match self.fold(before, numbers, &chunk, undone.as_ref())? {
            Ok(folded) => folded,
            Err(rejected) => return Ok(Err(rejected)),
        };
        let puts = grouped.puts(&states.encode(&self.state)?);
        let emitted = match self.emission {
            Emission::EveryChange => {
                let shown = shown(numbers, &chunk, undone.as_ref(), incoming.retried);
                let after = Chunk { times_ms, ..chunk };
                Some(self.each_change(
                    after,
                    (&grouped.groups, before),
                    (entries.starts.clone().into(), running),
                    shown,
                )?)
            }
            _ => None,
        };
        Ok(Ok(Effect { puts, emitted, ..Effect::default() }))
    }

    /// The group of each row as it is after that row, or only of the rows that are `shown`.
    fn each_change(
        &self,
        chunk: Chunk,
        (groups, before): (&Groups, &States),
        (starts, running): (Int64Array, Vec<ArrayRef>),
        shown: Option<UInt32Array>,
    ) -> Result<Chunk, ArrowError> {
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
        let (groups, bounds) = (self.group_columns(&chunk), self.bounds_of(starts));
        let results = Results { groups, bounds, results: running, valued: None, before };
        self.chunk(results, chunk.times_ms, chunk.offsets, chunk.origins)
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

    /// The bounds of time windows, by their starts.
    pub(super) fn bounds_of(&self, starts: Int64Array) -> Option<[Int64Array; 2]> {
        let Some(Windows::Time(windows)) = self.windows else { return None };
        let ends = starts.values().iter().map(|start| windows.end(*start)).collect::<Vec<_>>();
        Some([starts, Int64Array::from(ends)])
    }
}

/// Each failure of a row once, in however many windows it failed.
fn once(mut failures: Vec<Failure>) -> Vec<Failure> {
    let mut seen = BTreeSet::new();
    failures.retain(|failure| seen.insert((failure.row, failure.expr.clone())));
    failures
}
