//! What the tests of folds share: one group, row by row.

use arrow::array::{Array, ArrayRef, Int64Array, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::{Fold, Folded, Rows};

/// Folds rows into a new group. `undone` has the rows that are undone.
pub fn folded(fold: &dyn Fold, args: &[ArrayRef], undone: &[usize]) -> Folded {
    let state: Vec<ArrayRef> = fold.state().iter().map(|field| new_null_array(field.data_type(), 1)).collect();
    more(fold, &state, args, undone)
}

/// Folds rows into a group that exists.
pub fn more(fold: &dyn Fold, state: &[ArrayRef], args: &[ArrayRef], undone: &[usize]) -> Folded {
    let rows = args[0].len();
    let order: Int64Array = (0..rows as i64).map(Some).collect();
    let undone = (!undone.is_empty()).then(|| BooleanBuffer::collect_bool(rows, |row| undone.contains(&row)));
    let rows = Rows { groups: &vec![0; rows], args, undone: undone.as_ref(), order: &order };
    fold.fold(state, &rows, true).expect("the rows are few")
}

/// The result after each row, as text.
pub fn running(fold: &dyn Fold, args: &[ArrayRef], undone: &[usize]) -> Vec<String> {
    texts(&folded(fold, args, undone).running.expect("it was requested"))
}

/// Values as text.
pub fn texts(values: &dyn Array) -> Vec<String> {
    let options = FormatOptions::default().with_null("null");
    let formatter = ArrayFormatter::try_new(values, &options).expect("all types can be shown");
    (0..values.len()).map(|row| formatter.value(row).to_string()).collect()
}
