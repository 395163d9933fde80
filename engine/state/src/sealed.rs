//! Epochs that are sealed but not committed yet, which lie over the committed values.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::overlay::Overlay;
use super::table::Table;
use super::view::Snapshot;
use super::window::Window;

/// The changes of one epoch.
#[derive(Debug)]
pub(crate) struct Sealed {
    /// Windows that start before this were removed.
    removed_before: i64,
    /// Whether a window was ever removed.
    /// Windows that start before this may have been removed.
    kept_from: i64,
    has_expired: bool,
    windows: BTreeMap<i64, Changed>,
}

/// The changes of one window in one epoch.
#[derive(Debug)]
struct Changed {
    table: Table,
    /// The number of keys that they add; negative if there are fewer.
    added: isize,
}

impl Sealed {
    /// The changes of an epoch in which windows that start before `removed_before` were removed.
    /// `has_expired` says whether a window was ever removed.
    pub(crate) fn new(
        removed_before: i64,
        kept_from: i64,
        has_expired: bool,
        overlays: BTreeMap<i64, Overlay>,
    ) -> Self {
        let changed = |(start, overlay): (i64, Overlay)| {
            let added = overlay.added();
            (start, Changed { table: overlay.into_table(), added })
        };
        Self { removed_before, kept_from, has_expired, windows: overlays.into_iter().map(changed).collect() }
    }

    /// Windows that start before this were removed.
    pub(crate) fn removed_before(&self) -> i64 {
        self.removed_before
    }

    /// The changed windows: the start of each, the number of keys that it has more than before, and the memory in use in bytes.
    pub(crate) fn windows(&self) -> impl Iterator<Item = (i64, isize, usize)> {
        self.windows.iter().map(|(start, changed)| (*start, changed.added, changed.table.bytes()))
    }

    /// Makes its changes to the committed values. Returns the windows that were removed.
    pub(crate) fn apply(self, snapshot: &mut Snapshot) -> BTreeMap<i64, Arc<Window>> {
        (snapshot.kept_from, snapshot.has_expired) = (self.kept_from, self.has_expired);
        if self.windows.is_empty() && snapshot.windows.range(..self.removed_before).next().is_none() {
            return BTreeMap::new();
        }
        let committed = Arc::make_mut(&mut snapshot.windows);
        let kept = committed.split_off(&self.removed_before);
        let removed = std::mem::replace(committed, kept);
        for (start, Changed { table, .. }) in self.windows {
            change(committed, start, |window| {
                (0..table.places()).for_each(|at| window.put(table.hash(at), table.key(at), table.value(at)));
            });
        }
        removed
    }
}

/// Changes a window, which is created if there is none, and removed if it is left empty.
pub(crate) fn change(committed: &mut BTreeMap<i64, Arc<Window>>, start: i64, change: impl FnOnce(&mut Window)) {
    let window = Arc::make_mut(committed.entry(start).or_default());
    change(window);
    if window.len() == 0 {
        committed.remove(&start);
    }
}

/// A window as it was at the last seal: the changes of epochs that are not committed, over the committed values.
#[derive(Debug)]
pub(crate) struct Below<'a> {
    /// The changes, newest first.
    changes: Vec<&'a Table>,
    committed: Option<&'a Window>,
}

impl<'a> Below<'a> {
    /// The window with this start.
    pub(crate) fn of(sealed: &'a VecDeque<Sealed>, committed: &'a Snapshot, start: i64) -> Self {
        let mut changes = Vec::new();
        for epoch in sealed.iter().rev() {
            changes.extend(epoch.windows.get(&start).map(|changed| &changed.table));
            if start < epoch.removed_before {
                return Self { changes, committed: None };
            }
        }
        Self { changes, committed: committed.tables().get(&start).map(AsRef::as_ref) }
    }

    /// The value of a key.
    pub(crate) fn get(&self, hash: u64, key: &[u8]) -> Option<&'a [u8]> {
        for table in &self.changes {
            if let Some(at) = table.find(hash, key) {
                return table.value(at);
            }
        }
        self.committed?.get(hash, key)
    }

    /// All keys with their values.
    pub(crate) fn entries(&self) -> Vec<(&'a [u8], &'a [u8])> {
        let committed = self.committed.into_iter().flat_map(Window::tables).map(AsRef::as_ref);
        let mut entries = Vec::new();
        for (above, table) in self.changes.iter().copied().chain(committed).enumerate() {
            let above = &self.changes[..above.min(self.changes.len())];
            let is_current = |(hash, key, _): &(u64, &[u8], &[u8])| above.iter().all(|t| t.find(*hash, key).is_none());
            entries.extend(table.iter().filter(is_current).map(|(_, key, value)| (key, value)));
        }
        entries
    }
}

/// The starts of the windows that exist at the last seal, within a range.
pub(crate) fn starts(sealed: &VecDeque<Sealed>, committed: &Snapshot, from: i64, to: i64) -> BTreeSet<i64> {
    let changed = sealed.iter().flat_map(|epoch| epoch.windows.range(from..to)).map(|(start, _)| *start);
    changed.chain(committed.tables().range(from..to).map(|(start, _)| *start)).collect()
}
