//! Aggregates of continuous queries, as folds over columns.
//!
//! The groups of a batch are numbered from 0, and their states are columns with one row per group. So nothing is allocated
//! for a single group, and an aggregate processes a batch in one pass. A fold itself has no state: its caller keeps the
//! columns.

mod count;

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;

use count::Count;

/// An aggregate of a continuous query.
pub trait Fold: Debug + Send + Sync {
    /// The columns of its state. They are null for a group without rows.
    fn state(&self) -> Vec<Field>;

    /// The type of its result.
    fn data_type(&self) -> DataType;

    /// Adds rows to the states of their groups. `groups` has the group number of each row, `args` the arguments of each row, and
    /// `state` a row for each group. With `running`, the result after each row is returned, too.
    fn add(&self, state: &[ArrayRef], groups: &[u32], args: &[ArrayRef], running: bool) -> Result<Added, ArrowError>;

    /// The result of each group.
    fn result(&self, state: &[ArrayRef]) -> ArrayRef;
}

/// The outcome of adding rows.
#[derive(Clone, Debug)]
pub struct Added {
    /// The state after all rows.
    pub state: Vec<ArrayRef>,
    /// The result of each row's group after that row, if it was requested.
    pub running: Option<ArrayRef>,
}

/// The aggregate with this name, in upper case, for arguments of these types; `None` if continuous queries do not support it.
/// This is the list of the supported ones.
///
/// ```
/// use std::sync::Arc;
///
/// use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
/// use arrow::datatypes::{DataType, Int64Type};
/// use headwater_functions::fold::fold;
///
/// let count = fold("COUNT", &[DataType::Utf8]).expect("continuous queries support it");
/// let new_group: ArrayRef = Arc::new(Int64Array::new_null(1));
/// let names: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
/// let added = count.add(&[new_group], &[0, 0], &[names], false)?;
/// assert_eq!(count.result(&added.state).as_primitive::<Int64Type>().value(0), 1);
/// # Ok::<(), arrow::error::ArrowError>(())
/// ```
pub fn fold(name: &str, args: &[DataType]) -> Option<Arc<dyn Fold>> {
    match (name, args) {
        ("COUNT", [] | [_]) => Some(Arc::new(Count)),
        _ => None,
    }
}
