//! The disk to which the stores of a process move what does not fit in memory.
//!
//! ```text
//! PARENT/headwater-state-PID-XXXXXX/      the folder of this process, created when the first store needs it
//!   0/, 1/, …                             one tree of sorted tables for each store, written and merged by threads of their own
//! ```
//!
//! Nothing in it outlives the process: the truth is in the changelogs. The folders of processes that were killed are deleted by
//! the next process that creates its own.

mod folder;
mod merger;
mod tree;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use headwater_state::{Cold, ColdError, Disk, Storage};
use lsm_tree::{Cache, DescriptorTable};
use parking_lot::Mutex;

use folder::Folder;
pub use folder::reason;
use merger::Merger;
use tree::ColdTree;
use writer::Writers;

/// The part of the memory of all stores that is used to cache what is on disk.
const CACHE_PART: usize = 8;
/// Bytes of the cache at least and at most.
const CACHE_BYTES: (usize, usize) = (4 << 20, 256 << 20);
/// Most files that are open at once.
const FILES_MAX: usize = 256;

/// Storage of at most `bytes_max`, a part of which is the cache of what is on disk. What exceeds it is moved to a folder within
/// `parent`. Creates nothing yet.
pub fn storage(bytes_max: usize, parent: &Path) -> Storage {
    let cache = (bytes_max / CACHE_PART).clamp(CACHE_BYTES.0, CACHE_BYTES.1);
    let disk = ColdDisk {
        parent: parent.to_owned(),
        cache_bytes: cache as u64,
        opened: Mutex::default(),
        next: AtomicU64::new(0),
    };
    Storage::new(bytes_max.saturating_sub(cache), disk)
}

/// The disk of a process.
#[derive(Debug)]
struct ColdDisk {
    parent: PathBuf,
    cache_bytes: u64,
    /// The folder of the process, once a store has needed it. A new one takes its place if it was damaged.
    opened: Mutex<Option<Arc<Opened>>>,
    next: AtomicU64,
}

/// What all trees share.
struct Opened {
    folder: Folder,
    cache: Arc<Cache>,
    files: Arc<DescriptorTable>,
    merger: Merger,
    writers: Writers,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("folder", &self.folder.path()).finish_non_exhaustive()
    }
}

impl ColdDisk {
    /// The folder of the process, which is created if there is none, or if it has vanished.
    fn opened(&self) -> Result<Arc<Opened>, ColdError> {
        let mut opened = self.opened.lock();
        if let Some(opened) = opened.as_ref().filter(|opened| opened.folder.path().is_dir()) {
            return Ok(opened.clone());
        }
        let failed = |error: std::io::Error| folder::failed("create a folder for state in", &self.parent, &error);
        let (cache, files) = (Cache::with_capacity_bytes(self.cache_bytes), DescriptorTable::new(FILES_MAX));
        let new = Opened {
            folder: Folder::create(&self.parent).map_err(failed)?,
            cache: Arc::new(cache),
            files: Arc::new(files),
            merger: Merger::start().map_err(failed)?,
            writers: Writers::start().map_err(failed)?,
        };
        Ok(opened.insert(Arc::new(new)).clone())
    }
}

impl Disk for ColdDisk {
    fn open(&self) -> Result<Box<dyn Cold>, ColdError> {
        let opened = self.opened()?;
        let path = opened.folder.path().join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        Ok(Box::new(ColdTree::create(path, opened)?))
    }
}

#[cfg(test)]
mod tests;
