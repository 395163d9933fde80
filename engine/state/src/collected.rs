//! Changes that are collected window by window, in order.

use arrow::array::{Array, Int64Array};
use arrow::error::ArrowError;

use super::bytes::BytesBuilder;
use super::record_key::WINDOW_BYTES;
use super::store::Changes;

/// The changes so far.
pub(crate) struct Collected {
    windows: Vec<i64>,
    /// Keys, values, and values at the last seal.
    columns: [BytesBuilder; 3],
}

impl Collected {
    /// No changes.
    pub(crate) fn new() -> Self {
        Self { windows: Vec::new(), columns: [0; 3].map(|bytes| BytesBuilder::new(0, bytes)) }
    }

    /// Adds the changes of a window, which `add` appends to the columns and counts.
    pub(crate) fn add(
        &mut self,
        window: i64,
        add: impl FnOnce(&mut [BytesBuilder; 3]) -> Result<usize, ArrowError>,
    ) -> Result<(), ArrowError> {
        let keys = add(&mut self.columns)?;
        self.windows.resize(self.windows.len() + keys, window);
        Ok(())
    }

    /// Adds a removed key, with its value at the last seal.
    pub(crate) fn remove(&mut self, window: i64, key: &[u8], value: &[u8]) -> Result<(), ArrowError> {
        let [keys, values, before] = &mut self.columns;
        keys.push(Some(key))?;
        values.push(None)?;
        before.push(Some(value))?;
        self.windows.push(window);
        Ok(())
    }

    /// Adds a row of other changes.
    fn copy(&mut self, changes: &Changes, row: usize) -> Result<(), ArrowError> {
        let columns = [&changes.keys, &changes.values, &changes.before];
        for (to, from) in self.columns.iter_mut().zip(columns) {
            to.push(from.is_valid(row).then(|| from.value(row)))?;
        }
        self.windows.push(changes.windows.value(row));
        Ok(())
    }

    /// The changes. Fails if their records would not fit into one batch.
    pub(crate) fn finish(self) -> Result<Changes, ArrowError> {
        self.columns[0].check_room(WINDOW_BYTES)?;
        let [keys, values, before] = self.columns.map(BytesBuilder::finish);
        Ok(Changes { windows: Int64Array::from(self.windows), keys, values, before })
    }
}

/// Changes of two kinds in one order. Both are ordered by window and key, and no key is in both.
pub(crate) fn merged(one: &Changes, other: &Changes) -> Result<Changes, ArrowError> {
    let (mut next, mut collected) = ([0, 0], Collected::new());
    loop {
        let side = match (item(one, next[0]), item(other, next[1])) {
            (None, None) => return collected.finish(),
            (Some(_), None) => 0,
            (None, Some(_)) => 1,
            (Some(first), Some(second)) => usize::from(second < first),
        };
        collected.copy([one, other][side], next[side])?;
        next[side] += 1;
    }
}

/// The window and the key of a row; `None` after the last.
fn item(changes: &Changes, row: usize) -> Option<(i64, &[u8])> {
    (row < changes.keys.len()).then(|| (changes.windows.value(row), changes.keys.value(row)))
}
