//! What one store has moved to disk: a tree of sorted tables, written in bulk.
//!
//! Of the crate `lsm-tree` only this is used: bulk loads, reads as of a sequence number, and merges. There is no log to write
//! first, since a crash loses nothing that the changelog does not have.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayBuilder, BinaryArray, BinaryBuilder};
use headwater_state::{Cold, ColdError, ColdSnapshot, Piece, Run};
use lsm_tree::config::PinningPolicy;
use lsm_tree::{AbstractTree, AnyTree, Config, Guard, SeqNo, SequenceNumberCounter};
use parking_lot::Mutex;

use super::folder;
use super::merger::Job;
use super::writer::{Queue, Task};

/// Keys of a piece of a scan, and the bytes after which it ends.
const PIECE: (usize, usize) = (4_096, 1 << 20);
/// Loads that have not been merged yet, beyond which the next one waits: each of them is looked at for each key.
const LOADS_MAX: usize = 16;
/// How long to wait before looking again whether they are merged.
const LOOK: Duration = Duration::from_millis(5);
/// How often to look at most: after half a minute it is better to have more loads.
const LOOKS_MAX: usize = 6_000;

/// The part of a store that is on disk.
#[derive(Debug)]
pub(super) struct ColdTree(Arc<Tree>);

/// A tree of sorted tables. Its files are deleted when it is dropped.
pub(super) struct Tree {
    tree: AnyTree,
    path: PathBuf,
    /// The sequence number of the next read.
    visible: SequenceNumberCounter,
    /// The sequence numbers of the snapshots that exist, with how many there are of each.
    live: Mutex<BTreeMap<SeqNo, usize>>,
    /// What waits to be written, and why the tree failed.
    pub(super) queue: Queue,
    /// Keeps the folder, which is deleted with its last tree.
    opened: Arc<super::Opened>,
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "could not delete state that is no longer used");
        }
    }
}

impl Tree {
    /// The error with the path and, if it is not one of the operating system, that a file is damaged.
    pub(super) fn failed(&self, what: &str, error: &lsm_tree::Error) -> ColdError {
        failed(what, &self.path, error)
    }

    /// Writes keys in bulk. Waits for merges if there are too many. What nobody would read is given up.
    pub(super) fn write(self: &Arc<Self>, run: Run) -> Result<(), ColdError> {
        for _ in 0..LOOKS_MAX {
            if self.tree.l0_run_count() <= LOADS_MAX || self.is_left() {
                break;
            }
            self.queue.check()?;
            std::thread::sleep(LOOK);
        }
        self.load(run).map_err(|error| self.failed("write state to", &error))
    }

    fn load(self: &Arc<Self>, run: Run) -> Result<(), lsm_tree::Error> {
        let mut load = self.tree.ingestion()?;
        for Piece { keys, values } in run {
            if self.is_left() {
                return Ok(());
            }
            for row in 0..keys.len() {
                match values.is_valid(row) {
                    true => load.write(keys.value(row), values.value(row))?,
                    false => load.write_tombstone(keys.value(row))?,
                }
            }
        }
        load.finish()
    }

    /// Whether its store and all snapshots are gone, and only the thread that writes has it.
    fn is_left(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) == 1
    }

    /// Has tables merged where that is due.
    pub(super) fn merge_soon(self: &Arc<Self>) {
        self.opened.merger.put(Job::Merge(Arc::downgrade(self)));
    }

    /// Has tables deleted that have only keys of a range.
    pub(super) fn forget_soon(self: &Arc<Self>, keys: Range<[u8; 8]>) {
        self.opened.merger.put(Job::Forget(Arc::downgrade(self), keys));
    }

    /// Merges tables where that is due. Returns false if there was nothing to merge.
    pub(super) fn merge(&self) -> Result<bool, lsm_tree::Error> {
        let before = self.tree.current_version().id();
        let strategy = Arc::new(lsm_tree::compaction::Leveled::default());
        self.tree.compact(strategy, self.unused_before())?;
        self.clean()?;
        Ok(self.tree.current_version().id() != before)
    }

    /// Deletes the tables that have only keys of a range.
    pub(super) fn forget(&self, keys: Range<[u8; 8]>) -> Result<(), lsm_tree::Error> {
        self.tree.drop_range(keys)?;
        self.clean()
    }

    /// Deletes the lists of tables that no snapshot reads any more.
    fn clean(&self) -> Result<(), lsm_tree::Error> {
        self.tree.get_version_history_lock().maintenance(&self.path, self.unused_before())
    }

    /// The sequence number before which only the newest value of each key is needed.
    fn unused_before(&self) -> SeqNo {
        let first = self.live.lock().keys().next().copied();
        first.unwrap_or_else(|| self.visible.get()).saturating_sub(1)
    }
}

impl ColdTree {
    /// An empty tree in a folder.
    pub(super) fn create(path: PathBuf, opened: Arc<super::Opened>) -> Result<Self, ColdError> {
        let visible = SequenceNumberCounter::default();
        let everywhere = || PinningPolicy::all(true);
        let tree = Config::new(&path, SequenceNumberCounter::default(), visible.clone())
            .use_cache(opened.cache.clone())
            .use_descriptor_table(Some(opened.files.clone()))
            // In small blocks, so that the cache needs only those that are used.
            .filter_block_partitioning_policy(everywhere())
            .index_block_partitioning_policy(everywhere())
            .filter_block_pinning_policy(PinningPolicy::all(false))
            .index_block_pinning_policy(PinningPolicy::all(false))
            .open();
        let tree = tree.map_err(|error| failed("create", &path, &error))?;
        let (live, queue) = (Mutex::default(), Queue::default());
        Ok(Self(Arc::new(Tree { tree, path, visible, live, queue, opened })))
    }
}

impl Cold for ColdTree {
    fn write(&mut self, run: Run) -> Result<(), ColdError> {
        self.0.queue.check()?;
        self.0.opened.writers.put(&self.0, Task::Write(run));
        Ok(())
    }

    fn written(&self, least: u64) -> Result<u64, ColdError> {
        self.0.queue.written(least)
    }

    fn forget(&mut self, windows: Range<u64>) -> Result<(), ColdError> {
        self.0.queue.check()?;
        let keys = windows.start.to_be_bytes()..windows.end.to_be_bytes();
        self.0.opened.writers.put(&self.0, Task::Forget(keys));
        Ok(())
    }

    fn snapshot(&self) -> Arc<dyn ColdSnapshot> {
        let mut live = self.0.live.lock();
        let seqno = self.0.visible.get();
        *live.entry(seqno).or_default() += 1;
        Arc::new(TreeSnapshot { tree: self.0.clone(), seqno })
    }
}

/// A tree at one time.
#[derive(Debug)]
struct TreeSnapshot {
    tree: Arc<Tree>,
    seqno: SeqNo,
}

impl Drop for TreeSnapshot {
    fn drop(&mut self) {
        let mut live = self.tree.live.lock();
        if let Some(count) = live.get_mut(&self.seqno) {
            *count -= 1;
            if *count == 0 {
                live.remove(&self.seqno);
            }
        }
    }
}

impl ColdSnapshot for TreeSnapshot {
    fn get(&self, keys: &BinaryArray) -> Result<BinaryArray, ColdError> {
        let mut values = BinaryBuilder::with_capacity(keys.len(), 0);
        for row in 0..keys.len() {
            let value = self.tree.tree.get(keys.value(row), self.seqno);
            values.append_option(value.map_err(|error| self.tree.failed("read state from", &error))?);
        }
        Ok(values.finish())
    }

    fn scan(&self, keys: Range<Vec<u8>>) -> Box<dyn Iterator<Item = Result<Piece, ColdError>> + Send> {
        let mut rows = self.tree.tree.range(keys, self.seqno, None);
        // While its iterator lives, so does the snapshot.
        let snapshot = Self::again(self);
        Box::new(std::iter::from_fn(move || {
            let (mut keys, mut values, mut bytes) = (BinaryBuilder::new(), BinaryBuilder::new(), 0);
            while keys.len() < PIECE.0 && bytes < PIECE.1 {
                match rows.next().map(Guard::into_inner) {
                    None if keys.is_empty() => return None,
                    None => break,
                    Some(Ok((key, value))) => {
                        bytes += key.len() + value.len();
                        keys.append_value(key);
                        values.append_value(value);
                    }
                    Some(Err(error)) => return Some(Err(snapshot.tree.failed("read state from", &error))),
                }
            }
            Some(Ok(Piece { keys: keys.finish(), values: values.finish() }))
        }))
    }
}

impl TreeSnapshot {
    /// The same snapshot once more.
    fn again(&self) -> Self {
        *self.tree.live.lock().entry(self.seqno).or_default() += 1;
        Self { tree: self.tree.clone(), seqno: self.seqno }
    }
}

fn failed(what: &str, path: &std::path::Path, error: &lsm_tree::Error) -> ColdError {
    match error {
        lsm_tree::Error::Io(error) => folder::failed(what, path, error),
        other => {
            ColdError::new(format!("could not {what} \"{}\": a file in it is damaged ({other:?})", path.display()))
        }
    }
}
