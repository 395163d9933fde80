//! Tests of compaction: what readers see is what they would have seen without it, at all times and however the broker ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::super::batch::testing;
use super::super::loss_tests::MemoryExtents;
use super::super::tests::{opening, small_segments};
use super::super::*;
use super::latest::LatestOffsets;

mod cases;
mod model;
mod reader;

const REMOVALS_MS: i64 = 100;

fn eager() -> Compaction {
    Compaction {
        dirty_ratio_min: 0.0,
        lag_ms_min: 0,
        lag_ms_max: i64::MAX,
        removals_ms: REMOVALS_MS,
        segment_bytes: 400,
        index_interval_bytes: 200,
    }
}

/// A log with what the journal would know of it.
struct Kept {
    log: Log,
    folder: Option<TempDir>,
    extents: MemoryExtents,
    compacted: Compacted,
}

impl Kept {
    fn in_memory() -> Kept {
        let log = Log::open(opening(SegmentStore::Memory)).expect("opens");
        Kept { log, folder: None, extents: MemoryExtents::default(), compacted: Compacted::default() }
    }

    fn in_folder() -> Kept {
        let folder = tempfile::tempdir().expect("a folder");
        let extents = MemoryExtents::default();
        let log = open(folder.path(), &extents, &Compacted::default());
        Kept { log, folder: Some(folder), extents, compacted: Compacted::default() }
    }

    fn path(&self) -> &Path {
        self.folder.as_ref().expect("it is in a folder").path()
    }

    /// The broker is killed and started again.
    fn restart(&mut self) {
        if let Some(folder) = &self.folder {
            self.log = open(folder.path(), &self.extents, &self.compacted);
        }
    }

    /// Compacts with room for some keys; is killed after `steps`, if it is not done by then.
    fn compact(&mut self, compaction: &Compaction, keys_max: usize, steps: usize, now_ms: i64) -> Option<Counts> {
        let plan = self.log.plan_compaction(compaction, now_ms)?;
        let outcome = plan.run_with(LatestOffsets::with_at_most(keys_max), &|| false).expect("compacts");
        let counts = outcome.counts;
        if steps == 0 {
            self.restart();
            return None;
        }
        assert!(self.log.can_be_replaced(&outcome));
        self.compacted = outcome.compacted.clone();
        if steps == 1 && self.folder.is_some() {
            self.restart();
            return Some(counts);
        }
        let removed = self.log.replace(outcome);
        if steps == 2 {
            self.restart();
        } else {
            remove_segments(&removed);
        }
        Some(counts)
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path()).expect("is there");
        let mut files: Vec<_> = entries.map(|entry| entry.expect("is there").path()).collect();
        files.sort();
        files
    }
}

fn open(folder: &Path, extents: &MemoryExtents, compacted: &Compacted) -> Log {
    let store = SegmentStore::Folder { path: folder.to_owned(), handles: Arc::default() };
    let (saved_extent, compacted) = (extents.saved(), compacted.clone());
    let extent_store: Option<Box<dyn ExtentStore>> = Some(Box::new(extents.clone()));
    Log::open(Opening { extent_store, saved_extent, compacted, ..opening(store) }).expect("opens")
}

/// Appends records with these keys, and values that grow.
fn fill(log: &Log, keys: impl Iterator<Item = u8>) {
    for (at, key) in keys.enumerate() {
        let batch = testing::with_keys(Producer::NONE, -1, &[(vec![key], Some(vec![at as u8; 9]))], 5, false);
        log.append(&batch, &small_segments(), 0).expect("appends");
    }
}
