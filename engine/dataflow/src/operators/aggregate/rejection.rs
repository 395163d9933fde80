//! Finds the rows that an aggregate cannot fold, such as those with which a sum would be out of range. Such a row is left out of
//! all aggregates, and its group keeps its value.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, ArrayRef, Int64Array};
use arrow::error::ArrowError;
use headwater_expression::Failure;
use headwater_functions::fold::Rows;

use super::Call;

/// A row that cannot be folded.
#[derive(Debug)]
pub struct Rejected {
    /// Its index among the rows.
    pub row: usize,
    /// The call that rejects it.
    pub call: String,
    /// The reason.
    pub reason: String,
}

impl Rejected {
    /// The failure of the call, for the row with the index that `at` returns.
    pub fn into_failure(self, at: impl FnOnce(usize) -> usize) -> Failure {
        Failure { row: at(self.row), expr: self.call, reason: self.reason }
    }
}

/// The rows of these groups that one of the calls rejects, in ascending order. Rows are folded one by one, because a row that
/// one call rejects changes what the others can fold after it. `rows` has the rows for each call.
pub fn rejected(
    calls: &[Call],
    rows: &[Rows<'_>],
    states: &[ArrayRef],
    groups: &BTreeSet<u32>,
) -> Result<Vec<Rejected>, ArrowError> {
    let state = |group: &u32| (*group, states.iter().map(|column| column.slice(*group as usize, 1)).collect());
    let mut states: BTreeMap<u32, Vec<ArrayRef>> = groups.iter().map(state).collect();
    let mut found = Vec::new();
    let numbers = rows.first().map_or(&[][..], |rows| rows.groups);
    for (row, group) in numbers.iter().enumerate() {
        let Some(state) = states.get_mut(group) else { continue };
        match folded(calls, rows, row, state)? {
            Ok(after) => *state = after,
            Err(rejected) => found.push(rejected),
        }
    }
    Ok(found)
}

/// The state of a group after a row, or the call that rejects it.
pub fn folded(
    calls: &[Call],
    rows: &[Rows<'_>],
    row: usize,
    state: &[ArrayRef],
) -> Result<Result<Vec<ArrayRef>, Rejected>, ArrowError> {
    let own = calls.first().map_or(0, |call| call.state.start);
    let mut after = state[..own].to_vec();
    for (call, rows) in calls.iter().zip(rows) {
        let args: Vec<ArrayRef> = rows.args.iter().map(|arg| arg.slice(row, 1)).collect();
        let (undone, order) =
            (rows.undone.map(|undone| undone.slice(row, 1)), Int64Array::from(vec![rows.order.value(row)]));
        let only = Rows { groups: &[0], args: &args, undone: undone.as_ref(), order: &order };
        let folded = call.fold.fold(&state[call.state.clone()], &only, false)?;
        if let Some((_, reason)) = folded.rejected.into_iter().next() {
            return Ok(Err(Rejected { row, call: call.text.clone(), reason }));
        }
        after.extend(folded.state);
    }
    Ok(Ok(after))
}
