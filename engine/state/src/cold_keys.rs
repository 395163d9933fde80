//! The keys of a batch that memory does not know, which are read from disk at once and in their order there.

use std::collections::BTreeSet;

use arrow::array::{Array, BinaryArray};
use arrow::error::ArrowError;

use super::bytes::BytesBuilder;
use super::cold::{ColdError, ColdSnapshot, place, prefix};
use super::view::Snapshot;
use super::window::{Found, stays};

/// Keys to be read.
#[derive(Debug, Default)]
pub(crate) struct ColdKeys {
    /// Each with the number of its window on disk, its place, and its row in the batch.
    keys: Vec<(u64, u32, usize)>,
}

/// What was read of some rows.
#[derive(Debug)]
pub(crate) struct Read {
    rows: Vec<usize>,
    values: BinaryArray,
}

impl ColdKeys {
    /// Adds the key of a row.
    pub(crate) fn add(&mut self, window: u64, hash: u64, row: usize) {
        self.keys.push((window, place(hash), row));
    }

    /// Reads them from disk. `key` returns the key of a row.
    pub(crate) fn read<'k>(
        mut self,
        disk: Option<&dyn ColdSnapshot>,
        key: impl Fn(usize) -> &'k [u8],
    ) -> Result<Read, ArrowError> {
        self.keys.retain(|(.., row)| !stays(key(*row)));
        if self.keys.is_empty() {
            return Ok(Read { rows: Vec::new(), values: BinaryArray::new_null(0) });
        }
        self.keys.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| key(a.2).cmp(key(b.2))));
        let mut wanted = BytesBuilder::new(self.keys.len(), 0);
        for (window, place, row) in &self.keys {
            wanted.push_parts(&[&prefix(*window, *place), key(*row)])?;
        }
        let disk = disk.ok_or_else(|| ColdError::new("internal error: a window is on no disk"))?;
        let values = disk.get(&wanted.finish())?;
        Ok(Read { rows: self.keys.into_iter().map(|(.., row)| row).collect(), values })
    }
}

impl Read {
    /// The rows, each with the value of its key; `None` if the disk does not have it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, Option<&[u8]>)> {
        let value = |at: usize| self.values.is_valid(at).then(|| self.values.value(at));
        self.rows.iter().copied().enumerate().map(move |(at, row)| (row, value(at)))
    }
}

/// The rows whose keys the disk has and memory does not know, of keys with the starts of their windows and their hashes.
pub(crate) fn on_disk(committed: &Snapshot, keys: &[(i64, u64, &[u8])]) -> Result<BTreeSet<usize>, ArrowError> {
    let mut unknown = ColdKeys::default();
    if committed.cold.is_some() {
        for (row, (start, hash, key)) in keys.iter().enumerate() {
            if let Some(Found::OnDisk(number)) = committed.tables().get(start).map(|window| window.find(*hash, key)) {
                unknown.add(number, *hash, row);
            }
        }
    }
    let read = unknown.read(committed.cold.as_deref(), |row| keys[row].2)?;
    Ok(read.iter().filter(|(_, value)| value.is_some()).map(|(row, _)| row).collect())
}
