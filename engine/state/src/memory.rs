//! The store in memory: the committed values of each window, and over them the changes that are not committed yet.
//!
//! ```text
//! overlay      the changes since the last seal
//! sealed       epochs whose commit is in progress, at most one while a query runs
//! committed    what readers see: shards that are copied before they change while a snapshot has them
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arrow::array::{Array, BinaryArray, Int64Array};
use arrow::error::ArrowError;

use super::bytes::BytesBuilder;
use super::hash::{hash, hashes};
use super::order::in_order;
use super::overlay::Overlay;
use super::record_key::{WINDOW_BYTES, split_all};
use super::sealed::{Below, Sealed, change, starts};
use super::store::{Changes, Store};
use super::view::{Snapshot, View};

/// A store in memory.
///
/// ```
/// use arrow::array::BinaryArray;
/// use headwater_state::{MemoryStore, Store};
///
/// let mut store = MemoryStore::default();
/// let keys = BinaryArray::from_vec(vec![b"b", b"a"]);
/// store.put(0, &keys, &BinaryArray::from_vec(vec![b"1", b"2"]));
/// assert_eq!(store.get(0, &keys)?, BinaryArray::from_vec(vec![b"1", b"2"]));
/// assert_eq!(store.seal()?.keys, BinaryArray::from_vec(vec![b"a", b"b"]));
/// assert_eq!(store.changes()?.keys.value_data(), b"");
/// # Ok::<(), arrow::error::ArrowError>(())
/// ```
#[derive(Debug)]
pub struct MemoryStore {
    /// The changes since the last seal, by window.
    overlays: BTreeMap<i64, Overlay>,
    /// Epochs that are not committed yet, oldest first.
    sealed: VecDeque<Sealed>,
    committed: View,
    /// Windows that start before this have expired. Those with changes remain until the next seal.
    expired: i64,
    /// Windows that start before this may have been removed.
    kept_from: i64,
    /// Whether a seal has dropped windows.
    has_expired: bool,
}

impl Default for MemoryStore {
    fn default() -> Self {
        let (overlays, sealed, committed) = (BTreeMap::new(), VecDeque::new(), View::default());
        Self { overlays, sealed, committed, expired: i64::MIN, kept_from: i64::MIN, has_expired: false }
    }
}

impl MemoryStore {
    /// Whether a window has not expired, or is kept until the next seal because of its changes.
    fn is_visible(&self, window: i64) -> bool {
        window >= self.expired || self.overlays.contains_key(&window)
    }

    /// The windows that are visible, by layer: the number of keys that the layer adds, and its memory in bytes.
    fn sizes(&self) -> impl Iterator<Item = (isize, usize)> {
        let committed = self.committed.read();
        let committed = committed.tables().iter().map(|(start, w)| (*start, w.len().cast_signed(), w.bytes()));
        let sealed = self.sealed.iter().flat_map(Sealed::windows);
        let overlays = self.overlays.iter().map(|(start, overlay)| (*start, overlay.added(), overlay.bytes()));
        let all: Vec<_> = committed.chain(sealed).chain(overlays).collect();
        all.into_iter().filter(|(start, ..)| self.is_visible(*start)).map(|(_, added, bytes)| (added, bytes))
    }

    /// What the next seal writes to the changelog.
    fn sealing(&self) -> Result<Changes, ArrowError> {
        let mut collected = Collected::new();
        let removed_before = self.sealed.back().map_or(i64::MIN, Sealed::removed_before);
        let committed = self.committed.read();
        for start in starts(&self.sealed, &committed, removed_before, self.expired) {
            let entries = Below::of(&self.sealed, &committed, start).entries();
            collected.add(start, |columns| removals(&entries, columns))?;
        }
        for (start, overlay) in self.overlays.range(self.expired..) {
            collected.add(*start, |columns| overlay.changes(columns))?;
        }
        collected.finish()
    }
}

impl Store for MemoryStore {
    fn get(&self, window: i64, keys: &BinaryArray) -> Result<BinaryArray, ArrowError> {
        if !self.is_visible(window) {
            return Ok(BinaryArray::new_null(keys.len()));
        }
        let committed = self.committed.read();
        let (overlay, below) = (self.overlays.get(&window), Below::of(&self.sealed, &committed, window));
        let mut values = BytesBuilder::new(keys.len(), 0);
        for (row, hash) in hashes(keys).enumerate() {
            let key = keys.value(row);
            let changed = overlay.and_then(|overlay| overlay.get(hash, key));
            values.push(changed.unwrap_or_else(|| below.get(hash, key)))?;
        }
        Ok(values.finish())
    }

    fn put(&mut self, window: i64, keys: &BinaryArray, values: &BinaryArray) {
        debug_assert!(keys.len() == values.len() && keys.null_count() == 0, "a value for each key");
        if !self.is_visible(window) {
            return;
        }
        let committed = self.committed.read();
        let below = Below::of(&self.sealed, &committed, window);
        let overlay = self.overlays.entry(window).or_default();
        for (row, hash) in hashes(keys).enumerate() {
            let (key, value) = (keys.value(row), values.is_valid(row).then(|| values.value(row)));
            overlay.put(hash, key, value, || below.get(hash, key));
        }
    }

    fn expire(&mut self, start: i64) {
        self.expired = self.expired.max(start);
    }

    fn visit(&self, window: i64, visit: &mut dyn FnMut(&[u8], &[u8])) {
        if !self.is_visible(window) {
            return;
        }
        let (overlay, committed) = (self.overlays.get(&window), self.committed.read());
        let entries = Below::of(&self.sealed, &committed, window).entries().into_iter();
        let is_current = |key: &[u8]| overlay.is_none_or(|overlay| overlay.get(hash(key), key).is_none());
        entries.filter(|(key, _)| is_current(key)).for_each(|(key, value)| visit(key, value));
        overlay.into_iter().flat_map(Overlay::iter).for_each(|(key, value)| visit(key, value));
    }

    fn set_kept_from(&mut self, start: i64) {
        self.has_expired = true;
        self.kept_from = self.kept_from.max(start);
    }

    fn remove_window(&mut self, window: i64) {
        let mut keys: Vec<Box<[u8]>> = Vec::new();
        self.visit(window, &mut |key, _| keys.push(key.into()));
        self.has_expired |= !keys.is_empty();
        self.put(window, &BinaryArray::from_iter_values(&keys), &BinaryArray::new_null(keys.len()));
    }

    fn changes(&self) -> Result<Changes, ArrowError> {
        let mut collected = Collected::new();
        for (start, overlay) in &self.overlays {
            collected.add(*start, |columns| overlay.changes(columns))?;
        }
        collected.finish()
    }

    fn seal(&mut self) -> Result<Changes, ArrowError> {
        let changes = self.sealing()?;
        let kept = self.overlays.split_off(&self.expired);
        let dropped = std::mem::take(&mut self.overlays);
        self.has_expired |= !dropped.is_empty() || changes.windows.values().first().is_some_and(|w| *w < self.expired);
        self.sealed.push_back(Sealed::new(self.expired, self.expired.max(self.kept_from), self.has_expired, kept));
        Ok(changes)
    }

    fn commit(&mut self) {
        let Some(epoch) = self.sealed.pop_front() else { return };
        // What was removed is freed after readers can go on.
        drop(self.committed.change(|committed| epoch.apply(committed)));
    }

    fn restore(&mut self, keys: &BinaryArray, values: &BinaryArray) -> Result<(), ArrowError> {
        debug_assert!(keys.len() == values.len(), "a value for each key");
        let keys = split_all(keys)?;
        let mut rows = keys.iter().zip(0..);
        self.committed.change(|Snapshot { windows, .. }| {
            let committed = Arc::make_mut(windows);
            // Consecutive records often belong to one window.
            for run in keys.chunk_by(|(one, _), (next, _)| one == next) {
                change(committed, run[0].0, |window| {
                    for ((_, key), row) in rows.by_ref().take(run.len()) {
                        window.put(hash(key), key, values.is_valid(row).then(|| values.value(row)));
                    }
                });
            }
        });
        Ok(())
    }

    fn view(&self) -> View {
        self.committed.clone()
    }

    fn has_expired(&self) -> bool {
        self.has_expired
    }

    fn len(&self) -> usize {
        usize::try_from(self.sizes().map(|(added, _)| added).sum::<isize>()).expect("each removed key was there before")
    }

    fn bytes(&self) -> usize {
        self.sizes().map(|(_, bytes)| bytes).sum()
    }
}

/// Changes that are collected window by window, in order.
struct Collected {
    windows: Vec<i64>,
    /// Keys, values, and values at the last seal.
    columns: [BytesBuilder; 3],
}

impl Collected {
    fn new() -> Self {
        Self { windows: Vec::new(), columns: [0; 3].map(|bytes| BytesBuilder::new(0, bytes)) }
    }

    /// Adds the changes of a window, which `add` appends to the columns and counts.
    fn add(
        &mut self,
        window: i64,
        add: impl FnOnce(&mut [BytesBuilder; 3]) -> Result<usize, ArrowError>,
    ) -> Result<(), ArrowError> {
        let keys = add(&mut self.columns)?;
        self.windows.resize(self.windows.len() + keys, window);
        Ok(())
    }

    /// The changes. Fails if their records would not fit into one batch.
    fn finish(self) -> Result<Changes, ArrowError> {
        self.columns[0].check_room(WINDOW_BYTES)?;
        let [keys, values, before] = self.columns.map(BytesBuilder::finish);
        Ok(Changes { windows: Int64Array::from(self.windows), keys, values, before })
    }
}

/// Appends keys in order to columns of keys, values, and values at the last seal, with a null value. Returns their number.
fn removals(entries: &[(&[u8], &[u8])], [keys, values, before]: &mut [BytesBuilder; 3]) -> Result<usize, ArrowError> {
    let indices = 0..u32::try_from(entries.len()).expect("memory ends long before 4 billion keys of one window");
    for at in in_order(indices, |at| entries[at as usize].0) {
        let (key, value) = entries[at as usize];
        keys.push(Some(key))?;
        values.push(None)?;
        before.push(Some(value))?;
    }
    Ok(entries.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract;

    #[test]
    fn it_is_a_store() {
        contract::holds(|| Box::new(MemoryStore::default()));
    }

    /// Goal: memory is given back. Method: values that grow and keys that go, over many epochs.
    #[test]
    fn what_is_unused_is_given_back() {
        let mut store = MemoryStore::default();
        let key = |number: u32| BinaryArray::from_vec(vec![&number.to_be_bytes()]);
        for round in 0..2_000 {
            let value = vec![0_u8; 50 + round as usize % 100];
            store.put(0, &key(round), &BinaryArray::from_vec(vec![&value]));
            store.put(0, &key(round.saturating_sub(10)), &BinaryArray::new_null(1));
            store.seal().expect("it is small");
            store.commit();
        }
        assert_eq!(store.len(), 10);
        assert!(store.bytes() < 32 << 10, "{} bytes", store.bytes());
    }

    /// Goal: a restore takes no more memory than what it restores. Method: a changelog that is far longer than the state.
    #[test]
    fn what_later_records_replace_is_given_back() {
        let mut store = MemoryStore::default();
        for round in 0..2_000_u32 {
            let key = [&round.to_be_bytes()[..], &0_i64.to_be_bytes()].concat();
            for value in [Some(&[0_u8; 100][..]), None] {
                let keys = BinaryArray::from_vec(vec![&key]);
                store.restore(&keys, &BinaryArray::from_opt_vec(vec![value])).expect("a record key");
            }
        }
        let keys = BinaryArray::from_vec(vec![b"k\0\0\0\0\0\0\0\0"]);
        store.restore(&keys, &keys).expect("a record key");
        for bytes in 0..2_000 {
            store.restore(&keys, &BinaryArray::from_vec(vec![&vec![0; bytes]])).expect("a record key");
        }
        assert_eq!(store.len(), 1);
        assert!(store.bytes() < 32 << 10, "{} bytes", store.bytes());
    }

    #[test]
    fn a_window_that_expires_gives_its_memory_back() {
        let mut store = MemoryStore::default();
        for window in 0..100 {
            let keys: BinaryArray = (0..100_u32).map(|key| Some(key.to_be_bytes())).collect();
            store.put(window * 10, &keys, &keys);
        }
        store.seal().expect("it is small");
        let (len, bytes) = (store.len(), store.bytes());
        store.expire(500);
        assert_eq!((store.len(), store.bytes()), (len / 2, bytes / 2));
        store.expire(i64::MAX);
        assert_eq!((store.len(), store.bytes(), store.is_empty()), (0, 0, true));
    }
}
