//! Where the segments of a partition are kept: a folder with a file for each, or memory.
//!
//! Apart because only this file knows the names of segment files. They are Kafka's: the base offset in
//! twenty digits, so that Kafka's own tools can read them.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::handles::Handles;
use super::medium::Medium;

/// Records are nobody else's business.
const FOLDER_MODE: u32 = 0o700;

/// The home of one partition's segments.
#[derive(Clone, Debug)]
pub(crate) enum SegmentStore {
    Folder { path: PathBuf, handles: Arc<Handles> },
    Memory,
}

impl SegmentStore {
    /// The segment that starts at an offset, new or not.
    pub(crate) fn segment(&self, base_offset: i64) -> Medium {
        match self {
            SegmentStore::Folder { path, handles } => {
                Medium::file(path.join(format!("{base_offset:020}.log")), handles)
            }
            SegmentStore::Memory => Medium::memory(),
        }
    }

    /// Makes the folder when it is missing.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        match self {
            SegmentStore::Folder { path, .. } => make_folder(path),
            SegmentStore::Memory => Ok(()),
        }
    }

    /// Whether the folder is there.
    pub(crate) fn exists(&self) -> bool {
        match self {
            SegmentStore::Folder { path, .. } => path.is_dir(),
            SegmentStore::Memory => true,
        }
    }

    /// What to call the place in messages.
    pub(crate) fn name(&self) -> String {
        match self {
            SegmentStore::Folder { path, .. } => path.display().to_string(),
            SegmentStore::Memory => "memory".to_owned(),
        }
    }

    /// Base offsets of the segments there are, ascending.
    pub(crate) fn base_offsets(&self) -> io::Result<Vec<i64>> {
        let SegmentStore::Folder { path, .. } = self else { return Ok(Vec::new()) };
        let mut offsets = Vec::new();
        for entry in fs::read_dir(path)? {
            let name = entry?.file_name();
            let stem = name.to_str().and_then(|name| name.strip_suffix(".log"));
            offsets.extend(stem.and_then(|stem| stem.parse::<i64>().ok()));
        }
        offsets.sort_unstable();
        Ok(offsets)
    }

    /// Removes everything.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match self {
            SegmentStore::Folder { path, .. } => fs::remove_dir_all(path),
            SegmentStore::Memory => Ok(()),
        }
    }
}

/// Makes a folder, and those around it, for our user alone; one that exists is left unchanged.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)
}
