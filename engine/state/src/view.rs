//! What other threads see of a store: the values at its last commit.

use std::collections::BTreeMap;
use std::ops::RangeBounds;
use std::sync::Arc;

use arrow::array::{Array, BinaryArray};
use arrow::error::ArrowError;
use parking_lot::RwLock;

use super::bytes::BytesBuilder;
use super::cold::ColdSnapshot;
use super::cold_keys::ColdKeys;
use super::hash::hashes;
use super::scan::Scan;
use super::window::{Found, Window};

/// The committed values of a store, for other threads. A clone is cheap and shows the same store.
///
/// ```
/// use arrow::array::BinaryArray;
/// use headwater_state::{MemoryStore, Store};
///
/// let mut store = MemoryStore::default();
/// let view = store.view();
/// let keys = BinaryArray::from_vec(vec![b"a"]);
/// store.put(0, &keys, &BinaryArray::from_vec(vec![b"1"]));
/// store.seal()?;
/// assert!(view.snapshot().is_empty(), "it is not committed yet");
/// store.commit();
/// assert_eq!(view.snapshot().get(0, &keys)?, BinaryArray::from_vec(vec![b"1"]));
/// # Ok::<(), arrow::error::ArrowError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct View(Arc<RwLock<Snapshot>>);

/// The values of a store at one commit, which later commits do not change. It costs little to take one; while it exists, each
/// commit copies the parts of the store that it changes.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(crate) windows: Arc<BTreeMap<i64, Arc<Window>>>,
    /// What is on disk; `None` if nothing is there.
    pub(crate) cold: Option<Arc<dyn ColdSnapshot>>,
    pub(crate) kept_from: i64,
    pub(crate) has_expired: bool,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self { windows: Arc::default(), cold: None, kept_from: i64::MIN, has_expired: false }
    }
}

impl View {
    /// The values at the last commit. Waits while a commit is being applied.
    pub fn snapshot(&self) -> Snapshot {
        self.0.read().clone()
    }

    /// The values at the last commit, for the store itself.
    pub(crate) fn read(&self) -> impl std::ops::Deref<Target = Snapshot> {
        self.0.read()
    }

    /// Changes the values. Readers see all of the changes or none.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Snapshot) -> T) -> T {
        change(&mut self.0.write())
    }
}

impl Snapshot {
    /// The starts of its windows, in order, each with its number of keys.
    pub fn windows(&self) -> impl Iterator<Item = (i64, usize)> {
        self.windows.iter().map(|(start, window)| (*start, window.len()))
    }

    /// Windows that start before this have expired, in ms since the epoch; `i64::MIN` if none has in this process.
    pub fn kept_from(&self) -> i64 {
        self.kept_from
    }

    /// Whether windows have been removed because they expired, in this process.
    pub fn has_expired(&self) -> bool {
        self.has_expired
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.windows.values().map(|window| window.len()).sum()
    }

    /// True if there are no keys.
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// The value of each key in a window; null if the key does not exist. Fails if the disk does, or if the values of a batch
    /// exceed the size of one array (2 GiB).
    pub fn get(&self, window: i64, keys: &BinaryArray) -> Result<BinaryArray, ArrowError> {
        let Some(window) = self.windows.get(&window) else { return Ok(BinaryArray::new_null(keys.len())) };
        let mut on_disk = ColdKeys::default();
        let mut found = Vec::with_capacity(keys.len());
        for (row, hash) in hashes(keys).enumerate() {
            found.push(match window.find(hash, keys.value(row)) {
                Found::Value(value) => value,
                Found::OnDisk(window) => {
                    on_disk.add(window, hash, row);
                    None
                }
            });
        }
        let read = on_disk.read(self.cold.as_deref(), |row| keys.value(row))?;
        for (row, value) in read.iter() {
            found[row] = value;
        }
        let mut values = BytesBuilder::new(keys.len(), 0);
        found.into_iter().try_for_each(|value| values.push(value))?;
        Ok(values.finish())
    }

    /// All keys of some windows with their values, in batches of at most `rows` keys.
    pub fn scan(&self, windows: impl RangeBounds<i64>, rows: usize) -> Scan {
        let windows = self.windows.range(windows);
        Scan::new(windows.map(|(start, window)| (*start, window.clone())).collect(), self.cold.clone(), rows)
    }

    /// The windows with their keys.
    pub(crate) fn tables(&self) -> &BTreeMap<i64, Arc<Window>> {
        &self.windows
    }
}
