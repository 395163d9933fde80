//! Joined rows before and after a change.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{and, concat, not, or, take};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use headwater_state::Store;

use super::JoinTables;
use crate::chunk::{Before, Chunk};
use crate::operators::encoding::Encoding;
use crate::operators::join::side::{SideRows, present};

/// Rows of one side, some of which may not exist.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The event times, then the emitted columns except the key: what is stored.
    pub columns: Vec<ArrayRef>,
    /// Whether each row exists; `None` if all do.
    pub exists: Option<BooleanArray>,
}

/// Rows of both sides with the same keys, before and after a change.
pub struct Change {
    /// The key of each row; never null.
    pub key: ArrayRef,
    pub before: [Rows; 2],
    pub after: [Rows; 2],
    /// Whether a side of each row has changed.
    pub is_change: BooleanArray,
}

impl Rows {
    /// The rows of a chunk, with these columns.
    pub fn of(chunk: &Chunk, columns: Vec<ArrayRef>) -> Self {
        let time: ArrayRef = Arc::new(chunk.times_ms.clone());
        let exists = chunk.valued.as_ref().map(|valued| BooleanArray::new(valued.inner().clone(), None));
        Self { columns: std::iter::once(time).chain(columns).collect(), exists }
    }

    /// The rows that a store has; a null value is a row that does not exist.
    pub fn decode(encoding: &Encoding, values: &BinaryArray) -> Result<Self, ArrowError> {
        Ok(Self { columns: encoding.decode(values)?, exists: present(values) })
    }

    /// The rows at these places.
    pub fn take(&self, at: &UInt32Array) -> Result<Self, ArrowError> {
        let columns = self.columns.iter().map(|column| take(column, at, None)).collect::<Result<_, _>>()?;
        let exists = self.exists.as_ref().map(|exists| take(exists, at, None)).transpose()?;
        Ok(Self { columns, exists: exists.map(|exists| exists.as_boolean().clone()) })
    }

    /// These rows, then the others.
    pub fn followed_by(&self, others: &Self) -> Result<Self, ArrowError> {
        let columns = self.columns.iter().zip(&others.columns);
        let columns = columns.map(|(one, other)| concat(&[one, other])).collect::<Result<_, _>>()?;
        let exists = concat(&[&self.existing(), &others.existing()])?.as_boolean().clone();
        Ok(Self { columns, exists: Some(exists).filter(|exists| exists.true_count() < exists.len()) })
    }

    /// Whether each row exists.
    pub fn existing(&self) -> BooleanArray {
        self.exists.clone().unwrap_or_else(|| vec![true; self.columns[0].len()].into())
    }

    /// The later of a time and that of a row, if it exists.
    pub(super) fn latest(&self, row: usize, time_ms: i64) -> i64 {
        let exists = self.exists.as_ref().is_none_or(|exists| exists.value(row));
        if exists { time_ms.max(self.columns[0].as_primitive::<Int64Type>().value(row)) } else { time_ms }
    }
}

/// The value that each key had when the store was sealed last, and whether it has changed. `now` has the values now.
pub fn at_last_seal(
    store: &dyn Store,
    keys: &BinaryArray,
    now: &BinaryArray,
) -> Result<(BinaryArray, BooleanArray), ArrowError> {
    let changes = store.changes()?;
    let changed: HashMap<&[u8], u32> = changes.keys.iter().flatten().zip(keys.len() as u32..).collect();
    let place = |key: Option<&[u8]>| key.and_then(|key| changed.get(key).copied());
    let places: Vec<Option<u32>> = keys.iter().map(place).collect();
    let has_changed = places.iter().map(|place| Some(place.is_some())).collect();
    let places: UInt32Array = (0..).zip(places).map(|(at, place)| place.unwrap_or(at)).collect::<Vec<_>>().into();
    let before = take(&concat(&[now, &changes.before])?, &places, None)?.as_binary().clone();
    Ok((before, has_changed))
}

impl JoinTables {
    /// The joined rows of a change that exist or existed before, for rows with these times and offsets that made the change. A
    /// joined row has the latest time of the rows that it is made of, so that it does not depend on rows that came and went in between.
    /// A delete has the time of the row that made it, if none of the other side is later.
    pub(super) fn changed(&self, change: &Change, of_rows: Chunk) -> Result<Chunk, ArrowError> {
        let (before, after) = (self.exist(&change.before)?, self.exist(&change.after)?);
        let rows = self.joined(&change.key, &change.after, after.as_ref())?;
        let former =
            self.gives_before.then(|| self.joined(&change.key, &change.before, before.as_ref())).transpose()?;
        let keep = match (&before, &after) {
            (Some(before), Some(after)) => and(&change.is_change, &or(before, after)?)?,
            _ => change.is_change.clone(),
        };
        let exists = |row: usize| after.as_ref().is_none_or(|after| after.value(row));
        let time = |(row, cause_ms): (usize, &i64)| {
            let least_ms = if exists(row) { i64::MIN } else { *cause_ms };
            change.after.iter().fold(least_ms, |time, of| of.latest(row, time))
        };
        let times_ms: Int64Array = of_rows.times_ms.values().iter().enumerate().map(time).collect();
        let marks = |exist: Option<BooleanArray>| {
            exist.map(|exist| NullBuffer::new(exist.values().clone())).filter(|marks| marks.null_count() > 0)
        };
        let before = former.map(|rows| Before { rows, valued: marks(before) });
        Chunk { rows, times_ms, valued: marks(after), before, windows: None, headers: None, ..of_rows }.filter(&keep)
    }

    /// Rows of both sides, joined, where `exist` says which of them exist. One that does not has its key nevertheless, for a delete.
    pub(super) fn joined(
        &self,
        key: &ArrayRef,
        rows: &[Rows; 2],
        exist: Option<&BooleanArray>,
    ) -> Result<RecordBatch, ArrowError> {
        let gone = exist.map(not).transpose()?;
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for (side, rows) in self.sides.iter().zip(rows) {
            let rows = SideRows { values: rows.columns[1..].to_vec(), exists: rows.exists.clone() };
            columns.extend(side.emitted(key, &rows, gone.as_ref())?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(key.len()));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
    }
}
