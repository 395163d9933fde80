//! Folds the rows of a batch into the states of their groups, and merges the states of sessions, by columns.

use arrow::array::{ArrayRef, Int64Array, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::error::ArrowError;
use headwater_functions::fold::Rows;

use super::rejection::{Rejected, rejected};
use super::{Aggregate, Emission};
use crate::chunk::Chunk;
use crate::operators::encoding::States;

/// The outcome of folding rows.
pub(super) struct Folded {
    /// The states after all rows.
    pub states: States,
    /// The results of each row's group after that row, if every change is emitted.
    pub running: Vec<ArrayRef>,
    /// The time of each row's group after that row.
    pub times_ms: Int64Array,
}

/// The outcome of folding rows, or those that a call cannot fold, which are to be left out.
pub(super) type Attempt<T> = Result<Result<T, Vec<Rejected>>, ArrowError>;

impl Aggregate {
    /// Folds the rows of a chunk, some of which are `undone`, into the states of their groups.
    pub(super) fn fold(
        &self,
        before: &States,
        groups: &[u32],
        chunk: &Chunk,
        undone: Option<&BooleanBuffer>,
    ) -> Attempt<Folded> {
        let mut states = before.clone();
        let times_ms = states.advance(groups, chunk);
        let mut running = Vec::new();
        let args: Vec<Vec<ArrayRef>> = self.calls.iter().map(|call| call.columns(chunk)).collect();
        let rows = |args| Rows { groups, args, undone, order: &chunk.offsets };
        let rows: Vec<Rows<'_>> = args.iter().map(|args| rows(args)).collect();
        for (call, own) in self.calls.iter().zip(&rows) {
            let is_running = self.emission == Emission::EveryChange;
            let folded = call.fold.fold(&before.columns[call.state.clone()], own, is_running)?;
            if !folded.rejected.is_empty() {
                let groups = folded.rejected.iter().map(|(row, _)| groups[*row]).collect();
                return rejected(&self.calls, &rows, &before.columns, &groups).map(Err);
            }
            states.columns.splice(call.state.clone(), folded.state);
            running.extend(folded.running);
        }
        Ok(Ok(Folded { states, running, times_ms }))
    }

    /// Merges states: row `i` of `states` becomes part of the group `into[i]`, among new groups.
    pub(super) fn merge(&self, states: &States, into: &[u32], groups: usize) -> Result<States, ArrowError> {
        let mut merged = states.new_ones(groups)?;
        for call in &self.calls {
            let columns = call.fold.merge(&states.columns[call.state.clone()], into, groups)?;
            merged.columns.splice(call.state.clone(), columns);
        }
        let mut times: Vec<Option<i64>> = vec![None; groups];
        for (time, group) in states.times_ms.iter().zip(into) {
            let latest = &mut times[*group as usize];
            *latest = time.max(*latest);
        }
        Ok(States { times_ms: times.into(), ..merged })
    }

    /// The results of groups.
    pub(super) fn results(&self, states: &States) -> Vec<ArrayRef> {
        self.calls.iter().map(|call| call.fold.result(&states.columns[call.state.clone()])).collect()
    }
}

/// The rows at some places; the chunk itself if those are all of its rows in order.
pub(super) fn rows_at(chunk: &Chunk, rows: &[u32]) -> Result<Chunk, ArrowError> {
    let is_all = rows.len() == chunk.len() && rows.iter().zip(0..).all(|(row, at)| *row == at);
    if is_all { Ok(chunk.clone()) } else { chunk.clone().take(&UInt32Array::from(rows.to_vec())) }
}
