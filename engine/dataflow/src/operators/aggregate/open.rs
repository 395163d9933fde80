//! The time windows of an aggregation that are kept, with the partitions that contributed to each.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::BinaryArray;
use arrow::error::ArrowError;
use headwater_state::Store;

use super::contributors::Contributors;
use super::expiry::{Expiry, has_expired};
use super::windowing::TimeWindows;
use crate::clocks::{Clocks, SourcePartition};

/// The window of the store that has the contributors of all windows, by the starts of those as 8 bytes.
pub const CONTRIBUTORS: i64 = i64::MIN + 1;

/// The windows of an aggregation.
#[derive(Clone, Debug, Default)]
pub struct OpenWindows {
    contributors: BTreeMap<i64, Contributors>,
    expiry: Expiry,
    /// Those whose contributors have changed since they were put into the store.
    changed: BTreeSet<i64>,
    /// The window and the partition of the row that was added last.
    last: Option<(i64, SourcePartition)>,
}

impl OpenWindows {
    /// The windows in a store.
    pub fn restore(windows: TimeWindows, store: &dyn Store) -> Result<Self, ArrowError> {
        let mut open = Self::default();
        let mut is_damaged = false;
        store.visit(CONTRIBUTORS, &mut |key, value| {
            let start = key.try_into().ok().map(i64::from_be_bytes);
            match start.zip(Contributors::from_bytes(value)) {
                Some((start, contributors)) => {
                    open.expiry.add(windows.expiry(start), &contributors, (start, Box::default()));
                    open.contributors.insert(start, contributors);
                }
                None => is_damaged = true,
            }
        });
        let damaged = || ArrowError::ComputeError("the partitions of a window are damaged".to_owned());
        if is_damaged { Err(damaged()) } else { Ok(open) }
    }

    /// The starts of the windows.
    pub fn starts(&self) -> impl Iterator<Item = i64> {
        self.contributors.keys().copied()
    }

    /// Adds the partition of a row to the contributors of its window.
    pub fn add(&mut self, windows: TimeWindows, start: i64, source: SourcePartition) {
        if self.last.replace((start, source)) == Some((start, source)) {
            return;
        }
        match self.contributors.get_mut(&start) {
            Some(contributors) => {
                if contributors.add(source) {
                    self.changed.insert(start);
                }
            }
            None => {
                let contributors = Contributors::of(source);
                self.expiry.add(windows.expiry(start), &contributors, (start, Box::default()));
                self.contributors.insert(start, contributors);
                self.changed.insert(start);
            }
        }
    }

    /// Puts the contributors that have changed into the store.
    pub fn save(&mut self, store: &mut dyn Store) {
        let changed = std::mem::take(&mut self.changed);
        if !changed.is_empty() {
            let keys = BinaryArray::from_iter_values(changed.iter().map(|start| start.to_be_bytes()));
            let values = changed.iter().map(|start| self.contributors.get(start).map(Contributors::to_bytes));
            store.put(CONTRIBUTORS, &keys, &values.collect());
        }
    }

    /// Removes the windows that have expired from the store, before it is sealed.
    pub fn expire(&mut self, windows: TimeWindows, clocks: &Clocks, store: &mut dyn Store) {
        for (start, key) in self.expiry.take_due(clocks) {
            let (Some(contributors), expiry) = (self.contributors.get(&start), windows.expiry(start)) else { continue };
            if has_expired(expiry, contributors, clocks) {
                store.remove_window(start);
                store.set_kept_from(
                    start.saturating_add(1).max(clocks.slowest().map_or(i64::MIN, |ms| windows.kept_from(ms))),
                );
                self.contributors.remove(&start);
                self.changed.insert(start);
            } else {
                self.expiry.add(expiry, contributors, (start, key));
            }
        }
        self.last = None;
        self.save(store);
    }
}
