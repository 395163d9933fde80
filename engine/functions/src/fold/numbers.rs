//! Aggregates whose state is a few numbers, such as SUM: one loop over the rows for all of them, compiled for each.

use std::fmt::Debug;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::compute::nullif;
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;

use super::{Fold, Folded, Rows};

/// An aggregate whose state is a few numbers.
pub trait Numbers: Debug + Send + Sync {
    /// The state of a group; the default is that of a new group.
    type State: Copy + Default;
    /// The arguments of a row.
    type Arg;

    /// The columns of the state.
    fn fields(&self) -> Vec<Field>;

    /// The type of the result.
    fn data_type(&self) -> DataType;

    /// Reads the states of groups. A row that is null in the first column is a new group.
    fn read(&self, columns: &[ArrayRef]) -> Vec<Self::State>;

    /// Writes the states of groups.
    fn write(&self, states: &[Self::State]) -> Vec<ArrayRef>;

    /// The arguments of each row; `None` for a row that is ignored.
    fn args<'a>(&self, columns: &'a [ArrayRef]) -> impl Iterator<Item = Option<Self::Arg>> + use<'a, Self>;

    /// Adds a row. If it fails, the state must not have changed.
    fn add(&self, state: &mut Self::State, arg: Self::Arg) -> Result<(), String>;

    /// Takes out a row that was added. If it fails, the state must not have changed.
    fn undo(&self, state: &mut Self::State, arg: Self::Arg) -> Result<(), String>;

    /// Adds the rows of another state.
    fn merge(&self, state: &mut Self::State, other: Self::State) -> Result<(), String>;

    /// The result of each state.
    fn results(&self, states: &[Self::State]) -> ArrayRef;
}

/// The fold of such an aggregate.
#[derive(Debug)]
pub struct OfNumbers<N>(pub N);

impl<N: Numbers> Fold for OfNumbers<N> {
    fn state(&self) -> Vec<Field> {
        self.0.fields()
    }

    fn data_type(&self) -> DataType {
        self.0.data_type()
    }

    fn can_undo(&self) -> bool {
        true
    }

    fn fold(&self, state: &[ArrayRef], rows: &Rows<'_>, running: bool) -> Result<Folded, ArrowError> {
        let mut states = self.0.read(state);
        let mut after = Vec::with_capacity(if running { rows.groups.len() } else { 0 });
        let mut rejected = Vec::new();
        for ((row, group), arg) in rows.groups.iter().enumerate().zip(self.0.args(rows.args)) {
            let state = &mut states[*group as usize];
            if let Some(arg) = arg {
                let undone = rows.is_undone(row);
                let outcome = if undone { self.0.undo(state, arg) } else { self.0.add(state, arg) };
                rejected.extend(outcome.err().map(|reason| (row, reason)));
            }
            if running {
                after.push(*state);
            }
        }
        let running = running.then(|| self.0.results(&after));
        Ok(Folded { state: self.0.write(&states), running, rejected })
    }

    fn merge(&self, state: &[ArrayRef], into: &[u32], groups: usize) -> Result<Vec<ArrayRef>, ArrowError> {
        let mut merged: Vec<Option<N::State>> = vec![None; groups];
        let states = self.0.read(state);
        for (row, group) in into.iter().enumerate().filter(|(row, _)| state[0].is_valid(*row)) {
            match &mut merged[*group as usize] {
                Some(known) => self.0.merge(known, states[row]).map_err(ArrowError::ComputeError)?,
                new => *new = Some(states[row]),
            }
        }
        let is_new: BooleanArray = merged.iter().map(|state| Some(state.is_none())).collect();
        let states: Vec<N::State> = merged.into_iter().map(Option::unwrap_or_default).collect();
        self.0.write(&states).iter().map(|column| nullif(column, &is_new)).collect()
    }

    fn result(&self, state: &[ArrayRef]) -> ArrayRef {
        self.0.results(&self.0.read(state))
    }
}
