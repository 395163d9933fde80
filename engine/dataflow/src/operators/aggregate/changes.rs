//! The changes of a table as rows that are taken out of their groups and rows that are added.

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::{concat, take};
use arrow::error::ArrowError;

use crate::chunk::{Before, Chunk};

/// Changes as the rows that are taken out and added.
pub struct Expanded {
    /// The rows before and after each change, one after the other. A row without its row before is only added.
    pub chunk: Chunk,
    /// Marks for the rows before, which are undone; `None` if there are none.
    pub undone: Option<BooleanBuffer>,
    /// The change of each row; `None` if each is one.
    changes: Option<Vec<u32>>,
}

impl Expanded {
    /// One of the rows.
    pub fn only(&self, row: usize) -> Self {
        Self {
            chunk: self.chunk.slice(row, 1),
            undone: self.undone.as_ref().map(|undone| undone.slice(row, 1)).filter(|undone| undone.value(0)),
            changes: self.changes.as_ref().map(|changes| vec![changes[row]]),
        }
    }

    /// The change that a row belongs to, by its index among those that were pushed.
    pub fn change_of(&self, row: usize) -> usize {
        self.changes.as_ref().map_or(row, |changes| changes[row] as usize)
    }
}

/// The rows that changes take out and add.
pub fn expand(chunk: Chunk) -> Result<Expanded, ArrowError> {
    let Some(before) = chunk.before.clone() else { return Ok(Expanded { chunk, undone: None, changes: None }) };
    let is_valid =
        |marks: &Option<NullBuffer>, row: u32| marks.as_ref().is_none_or(|marks| marks.is_valid(row as usize));
    let rows = 0..chunk.len() as u32;
    let entries = rows.flat_map(|row| {
        [(row, true, &before.valued), (row, false, &chunk.valued)]
            .into_iter()
            .filter(|(row, _, marks)| is_valid(marks, *row))
    });
    let (places, undone): (Vec<u32>, Vec<bool>) = entries.map(|(row, undone, _)| (row, undone)).unzip();
    let rows = entries_of(&chunk, &before, &places, &undone)?;
    let chunk = Chunk { before: None, valued: None, ..chunk }.take(&UInt32Array::from(places.clone()))?.with_rows(rows);
    let undone = BooleanArray::from(undone);
    let undone = (undone.true_count() > 0).then(|| undone.values().clone());
    Ok(Expanded { chunk, undone, changes: Some(places) })
}

/// The columns of the entries: each is a row before or after a change.
fn entries_of(chunk: &Chunk, before: &Before, places: &[u32], undone: &[bool]) -> Result<RecordBatch, ArrowError> {
    let count = chunk.len() as u32;
    let place = |(place, undone): (&u32, &bool)| if *undone { count + place } else { *place };
    let entries: UInt32Array = places.iter().zip(undone).map(place).collect::<Vec<_>>().into();
    let column = |(after, before): (&ArrayRef, &ArrayRef)| take(&concat(&[after, before])?, &entries, None);
    let columns = chunk.rows.columns().iter().zip(before.rows.columns());
    let options = RecordBatchOptions::new().with_row_count(Some(places.len()));
    RecordBatch::try_new_with_options(chunk.rows.schema(), columns.map(column).collect::<Result<_, _>>()?, &options)
}

/// The entries after which a group is emitted; `None` if these are all. A change within a group is one change of the group, so
/// nothing is emitted between its two entries, nor before a row that is taken out after them.
pub fn shown(
    groups: &[u32],
    chunk: &Chunk,
    undone: Option<&BooleanBuffer>,
    retried: Option<&BooleanBuffer>,
) -> Option<UInt32Array> {
    let undone = undone?;
    let offsets = chunk.offsets.values();
    let is_half = |row: usize| {
        let next = row + 1;
        let is_one_change = || undone.value(row) && !undone.value(next);
        next < groups.len()
            && (groups[row], offsets[row]) == (groups[next], offsets[next])
            && (is_one_change() || retried.is_some_and(|retried| retried.value(next)))
    };
    Some((0..groups.len()).filter(|row| !is_half(*row)).map(|row| Some(row as u32)).collect())
}
