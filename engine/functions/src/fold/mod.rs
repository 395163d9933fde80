//! Aggregates of continuous queries, as folds over columns.
//!
//! The groups of a batch are numbered from 0, and their states are columns with one row per group. An aggregate processes a batch
//! in one pass. A fold itself has no state: its caller keeps the columns.
//!
//! ```text
//! numbers   a few numbers per group: SUM, AVG, SUM_LIST, STDDEV_SAMPLE, STDDEV_SAMP, CORRELATION (and COUNT, without it)
//! picks     one of the values: MIN, MAX, LATEST_BY_OFFSET, EARLIEST_BY_OFFSET
//! lists     several of the values: COLLECT_LIST, COLLECT_SET, COUNT_DISTINCT, TOPK, TOPKDISTINCT, LATEST_BY_OFFSET(x, n), …
//! tallies   values with the number of their rows: HISTOGRAM, ATTR
//! ```
//!
//! The first two allocate nothing for a single group. The others allocate the places of its values, but never a value.
//!
//! Results are those of ksqlDB: a sum is 0 and has the type of its values, where bounded queries return NULL and a wider type
//! (`crate::aggregate`), and rows have the order in which they arrive, even if they come from several partitions.

mod attr;
mod average;
mod collect_list;
mod correlation;
mod count;
mod deviation;
mod distinct;
mod ends;
mod extremes;
#[cfg(test)]
mod for_tests;
mod histogram;
mod lists;
mod numbers;
mod picks;
mod sum;
mod sum_list;
mod tallies;
#[cfg(test)]
mod tests;
mod topk;

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;

use count::Count;

/// An aggregate of a continuous query.
pub trait Fold: Debug + Send + Sync {
    /// The columns of its state. They are null for a group without rows.
    fn state(&self) -> Vec<Field>;

    /// The type of its result.
    fn data_type(&self) -> DataType;

    /// Whether rows can be undone, so that it can aggregate a table.
    fn can_undo(&self) -> bool {
        false
    }

    /// Folds rows into the states of their groups, in order. `state` has a row for each group. With `running`, the result after
    /// each row is returned, too. A row that cannot be folded changes nothing and is returned as rejected.
    fn fold(&self, state: &[ArrayRef], rows: &Rows<'_>, running: bool) -> Result<Folded, ArrowError>;

    /// Merges the states of groups, which is what session windows need: row `i` of `state` becomes part of the group `into[i]`,
    /// among `groups` new groups. A group into which nothing is merged has a null state. Fails if a merged state is out of range.
    fn merge(&self, state: &[ArrayRef], into: &[u32], groups: usize) -> Result<Vec<ArrayRef>, ArrowError>;

    /// The result of each group.
    fn result(&self, state: &[ArrayRef]) -> ArrayRef;
}

/// Rows to be folded.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The number of each row's group.
    pub groups: &'a [u32],
    /// The arguments of each row.
    pub args: &'a [ArrayRef],
    /// The rows that are undone: they were folded before and are taken out again. `None` if there are none. They only occur if
    /// [`Fold::can_undo`].
    pub undone: Option<&'a BooleanBuffer>,
    /// A number for each row that is higher than that of all rows that arrived before it, in earlier batches, too. Never null.
    pub order: &'a Int64Array,
}

impl Rows<'_> {
    /// Whether a row is undone.
    pub fn is_undone(&self, row: usize) -> bool {
        self.undone.is_some_and(|undone| undone.value(row))
    }
}

/// The outcome of folding rows.
#[derive(Clone, Debug)]
pub struct Folded {
    /// The state after all rows.
    pub state: Vec<ArrayRef>,
    /// The result of each row's group after that row, if it was requested.
    pub running: Option<ArrayRef>,
    /// The indices of rows that could not be folded, in ascending order, each with the reason for the processing log.
    pub rejected: Vec<(usize, String)>,
}

/// The aggregate with this name, in upper case, for arguments of these types, followed by arguments that are constants; `None`
/// if continuous queries do not support it. This is the list of the supported ones.
///
/// ```
/// use std::sync::Arc;
///
/// use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
/// use arrow::datatypes::{DataType, Int64Type};
/// use headwater_functions::fold::{Rows, fold};
///
/// let count = fold("COUNT", &[DataType::Utf8], &[]).expect("continuous queries support it");
/// let new_group: ArrayRef = Arc::new(Int64Array::new_null(1));
/// let names: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
/// let rows = Rows { groups: &[0, 0], args: &[names], undone: None, order: &Int64Array::from(vec![7, 8]) };
/// let folded = count.fold(&[new_group], &rows, false)?;
/// assert_eq!(count.result(&folded.state).as_primitive::<Int64Type>().value(0), 1);
/// # Ok::<(), arrow::error::ArrowError>(())
/// ```
pub fn fold(name: &str, args: &[DataType], constants: &[ScalarValue]) -> Option<Arc<dyn Fold>> {
    match (name, args, constants) {
        ("COUNT", [] | [_], []) => Some(Arc::new(Count)),
        ("COUNT_DISTINCT", [ty], []) => distinct::count_distinct(ty),
        ("SUM", [ty], []) => sum::sum(ty),
        ("SUM_LIST", [DataType::List(item)], []) => sum_list::sum_list(item.data_type()),
        ("AVG", [ty], []) => average::average(ty),
        ("MIN", [ty], []) => extremes::least(ty),
        ("MAX", [ty], []) => extremes::greatest(ty),
        ("LATEST_BY_OFFSET", [ty], constants) => ends::latest(ty, constants),
        ("EARLIEST_BY_OFFSET", [ty], constants) => ends::earliest(ty, constants),
        ("ATTR", [ty], []) => attr::attr(ty),
        ("COLLECT_LIST", [ty], limit) => collect_list::collect_list(ty, limit_of(limit)?),
        ("COLLECT_SET", [ty], limit) => distinct::collect_set(ty, limit_of(limit)?),
        ("TOPK", types, [count]) => topk::topk(types, count),
        ("TOPKDISTINCT", [ty], [count]) => topk::topk_distinct(ty, count),
        ("HISTOGRAM", [DataType::Utf8], []) => histogram::histogram(),
        ("STDDEV_SAMPLE", [DataType::Float64], []) => Some(deviation::deviation()),
        ("STDDEV_SAMP", [DataType::Float64], []) => Some(deviation::variance()),
        ("CORRELATION", [DataType::Float64, DataType::Float64], []) => Some(correlation::correlation()),
        _ => None,
    }
}

/// The constant that SQL text means: an INT or a BOOLEAN, which are the types of all constants of aggregates; `None` for any
/// other text.
pub fn constant(text: &str) -> Option<ScalarValue> {
    let boolean = || match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    };
    let integer = text.parse().ok().map(|number: i32| ScalarValue::Int32(Some(number)));
    integer.or_else(|| Some(ScalarValue::Boolean(Some(boolean()?))))
}

/// The maximum length of a collected array, which is its only constant; there is no maximum if it is missing.
fn limit_of(constants: &[ScalarValue]) -> Option<usize> {
    match constants {
        [] => Some(usize::MAX),
        [ScalarValue::Int32(limit)] => usize::try_from((*limit)?).ok(),
        _ => None,
    }
}
