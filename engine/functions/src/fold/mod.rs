//! Aggregates of continuous queries, as folds over columns.
//!
//! The groups that a batch of rows belongs to have numbers from 0, and the state of all of them is in columns with a row for
//! each: nothing is boxed for a group, and an aggregate goes over a batch once. States are kept by whoever has them, as bytes
//! of their columns, so a fold itself has none.

mod count;

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;

use count::Count;

/// An aggregate of a continuous query.
pub trait Fold: Debug + Send + Sync {
    /// The columns of its state. All of them are null in the row of a group that has had no rows.
    fn state(&self) -> Vec<Field>;

    /// The type of its result.
    fn data_type(&self) -> DataType;

    /// Adds rows to the state of their groups. `groups` has the number of each row's group, `args` the arguments, `state` a row
    /// for each group. With `running`, it also gives the result after each row.
    fn add(&self, state: &[ArrayRef], groups: &[u32], args: &[ArrayRef], running: bool) -> Result<Added, ArrowError>;

    /// The result of each group.
    fn result(&self, state: &[ArrayRef]) -> ArrayRef;

    /// Whether rows that were added can be taken out again, as an aggregate over a table needs.
    fn can_undo(&self) -> bool {
        false
    }
}

/// What adding rows gives.
#[derive(Clone, Debug)]
pub struct Added {
    /// The state after all rows.
    pub state: Vec<ArrayRef>,
    /// The result of each row's group after that row, where it was asked for.
    pub running: Option<ArrayRef>,
}

/// The aggregate with a name, in upper case, for arguments of these types; `None` if continuous queries have none. This is
/// the list of them.
pub fn fold(name: &str, args: &[DataType]) -> Option<Arc<dyn Fold>> {
    match (name, args) {
        ("COUNT", [] | [_]) => Some(Arc::new(Count)),
        _ => None,
    }
}
