//! Folds the rows of a batch into the states of their groups, and merges the states of sessions, by columns.

use arrow::array::{Array, ArrayRef, BinaryArray, Int64Array, UInt32Array};
use arrow::compute::concat;
use arrow::error::ArrowError;
use headwater_functions::fold::Rows;
use headwater_state::Store;

use super::encoding::States;
use super::grouping::Groups;
use super::{Aggregate, Emission};
use crate::chunk::Chunk;

/// The outcome of folding rows.
pub(super) struct Folded {
    /// The states after all rows.
    pub states: States,
    /// The results of each row's group after that row, if every change is emitted.
    pub running: Vec<ArrayRef>,
    /// The time of each row's group after that row.
    pub times_ms: Int64Array,
}

impl Aggregate {
    /// Folds the rows of a chunk into the states of their groups.
    pub(super) fn fold(&self, before: &States, groups: &[u32], chunk: &Chunk) -> Result<Folded, ArrowError> {
        let mut states = before.clone();
        let times_ms = states.advance(groups, chunk);
        let mut running = Vec::new();
        for call in &self.calls {
            let args: Vec<ArrayRef> = call.args.iter().map(|at| chunk.rows.column(*at).clone()).collect();
            let state = &before.columns[call.state.clone()];
            let rows = Rows { groups, args: &args, undone: None, order: &chunk.offsets };
            let folded = call.fold.fold(state, &rows, self.emission == Emission::EveryChange)?;
            states.columns.splice(call.state.clone(), folded.state);
            running.extend(folded.running);
        }
        Ok(Folded { states, running, times_ms })
    }

    /// Merges states: row `i` of `states` becomes part of the group `into[i]`, among new groups.
    pub(super) fn merge(&self, states: &States, into: &[u32], groups: usize) -> Result<States, ArrowError> {
        let mut merged = states.new_groups(groups)?;
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

    /// The states of groups in the store.
    pub(super) fn states(
        &self,
        groups: &Groups<'_>,
        keys: &BinaryArray,
        store: &dyn Store,
    ) -> Result<States, ArrowError> {
        self.state.decode(&values(groups, keys, store)?)
    }
}

/// The values of groups in the store.
pub(super) fn values(groups: &Groups<'_>, keys: &BinaryArray, store: &dyn Store) -> Result<BinaryArray, ArrowError> {
    let get =
        |(start, groups): &(i64, std::ops::Range<usize>)| store.get(*start, &keys.slice(groups.start, groups.len()));
    let mut values = groups.windows.iter().map(get).collect::<Result<Vec<_>, _>>()?;
    match values.len() {
        1 => Ok(values.remove(0)),
        _ => {
            let several: Vec<&dyn Array> = values.iter().map(|values| values as &dyn Array).collect();
            concat(&several).map(|values| BinaryArray::from(values.to_data()))
        }
    }
}

/// The rows at some places; the chunk itself if those are all of its rows in order.
pub(super) fn rows_at(chunk: &Chunk, rows: &[u32]) -> Result<Chunk, ArrowError> {
    let is_all = rows.len() == chunk.len() && rows.iter().zip(0..).all(|(row, at)| *row == at);
    if is_all { Ok(chunk.clone()) } else { chunk.clone().take(&UInt32Array::from(rows.to_vec())) }
}
