//! The store in memory: the committed values of each window, and over them the changes that are not committed yet.
//!
//! ```text
//! overlay      the changes since the last seal
//! sealed       epochs whose commit is in progress, at most one while a query runs
//! committed    what readers see: shards that are copied before they change while a snapshot has them
//! disk         committed keys that were moved there because memory was scarce
//! ```
//!
//! The disk gets runs of keys when a commit or a restore exceeds the share of the store, and writes them in its own time: until
//! then they are frozen in memory, between the shards and the disk. It is read once for a batch of keys,
//! for those that memory does not know; they are kept until the epoch ends.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use arrow::array::{Array, BinaryArray};
use arrow::error::ArrowError;

use super::bytes::{BytesBuilder, value};
use super::cold::ColdError;
use super::cold_keys::on_disk;
use super::collected::{Collected, merged};
use super::fetched::{Fetched, Source, known};
use super::hash::{hash, hashes};
use super::overlay::Overlay;
use super::recent::Recent;
use super::record_key::split_all;
use super::removal::{Removal, RemovedWindow};
use super::sealed::{Below, Removed, Sealed, change};
use super::storage::Storage;
use super::store::{Changes, Store};
use super::table::Table;
use super::tier::Tier;
use super::view::{Snapshot, View};
use super::warm;
use super::window::{Put, Window};

/// The part of its share that the changes of one epoch may take before it should end.
const OPEN_PART: usize = 8;
/// The epochs that are in memory at once, at most: with their changes, and what is written to the changelog.
const OPEN_EPOCHS: usize = 3;
/// Bytes that the changes of an epoch may take, however small the share is.
const OPEN_BYTES_MIN: usize = 1 << 20;

/// A store in memory, which moves to disk what does not fit.
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
    /// Their memory, in bytes.
    overlay_bytes: usize,
    /// The memory of the epoch that was committed last: the next ones need about as much.
    epoch_bytes: usize,
    /// Windows that were removed since the last seal.
    removed: BTreeSet<i64>,
    /// Epochs that are not committed yet, oldest first.
    sealed: VecDeque<Sealed>,
    /// The keys that the last seal removes from the changelog, as far as they are left.
    removal: Removal,
    committed: View,
    /// Windows that commits have removed, and whose memory and disk are still to be given back.
    gone: Vec<Arc<Window>>,
    /// Windows that start before this have expired. Those with changes remain until the next seal.
    expired: i64,
    /// Windows that start before this may have been removed.
    kept_from: i64,
    /// Whether a seal has dropped windows.
    has_expired: bool,
    tier: Tier,
    /// What was read from disk since the last seal.
    fetched: Fetched,
    /// The batches that were read last.
    recent: RefCell<Recent>,
    /// The memory of the committed values, in bytes, when they had changed last; only if memory is limited.
    committed_bytes: usize,
    /// The memory of an epoch that was committed, for the next one.
    spare: Option<Table>,
    /// Why the disk failed. The store must be restored then.
    failure: RefCell<Option<ColdError>>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::within(&Storage::default())
    }
}

impl MemoryStore {
    /// An empty store that shares memory and disk with others.
    pub fn within(storage: &Storage) -> Self {
        Self {
            overlays: BTreeMap::new(),
            overlay_bytes: 0,
            epoch_bytes: 0,
            removed: BTreeSet::new(),
            sealed: VecDeque::new(),
            removal: Removal::default(),
            committed: View::default(),
            gone: Vec::new(),
            expired: i64::MIN,
            kept_from: i64::MIN,
            has_expired: false,
            tier: Tier::new(storage),
            fetched: Fetched::default(),
            recent: RefCell::default(),
            committed_bytes: 0,
            spare: None,
            failure: RefCell::default(),
        }
    }

    /// Whether a window has not expired, or is kept until the next seal because of its changes.
    fn is_visible(&self, window: i64) -> bool {
        window >= self.expired || self.overlays.contains_key(&window)
    }

    /// Records that the disk failed.
    fn fail(&self, error: &ArrowError) {
        let error = ColdError::behind(error).cloned().unwrap_or_else(|| ColdError::new(error.to_string()));
        self.failure.borrow_mut().get_or_insert(error);
    }

    /// Fails if the disk has failed.
    fn check(&self) -> Result<(), ArrowError> {
        self.failure.borrow().clone().map_or(Ok(()), |error| Err(error.into()))
    }

    /// Reads those of some keys from disk that memory does not know.
    fn fetch(&self, source: &Source<'_>, keys: &BinaryArray, hashes: &[u64]) -> Result<(), ArrowError> {
        if !source.below.is_cold() {
            return Ok(());
        }
        self.check()?;
        self.fetched.fetch(source, keys, hashes).inspect_err(|error| self.fail(error))
    }

    /// What the next seal writes to the changelog, except for the keys of removed windows.
    fn sealing(&self) -> Result<Changes, ArrowError> {
        let mut collected = Collected::new();
        for (start, overlay) in self.overlays.range(self.expired..) {
            collected.add(*start, |columns| overlay.changes(columns))?;
        }
        collected.finish()
    }

    /// The windows that exist at the last seal and are removed by the next one.
    fn removing(&self) -> BTreeSet<i64> {
        let removed_before = self.sealed.back().map_or(i64::MIN, Sealed::removed_before);
        let committed = self.committed.read();
        let expired = removed_before..self.expired;
        let sealed = self.sealed.iter().flat_map(Sealed::starts).filter(|start| expired.contains(start));
        let committed = committed.tables().range(expired.clone()).map(|(start, _)| *start);
        sealed.chain(committed).chain(self.removed.iter().copied()).collect()
    }

    /// The keys of windows that the epoch which was just sealed removes.
    fn removal(&self, windows: &BTreeSet<i64>) -> Removal {
        let Some(last) = self.sealed.back() else { return Removal::default() };
        let before = self.sealed.len() - 1;
        let (mut removal, committed) = (Removal::default(), self.committed.snapshot());
        for start in windows {
            let below = Below::of(self.sealed.iter().take(before), &committed, *start);
            let scan = || committed.scan(*start..=*start, RemovedWindow::BATCH_KEYS);
            let scan = below.is_committed().then(scan);
            let (again, changes) = (last.table(*start).cloned(), below.changes().cloned().collect());
            removal.add(RemovedWindow { start: *start, again, changes, committed: scan, read: 0 });
        }
        removal
    }

    /// Gives back what removed windows have on disk.
    fn forget(&mut self, removed: &[Arc<Window>]) {
        if let Err(error) = self.tier.forget(removed, &self.committed) {
            self.fail(&error.into());
        }
    }

    /// The memory that it will need before the next commit, in bytes: while one epoch is committed, the next one is open.
    fn bytes_soon(&self) -> usize {
        self.committed_bytes + self.uncommitted_bytes().max(OPEN_EPOCHS * self.epoch_bytes)
    }

    /// The memory of the committed values, in bytes.
    fn measured_bytes(&self) -> usize {
        self.committed.read().tables().values().map(|window| window.bytes()).sum()
    }

    fn uncommitted_bytes(&self) -> usize {
        let others = self.sealed.iter().map(Sealed::bytes).chain(self.spare.as_ref().map(Table::bytes));
        self.open_bytes() + others.sum::<usize>()
    }

    /// The memory of the epoch that is open.
    fn open_bytes(&self) -> usize {
        self.overlay_bytes + self.fetched.bytes()
    }
}

impl Store for MemoryStore {
    fn get(&self, window: i64, keys: &BinaryArray) -> Result<BinaryArray, ArrowError> {
        if !self.is_visible(window) {
            return Ok(BinaryArray::new_null(keys.len()));
        }
        let committed = self.committed.read();
        let (overlay, mut below) = (self.overlays.get(&window), Below::of(self.sealed.iter(), &committed, window));
        if self.removed.contains(&window) {
            below = Below::default();
        }
        let all: Vec<u64> = hashes(keys).collect();
        self.fetch(&Source { start: window, overlay, below: &below, committed: &committed }, keys, &all)?;
        let values = self.fetched.of(window, |fetched| {
            let (mut values, mut row) = (BytesBuilder::new(keys.len(), 0), 0);
            for hashes in all.chunks(warm::KEYS) {
                overlay.inspect(|overlay| overlay.warm(hashes));
                below.warm(hashes);
                for hash in hashes {
                    let (hash, key) = (*hash, keys.value(row));
                    let changed = overlay.and_then(|overlay| overlay.get(hash, key));
                    values.push(changed.unwrap_or_else(|| known(below.find(hash, key), fetched, hash, key)))?;
                    row += 1;
                }
            }
            Ok::<_, ArrowError>(values.finish())
        })?;
        // What was read of a window that is removed is not what it had at the last seal.
        if !self.removed.contains(&window) {
            self.recent.borrow_mut().add(window, keys, all, &values);
        }
        Ok(values)
    }

    fn put(&mut self, window: i64, keys: &BinaryArray, values: &BinaryArray) {
        debug_assert!(keys.len() == values.len() && keys.null_count() == 0, "a value for each key");
        if !self.is_visible(window) {
            return;
        }
        let recent = self.recent.get_mut().take(window, keys);
        let hashed = || hashes(keys).collect();
        let (all, read) = recent.map_or_else(|| (hashed(), None), |batch| (batch.hashes, Some(batch.values)));
        let committed = self.committed.read();
        let (overlay, below) = (self.overlays.get(&window), Below::of(self.sealed.iter(), &committed, window));
        let source = Source { start: window, overlay, below: &below, committed: &committed };
        if read.is_none() && self.fetch(&source, keys, &all).is_err() {
            return;
        }
        self.overlay_bytes -= overlay.map_or(0, Overlay::bytes);
        let overlay = self.overlays.entry(window).or_insert_with(|| Overlay::within(self.spare.take()));
        self.fetched.of(window, |fetched| {
            let mut row = 0;
            for hashes in all.chunks(warm::KEYS) {
                overlay.warm(hashes);
                if read.is_none() {
                    below.warm(hashes);
                }
                for hash in hashes {
                    let (hash, key) = (*hash, keys.value(row));
                    overlay.put(hash, key, value(values, row), || match &read {
                        Some(read) => value(read, row),
                        None => known(below.find(hash, key), fetched, hash, key),
                    });
                    row += 1;
                }
            }
        });
        self.overlay_bytes += overlay.bytes();
    }

    fn expire(&mut self, start: i64) {
        self.expired = self.expired.max(start);
    }

    fn visit(&self, window: i64, visit: &mut dyn FnMut(&[u8], &[u8])) {
        if !self.is_visible(window) {
            return;
        }
        let (overlay, committed) = (self.overlays.get(&window), self.committed.snapshot());
        if !self.removed.contains(&window) {
            let below = Below::of(self.sealed.iter(), &committed, window);
            let is_current = |key: &[u8]| overlay.is_none_or(|overlay| !overlay.has(hash(key), key));
            let visited = below.visit(&committed, window, &mut |key, value| {
                if is_current(key) {
                    visit(key, value);
                }
            });
            visited.unwrap_or_else(|error| self.fail(&error));
        }
        overlay.into_iter().flat_map(Overlay::iter).for_each(|(key, value)| visit(key, value));
    }

    fn set_kept_from(&mut self, start: i64) {
        self.has_expired = true;
        self.kept_from = self.kept_from.max(start);
    }

    fn remove_window(&mut self, window: i64) {
        if !self.is_visible(window) {
            return;
        }
        self.recent.get_mut().clear();
        let dropped = self.overlays.remove(&window);
        self.overlay_bytes -= dropped.as_ref().map_or(0, Overlay::bytes);
        let exists = Below::of(self.sealed.iter(), &self.committed.read(), window).len() > 0;
        if exists {
            self.removed.insert(window);
        }
        self.has_expired |= exists || dropped.is_some_and(|overlay| overlay.len() > 0);
    }

    fn changes(&self) -> Result<Changes, ArrowError> {
        self.check()?;
        let mut collected = Collected::new();
        for (start, overlay) in &self.overlays {
            collected.add(*start, |columns| overlay.changes(columns))?;
        }
        collected.finish()
    }

    fn seal(&mut self) -> Result<Changes, ArrowError> {
        self.check()?;
        let (changes, removing) = (self.sealing()?, self.removing());
        let kept = self.overlays.split_off(&self.expired);
        let dropped = std::mem::take(&mut self.overlays);
        self.has_expired |= !dropped.is_empty() || removing.first().is_some_and(|start| *start < self.expired);
        let removed = Removed { before: self.expired, windows: std::mem::take(&mut self.removed) };
        self.sealed.push_back(Sealed::new(removed, self.expired.max(self.kept_from), self.has_expired, kept));
        self.overlay_bytes = 0;
        self.fetched.clear();
        self.recent.get_mut().clear();
        self.removal = self.removal(&removing);
        let first = self.removal.piece().inspect_err(|error| self.fail(error))?;
        match first {
            Some(first) => merged(&first, &changes),
            None => Ok(changes),
        }
    }

    fn sealed_rest(&mut self) -> Result<Option<Changes>, ArrowError> {
        self.removal.piece().inspect_err(|error| self.fail(error))
    }

    fn commit(&mut self) {
        let Some(epoch) = self.sealed.pop_front() else { return };
        self.epoch_bytes = epoch.bytes();
        self.gone.extend(self.committed.change(|committed| epoch.apply(committed)));
        self.spare = epoch.into_spare();
    }

    fn settle(&mut self) {
        let gone = std::mem::take(&mut self.gone);
        self.forget(&gone);
        drop(gone);
        if !self.tier.is_limited() || self.failure.borrow().is_some() {
            return;
        }
        self.committed_bytes = self.measured_bytes();
        match self.tier.settle(&self.committed, self.bytes_soon()) {
            // What was read of them may have been overwritten on disk.
            Ok(moved) => moved.into_iter().for_each(|start| self.fetched.forget(start)),
            Err(error) => self.fail(&error.into()),
        }
        self.committed_bytes = self.measured_bytes();
        self.tier.report(self.bytes_soon());
    }

    fn restore(&mut self, keys: &BinaryArray, values: &BinaryArray) -> Result<(), ArrowError> {
        debug_assert!(keys.len() == values.len(), "a value for each key");
        self.check()?;
        self.recent.get_mut().clear();
        let keys = split_all(keys)?;
        let keys: Vec<_> = keys.into_iter().map(|(start, key)| (start, hash(key), key)).collect();
        let on_disk = on_disk(&self.committed.read(), &keys).inspect_err(|error| self.fail(error))?;
        let mut rows = keys.iter().zip(0..);
        let removed = self.committed.change(|Snapshot { windows, .. }| {
            let (committed, mut removed) = (Arc::make_mut(windows), Vec::new());
            // Consecutive records often belong to one window.
            for run in keys.chunk_by(|one, next| one.0 == next.0) {
                removed.extend(change(committed, run[0].0, |window| {
                    window.put_all(rows.by_ref().take(run.len()).map(|((_, hash, key), row)| Put {
                        hash: *hash,
                        key,
                        value: value(values, row),
                        on_disk: on_disk.contains(&row),
                    }));
                }));
            }
            removed
        });
        self.forget(&removed);
        self.settle();
        self.check()
    }

    fn view(&self) -> View {
        self.committed.clone()
    }

    fn has_expired(&self) -> bool {
        self.has_expired
    }

    fn is_full(&self) -> bool {
        let (open, bytes) = (self.open_bytes(), self.committed_bytes + self.uncommitted_bytes());
        self.tier.is_limited() && open > OPEN_BYTES_MIN && open > self.tier.share(bytes) / OPEN_PART
    }

    fn yield_memory(&mut self) {
        if self.tier.owes() {
            self.spare = None;
            self.settle();
        }
    }

    fn failure(&self) -> Option<ColdError> {
        self.failure.borrow().clone()
    }

    fn len(&self) -> usize {
        let committed = self.committed.read();
        let below = self.sealed.iter().flat_map(Sealed::starts).chain(committed.tables().keys().copied());
        let starts: BTreeSet<i64> = below.chain(self.overlays.keys().copied()).collect();
        let len = |start: i64| match (self.removed.contains(&start), self.overlays.get(&start)) {
            (true, overlay) => overlay.map_or(0, Overlay::len).cast_signed(),
            (false, overlay) => {
                let below = Below::of(self.sealed.iter(), &committed, start).len().cast_signed();
                below + overlay.map_or(0, Overlay::added)
            }
        };
        let visible = starts.into_iter().filter(|start| self.is_visible(*start));
        usize::try_from(visible.map(len).sum::<isize>()).expect("each removed key was there before")
    }

    fn bytes(&self) -> usize {
        self.measured_bytes() + self.uncommitted_bytes() + self.tier.leaving_bytes()
    }
}

#[cfg(test)]
mod late_tests;
#[cfg(test)]
mod tests;
