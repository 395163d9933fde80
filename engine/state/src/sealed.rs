//! Epochs that are sealed but not committed yet, which lie over the committed values.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::Array;
use arrow::error::ArrowError;

use super::hash::hash;
use super::overlay::Overlay;
use super::scan::Scanned;
use super::table::Table;
use super::view::Snapshot;
use super::warm;
use super::window::{Found, Put, Window};

/// The number of keys that are visited at once.
const VISITED_KEYS: usize = 4_096;

/// The changes of one epoch.
#[derive(Debug)]
pub(crate) struct Sealed {
    removed: Removed,
    /// Windows that start before this may have been removed.
    kept_from: i64,
    /// Whether a window was ever removed.
    has_expired: bool,
    windows: BTreeMap<i64, Changed>,
    /// The memory in use, in bytes.
    bytes: usize,
}

/// The windows that an epoch removes, before its other changes.
#[derive(Clone, Debug)]
pub(crate) struct Removed {
    /// All that start before this.
    pub(crate) before: i64,
    /// And these.
    pub(crate) windows: BTreeSet<i64>,
}

/// The changes of one window in one epoch.
#[derive(Debug)]
struct Changed {
    table: Arc<Table>,
    /// The number of keys that they add; negative if there are fewer.
    added: isize,
}

impl Removed {
    /// Whether a window is removed.
    pub(crate) fn contains(&self, start: i64) -> bool {
        start < self.before || self.windows.contains(&start)
    }
}

impl Sealed {
    /// The changes of an epoch, with the windows that it removed. `has_expired` says whether a window was ever removed.
    pub(crate) fn new(removed: Removed, kept_from: i64, has_expired: bool, overlays: BTreeMap<i64, Overlay>) -> Self {
        let changed = |(start, overlay): (i64, Overlay)| {
            let added = overlay.added();
            (start, Changed { table: Arc::new(overlay.into_table()), added })
        };
        let windows: BTreeMap<i64, Changed> = overlays.into_iter().map(changed).collect();
        let bytes = windows.values().map(|changed| changed.table.bytes()).sum();
        Self { removed, kept_from, has_expired, windows, bytes }
    }

    /// Windows that start before this were removed.
    pub(crate) fn removed_before(&self) -> i64 {
        self.removed.before
    }

    /// The starts of the changed windows.
    pub(crate) fn starts(&self) -> impl Iterator<Item = i64> {
        self.windows.keys().copied()
    }

    /// The changes of a window.
    pub(crate) fn table(&self, start: i64) -> Option<&Arc<Table>> {
        self.windows.get(&start).map(|changed| &changed.table)
    }

    /// The memory in use, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes its changes to the committed values. Returns the windows that were removed.
    pub(crate) fn apply(&self, snapshot: &mut Snapshot) -> Vec<Arc<Window>> {
        (snapshot.kept_from, snapshot.has_expired) = (self.kept_from, self.has_expired);
        let mut removed = Vec::new();
        if self.windows.is_empty() && snapshot.windows.keys().all(|start| !self.removed.contains(*start)) {
            return removed;
        }
        let committed = Arc::make_mut(&mut snapshot.windows);
        let kept = committed.split_off(&self.removed.before);
        removed.extend(std::mem::replace(committed, kept).into_values());
        removed.extend(self.removed.windows.iter().filter_map(|start| committed.remove(start)));
        for (start, Changed { table, .. }) in &self.windows {
            removed.extend(change(committed, *start, |window| {
                window.put_all(table.places(0).map(|at| {
                    let (key, value) = (table.key(at), table.value(at));
                    Put { hash: hash(key), key, value, on_disk: table.before(at).is_some() }
                }));
            }));
        }
        removed
    }

    /// The memory of its largest table, empty, if most of it was used and nobody else has it.
    pub(crate) fn into_spare(self) -> Option<Table> {
        let largest = self.windows.into_values().map(|changed| changed.table).max_by_key(|table| table.bytes())?;
        let mut table = Arc::into_inner(largest).filter(|table| table.data_bytes() > table.bytes() / 4)?;
        table.clear();
        Some(table)
    }
}

/// Changes a window, which is created if there is none, and removed and returned if it is left empty.
pub(crate) fn change(
    committed: &mut BTreeMap<i64, Arc<Window>>,
    start: i64,
    change: impl FnOnce(&mut Window),
) -> Option<Arc<Window>> {
    let window = Arc::make_mut(committed.entry(start).or_default());
    change(window);
    if window.len() == 0 { committed.remove(&start) } else { None }
}

/// A window as it was at the last seal: the changes of epochs that are not committed, over the committed values.
#[derive(Debug, Default)]
pub(crate) struct Below<'a> {
    /// The changes, newest first.
    changes: Vec<&'a Changed>,
    committed: Option<&'a Window>,
}

impl<'a> Below<'a> {
    /// The window with this start. The sealed epochs are in their order.
    pub(crate) fn of(sealed: impl DoubleEndedIterator<Item = &'a Sealed>, committed: &'a Snapshot, start: i64) -> Self {
        let mut changes = Vec::new();
        for epoch in sealed.rev() {
            changes.extend(epoch.windows.get(&start));
            if epoch.removed.contains(start) {
                return Self { changes, committed: None };
            }
        }
        Self { changes, committed: committed.tables().get(&start).map(AsRef::as_ref) }
    }

    /// Whether there are committed keys that are not removed.
    pub(crate) fn is_committed(&self) -> bool {
        self.committed.is_some()
    }

    /// Calls `visit` with each key and its value. Fails if the disk does.
    pub(crate) fn visit(
        &self,
        committed: &Snapshot,
        start: i64,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), ArrowError> {
        let is_above = |above: &[&Changed], hash, key: &[u8]| above.iter().any(|c| c.table.find(hash, key).is_some());
        for (above, changed) in self.changes.iter().enumerate() {
            let current = changed.table.iter().filter(|(hash, key, _)| !is_above(&self.changes[..above], *hash, key));
            current.for_each(|(_, key, value)| visit(key, value));
        }
        if self.committed.is_some() {
            for batch in committed.scan(start..=start, VISITED_KEYS) {
                let Scanned { keys, values, .. } = batch?;
                let rows = (0..keys.len()).map(|row| (keys.value(row), values.value(row)));
                rows.filter(|(key, _)| !is_above(&self.changes, hash(key), key))
                    .for_each(|(key, value)| visit(key, value));
            }
        }
        Ok(())
    }

    /// Whether a part of it may be on disk.
    pub(crate) fn is_cold(&self) -> bool {
        self.committed.is_some_and(|window| window.cold().is_some())
    }

    /// What memory knows about a key.
    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Found<'a> {
        for Changed { table, .. } in &self.changes {
            if let Some(at) = table.find(hash, key) {
                return Found::Value(table.value(at));
            }
        }
        self.committed.map_or(Found::Value(None), |window| window.find(hash, key))
    }

    /// Brings the committed keys with these hashes into the cache of the processor.
    pub(crate) fn warm(&self, hashes: &[u64]) {
        if let Some(window) = self.committed {
            warm::warm(hashes.iter().map(|hash| (window.table(*hash), *hash)));
        }
    }

    /// The number of keys.
    pub(crate) fn len(&self) -> usize {
        // The oldest epoch of those that follow a removal adds all of its keys, whatever it found.
        let first = match (self.committed, self.changes.last()) {
            (None, Some(first)) => first.table.len().cast_signed() - first.added,
            (None, None) => 0,
            (Some(window), _) => window.len().cast_signed(),
        };
        let len = first + self.changes.iter().map(|changed| changed.added).sum::<isize>();
        usize::try_from(len).expect("each removed key was there before")
    }

    /// The changes, newest first.
    pub(crate) fn changes(&self) -> impl Iterator<Item = &'a Arc<Table>> {
        self.changes.iter().map(|changed| &changed.table)
    }
}
