//! EMIT FINAL over time windows: a group is emitted once, when the partitions that contributed to it have passed the close of its
//! window. Rows that arrive for it afterwards are late, although their own partition may not have passed it.

use arrow::array::{AsArray, BinaryArray, BooleanArray, Int64Array, UInt32Array};
use arrow::compute::nullif;
use arrow::error::ArrowError;

use super::contributors::{Contributors, Share, shares, with_shares};
use super::emission::{Previous, Results};
use super::entries::Grouped;
use super::folding::{Attempt, rows_at};
use super::history::History;
use super::memory::Memory;
use super::rejection::Rejected;
use super::windowing::TimeWindows;
use super::{Aggregate, Effect, Incoming};
use crate::chunk::Chunk;
use crate::clocks::Clocks;
use crate::operator::Late;
use crate::operators::encoding::States;

/// What decides in a batch which groups are emitted.
pub(super) struct Finals {
    /// The windows of the groups.
    pub windows: TimeWindows,
    /// How stream time advances in the batch.
    pub history: History,
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
    /// The entries that are accepted: the others belong to groups that have been emitted before. A new group is remembered.
    fn accept(
        &self,
        incoming: Incoming<'_>,
        rows: &[u32],
        grouped: &Grouped,
        shares: &mut [Option<Share>],
        memory: &mut Memory,
    ) -> Vec<usize> {
        let mut clocks = self.history.before.clone();
        let mut accepted = Vec::with_capacity(rows.len());
        for (entry, (row, group)) in rows.iter().zip(&grouped.groups.numbers).enumerate() {
            let ((start, key), source) = (grouped.item(*group), incoming.source(*row as usize));
            let close = self.windows.close(start);
            let share = shares[*group as usize].get_or_insert_with(|| {
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
            clocks.arrive(source, incoming.stream_time_ms(*row as usize));
        }
        accepted
    }

    /// Marks the groups that are due, and returns them in the order in which they are emitted.
    fn close(&self, grouped: &Grouped, shares: &mut [Option<Share>], clocks: &Clocks) -> Vec<Closed> {
        let mut closed = Vec::new();
        for (place, share) in (0..).zip(shares) {
            let (start, key) = grouped.item(place);
            let (Some(share), Some(close_ms)) = (share, self.windows.close(start)) else { continue };
            if share.is_due(Some(close_ms), clocks) {
                share.is_emitted = true;
                let row = self.history.row(&share.contributors, close_ms);
                closed.push(Closed { row, close_ms, key: key.into(), place });
            }
        }
        closed.sort();
        closed
    }

    /// Remembers the groups of the last `due` numbers, where they wait for more partitions.
    fn remember(&self, grouped: &Grouped, due: usize, shares: &[Option<Share>], memory: &mut Memory) {
        let numbers = &grouped.groups.numbers;
        for group in &numbers[numbers.len() - due..] {
            let (start, key) = grouped.item(*group);
            if let Some(share) = shares[*group as usize].as_ref().filter(|share| !share.is_emitted) {
                memory.closing.add(self.windows.close(start), &share.contributors, (start, key.into()));
            }
        }
    }
}

impl Aggregate {
    /// The effect of entries whose groups are emitted once, and of the last `due` groups, which have no entries.
    #[allow(clippy::too_many_arguments, reason = "the parts of a batch, and what an aggregate knows")]
    pub(super) fn close_windows(
        &self,
        finals: &Finals,
        incoming: Incoming<'_>,
        rows: &[u32],
        due: usize,
        grouped: &Grouped,
        before: &States,
        memory: &mut Memory,
        clocks: &Clocks,
    ) -> Attempt<Effect> {
        let (numbers, mut shares) = (&grouped.groups.numbers, shares(before)?);
        let accepted = finals.accept(incoming, rows, grouped, &mut shares, memory);
        let late = missed(rows, &accepted, |entry| {
            let window = finals.windows.name(grouped.item(numbers[entry]).0);
            format!("the row is late: the result of {window} has been emitted")
        });
        let [of_rows, of_groups] =
            [rows, numbers].map(|all| accepted.iter().map(|entry| all[*entry]).collect::<Vec<_>>());
        let folded = match self.fold(before, &of_groups, &rows_at(incoming.chunk, &of_rows)?, None)? {
            Ok(folded) => folded,
            Err(rejected) => {
                return Ok(Err(rejected.into_iter().map(|it| Rejected { row: accepted[it.row], ..it }).collect()));
            }
        };
        let closed = finals.close(grouped, &mut shares, clocks);
        finals.remember(grouped, due, &shares, memory);
        let states = with_shares(folded.states, shares.iter().map(Option::as_ref));
        let starts: Vec<i64> = closed.iter().map(|closed| grouped.starts[closed.place as usize]).collect();
        let emitted = self.final_results(&states, &closed, self.bounds_of(starts.into()), incoming)?;
        // A group without rows, here or in the store, is not put.
        let is_new: BooleanArray = shares.iter().map(|share| Some(share.is_none())).collect();
        let values = nullif(&states.encode(&self.state)?, &is_new)?;
        Ok(Ok(Effect { puts: grouped.puts(values.as_binary()), emitted, late, ..Effect::default() }))
    }

    /// The results of groups that have closed, in their order. Each is at the row that closed it.
    pub(super) fn final_results(
        &self,
        states: &States,
        closed: &[Closed],
        bounds: Option<[Int64Array; 2]>,
        incoming: Incoming<'_>,
    ) -> Result<Option<Chunk>, ArrowError> {
        if closed.is_empty() {
            return Ok(None);
        }
        let states = states.take(&closed.iter().map(|closed| Some(closed.place)).collect::<UInt32Array>())?;
        let groups = self.key.decode(&BinaryArray::from_iter_values(closed.iter().map(|closed| &closed.key)))?;
        let results = self.results(&states);
        let before = self.gives_before.then(|| Previous::none(&results, closed.len()));
        // Without a row, stream time has advanced elsewhere.
        let has_rows = !incoming.chunk.is_empty();
        let of_row = |(closed, last): (&Closed, Option<i64>)| match has_rows {
            true => Some(incoming.chunk.offsets.value(closed.row)),
            false => last,
        };
        let offsets = closed.iter().zip(&states.offsets).map(of_row).collect();
        let origins = states.origins();
        let results = Results { groups, bounds, results, valued: None, before };
        self.chunk(results, states.times_ms, offsets, origins).map(Some)
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
