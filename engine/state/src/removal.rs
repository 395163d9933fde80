//! The keys of removed windows, which leave the changelog piece by piece: a window may have more of them than fit in memory.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use arrow::error::ArrowError;

use super::collected::Collected;
use super::hash::hash;
use super::scan::Scan;
use super::store::Changes;
use super::table::Table;

/// Keys after which a piece ends.
const PIECE_KEYS: usize = 1 << 16;
/// Bytes of keys and values after which a piece ends.
const PIECE_BYTES: usize = 8 << 20;

/// The windows whose keys are left.
#[derive(Debug, Default)]
pub(crate) struct Removal {
    windows: VecDeque<RemovedWindow>,
}

/// A window as it was at the seal before it was removed.
#[derive(Debug)]
pub(crate) struct RemovedWindow {
    /// Its start.
    pub(crate) start: i64,
    /// The keys that were put into it after it had been removed: they have changes of their own.
    pub(crate) again: Option<Arc<Table>>,
    /// The changes of epochs that are not committed, newest first.
    pub(crate) changes: Vec<Arc<Table>>,
    /// The committed keys; `None` if there are none.
    pub(crate) committed: Option<Scan>,
    /// The number of changes that were read.
    pub(crate) read: usize,
}

/// The rows of a piece.
#[derive(Default)]
struct Rows {
    /// Each with its window, and where its key and value are.
    rows: Vec<(i64, Range<usize>, Range<usize>)>,
    data: Vec<u8>,
}

impl Rows {
    fn add(&mut self, window: i64, key: &[u8], value: &[u8]) {
        let start = self.data.len();
        self.data.extend_from_slice(key);
        self.data.extend_from_slice(value);
        let end = start + key.len();
        self.rows.push((window, start..end, end..self.data.len()));
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= PIECE_KEYS || self.data.len() >= PIECE_BYTES
    }

    /// As changes, in order.
    fn changes(mut self) -> Result<Changes, ArrowError> {
        let data = &self.data[..];
        self.rows.sort_unstable_by(|a, b| (a.0, &data[a.1.clone()]).cmp(&(b.0, &data[b.1.clone()])));
        let mut collected = Collected::new();
        for (window, key, value) in self.rows {
            collected.remove(window, &data[key], &data[value])?;
        }
        collected.finish()
    }
}

impl RemovedWindow {
    /// The number of keys that a batch of its committed keys has at most.
    pub(crate) const BATCH_KEYS: usize = PIECE_KEYS;

    /// Adds some of its keys. Returns false if none was left.
    fn read(&mut self, rows: &mut Rows) -> Result<bool, ArrowError> {
        let is_above = |tables: &[Arc<Table>], hash: u64, key: &[u8]| {
            self.again.iter().chain(tables).any(|table| table.find(hash, key).is_some())
        };
        if let Some(table) = self.changes.get(self.read) {
            let current = table.iter().filter(|(hash, key, _)| !is_above(&self.changes[..self.read], *hash, key));
            current.for_each(|(_, key, value)| rows.add(self.start, key, value));
            self.read += 1;
            return Ok(true);
        }
        let batch = self.committed.as_mut().and_then(Iterator::next).transpose()?;
        let Some(batch) = batch else { return Ok(false) };
        for row in 0..batch.windows.len() {
            let key = batch.keys.value(row);
            if !is_above(&self.changes, hash(key), key) {
                rows.add(self.start, key, batch.values.value(row));
            }
        }
        Ok(true)
    }
}

impl Removal {
    /// Adds a window.
    pub(crate) fn add(&mut self, window: RemovedWindow) {
        self.windows.push_back(window);
    }

    /// The next keys, in order; `None` if there are none. All keys of small windows come at once.
    pub(crate) fn piece(&mut self) -> Result<Option<Changes>, ArrowError> {
        let mut rows = Rows::default();
        while !rows.is_full() {
            let Some(window) = self.windows.front_mut() else { break };
            if !window.read(&mut rows)? {
                self.windows.pop_front();
            }
        }
        if rows.rows.is_empty() { Ok(None) } else { rows.changes().map(Some) }
    }
}
