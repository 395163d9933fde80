//! What was read from disk since the last seal: a key that is asked for again is not read again.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use arrow::array::BinaryArray;
use arrow::error::ArrowError;

use super::cold_keys::ColdKeys;
use super::overlay::Overlay;
use super::sealed::Below;
use super::table::Table;
use super::view::Snapshot;
use super::window::Found;

/// Values on disk, by window; keys that the disk does not have are marked as removed.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    tables: RefCell<BTreeMap<i64, Table>>,
    /// Their memory, in bytes.
    bytes: Cell<usize>,
}

/// A window that may be in part on disk.
pub(crate) struct Source<'a> {
    pub(crate) start: i64,
    /// Its changes since the last seal.
    pub(crate) overlay: Option<&'a Overlay>,
    pub(crate) below: &'a Below<'a>,
    pub(crate) committed: &'a Snapshot,
}

impl Fetched {
    /// Reads those of some keys from disk that memory does not know. Fails if the disk does.
    pub(crate) fn fetch(&self, source: &Source<'_>, keys: &BinaryArray, hashes: &[u64]) -> Result<(), ArrowError> {
        let mut tables = self.tables.borrow_mut();
        let table = tables.entry(source.start).or_default();
        let mut on_disk = ColdKeys::default();
        for (row, hash) in hashes.iter().enumerate() {
            let key = keys.value(row);
            if source.overlay.is_none_or(|overlay| !overlay.has(*hash, key))
                && let Found::OnDisk(number) = source.below.find(*hash, key)
                && table.find(*hash, key).is_none()
            {
                on_disk.add(number, *hash, row);
            }
        }
        let read = on_disk.read(source.committed.cold.as_deref(), |row| keys.value(row))?;
        let bytes = table.bytes();
        for (row, value) in read.iter() {
            let (key, hash) = (keys.value(row), hashes[row]);
            if table.find(hash, key).is_none() {
                table.insert(hash, key, None, value);
            }
        }
        self.bytes.set(self.bytes.get() + table.bytes() - bytes);
        Ok(())
    }

    /// Calls `with` with what was read of a window.
    pub(crate) fn of<T>(&self, start: i64, with: impl FnOnce(Option<&Table>) -> T) -> T {
        with(self.tables.borrow().get(&start))
    }

    /// Forgets what was read of a window.
    pub(crate) fn forget(&mut self, start: i64) {
        let forgotten = self.tables.get_mut().remove(&start);
        self.bytes.set(self.bytes.get() - forgotten.map_or(0, |table| table.bytes()));
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The memory in use, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.get()
    }
}

/// The value of a key, of which memory or what was read from disk knows.
pub(crate) fn known<'a>(found: Found<'a>, fetched: Option<&'a Table>, hash: u64, key: &[u8]) -> Option<&'a [u8]> {
    match found {
        Found::Value(value) => value,
        Found::OnDisk(_) => fetched.and_then(|table| table.find(hash, key).and_then(|at| table.value(at))),
    }
}
