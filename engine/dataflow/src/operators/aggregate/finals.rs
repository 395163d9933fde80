//! EMIT FINAL over time windows: a group is emitted once, when the partitions that contributed to it have passed the close of its
//! window. Rows that arrive for it afterwards are late, although their own partition may not have passed it.

use arrow::array::{Array, BinaryArray, Int64Array, UInt32Array};
use arrow::compute::{is_null, nullif};
use arrow::error::ArrowError;

use super::contributors::{Contributors, Share};
use super::emission::{Previous, Results};
use super::encoding::States;
use super::folding::rows_at;
use super::grouping::Groups;
use super::history::History;
use super::memory::Memory;
use super::windowed::puts;
use super::windowing::TimeWindows;
use super::{Aggregate, Effect, Incoming};
use crate::clocks::Clocks;
use crate::operator::{Emitted, Late};

/// The groups of a batch whose results are emitted once.
pub(super) struct Finals {
    windows: TimeWindows,
    history: History,
    /// The share of each group; `None` for a new one.
    shares: Vec<Option<Share>>,
}

/// A group whose result is emitted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Closed {
    /// The row of the batch at which it closed.
    pub row: usize,
    /// When it closed, in stream time.
    pub close_ms: i64,
    /// Its key.
    pub key: Box<[u8]>,
    /// Its place among the states.
    pub place: u32,
}

impl Finals {
    /// The groups with these shares, in a batch with this history.
    pub(super) fn new(windows: TimeWindows, history: History, shares: Vec<Option<Share>>) -> Self {
        Self { windows, history, shares }
    }

    /// The entries that are accepted: the others belong to groups that have been emitted before. A new group is remembered.
    fn accept(&mut self, incoming: Incoming<'_>, rows: &[u32], groups: &Groups<'_>, memory: &mut Memory) -> Vec<usize> {
        let mut clocks = self.history.before.clone();
        let mut accepted = Vec::with_capacity(rows.len());
        for (entry, (row, group)) in rows.iter().zip(&groups.numbers).enumerate() {
            let ((start, key), source) = (groups.items[*group as usize], incoming.source(*row as usize));
            let close = self.windows.close(start);
            let share = self.shares[*group as usize].get_or_insert_with(|| {
                let share = Share { contributors: Contributors::of(source), is_emitted: false };
                memory.closing.add(close, &share.contributors, (start, key.into()));
                share
            });
            // The window is open for the row's own partition.
            let is_open = share.contributors.contains(source) || !share.contributors.have_reached(close, &clocks);
            if is_open && !share.is_emitted {
                share.contributors.add(source);
                accepted.push(entry);
            }
            clocks.advance(source, incoming.stream_time_ms(*row as usize));
        }
        accepted
    }

    /// Marks the groups that are due, and returns them in the order in which they are emitted. Those of the last `due` numbers are
    /// remembered if they are not.
    fn close(&mut self, groups: &Groups<'_>, due: usize, memory: &mut Memory, clocks: &Clocks) -> Vec<Closed> {
        let mut closed = Vec::new();
        for ((place, (start, key)), share) in (0..).zip(&groups.items).zip(&mut self.shares) {
            let (Some(share), Some(close_ms)) = (share, self.windows.close(*start)) else { continue };
            if share.is_due(Some(close_ms), clocks) {
                share.is_emitted = true;
                let row = self.history.row(&share.contributors, close_ms);
                closed.push(Closed { row, close_ms, key: (*key).into(), place });
            }
        }
        for group in &groups.numbers[groups.numbers.len() - due..] {
            let (start, key) = groups.items[*group as usize];
            if let Some(share) = self.shares[*group as usize].as_ref().filter(|share| !share.is_emitted) {
                memory.closing.add(self.windows.close(start), &share.contributors, (start, key.into()));
            }
        }
        closed.sort();
        closed
    }
}

impl Aggregate {
    /// The effect of entries whose groups are emitted once.
    #[allow(clippy::too_many_arguments, reason = "the parts of one batch")]
    pub(super) fn close_windows(
        &self,
        mut finals: Finals,
        incoming: Incoming<'_>,
        rows: &[u32],
        due: usize,
        groups: &Groups<'_>,
        keys: &BinaryArray,
        (before, mut late): (States, Vec<Late>),
        memory: &mut Memory,
        clocks: &Clocks,
    ) -> Result<Effect, ArrowError> {
        let accepted = finals.accept(incoming, rows, groups, memory);
        late.extend(missed(rows, &accepted, |entry| {
            let (start, _) = groups.items[groups.numbers[entry] as usize];
            format!("the row is late: the result of {} has been emitted", finals.windows.name(start))
        }));
        late.sort_by_key(|late| late.row);
        let [of_rows, of_groups] =
            [rows, &groups.numbers].map(|all| accepted.iter().map(|entry| all[*entry]).collect::<Vec<_>>());
        let folded = self.fold(&before, &of_groups, &rows_at(incoming.chunk, &of_rows)?)?;
        let closed = finals.close(groups, due, memory, clocks);
        let states = folded.states.with_shares(&finals.shares);
        let starts: Vec<i64> = closed.iter().map(|closed| groups.items[closed.place as usize].0).collect();
        let emitted = self.final_results(&states, &closed, self.bounds_of(starts.into()), incoming)?;
        // A group that is only due, and is not in the store, stays out of it.
        let values = nullif(&self.state.encode(&states)?, &is_null(&states.times_ms)?)?;
        Ok(Effect { puts: puts(groups, keys, &BinaryArray::from(values.to_data())), emitted, late })
    }

    /// The results of groups that have closed, in their order. Each is at the row that closed it.
    pub(super) fn final_results(
        &self,
        states: &States,
        closed: &[Closed],
        bounds: Option<[Int64Array; 2]>,
        incoming: Incoming<'_>,
    ) -> Result<Emitted, ArrowError> {
        if closed.is_empty() {
            return Ok(Emitted::Nothing);
        }
        let states = states.take(&closed.iter().map(|closed| Some(closed.place)).collect::<UInt32Array>())?;
        let groups = self.key.decode(&BinaryArray::from_iter_values(closed.iter().map(|closed| &closed.key)))?;
        let results = self.results(&states);
        let before = self.gives_before.then(|| Previous::none(&results, closed.len()));
        let offsets = closed.iter().map(|closed| incoming.chunk.offsets.value(closed.row)).collect();
        let origins = states.origins();
        let results = Results { groups, bounds, results, valued: None, before };
        self.chunk(results, states.times_ms, offsets, origins).map(Emitted::from)
    }
}

/// The rows none of whose entries is accepted, each with the reason for its last entry.
fn missed(rows: &[u32], accepted: &[usize], reason: impl Fn(usize) -> String) -> Vec<Late> {
    let mut late = Vec::new();
    let mut entry = 0;
    for of_row in rows.chunk_by(|one, next| one == next) {
        let entries = entry..entry + of_row.len();
        entry = entries.end;
        let first = accepted.partition_point(|accepted| *accepted < entries.start);
        if accepted.get(first).is_none_or(|accepted| *accepted >= entries.end) {
            late.push(Late { row: of_row[0] as usize, reason: reason(entries.end - 1) });
        }
    }
    late
}
