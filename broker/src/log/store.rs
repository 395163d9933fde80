//! Where the segments of a partition are stored: a folder with one file for each, or memory.
//!
//! Separate because only this file knows the names of segment files. They are Kafka's, the base offset in twenty
//! digits, so that Kafka's own tools can read them.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::handles::Handles;
use super::medium::Medium;

/// Records are private to the user who runs the broker.
const FOLDER_MODE: u32 = 0o700;

/// Where the segments of one partition are stored.
#[derive(Clone, Debug)]
pub(crate) enum SegmentStore {
    Folder { path: PathBuf, handles: Arc<Handles> },
    Memory,
}

impl SegmentStore {
    /// The segment with a base offset, whether it exists or not.
    pub(crate) fn segment(&self, base_offset: i64) -> Medium {
        match self {
            SegmentStore::Folder { path, handles } => {
                Medium::file(path.join(format!("{base_offset:020}.log")), handles)
            }
            SegmentStore::Memory => Medium::memory(),
        }
    }

    /// Creates the folder if it does not exist.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        match self {
            SegmentStore::Folder { path, .. } => make_folder(path),
            SegmentStore::Memory => Ok(()),
        }
    }

    /// Whether the folder exists.
    pub(crate) fn exists(&self) -> bool {
        match self {
            SegmentStore::Folder { path, .. } => path.is_dir(),
            SegmentStore::Memory => true,
        }
    }

    /// The name of the folder in messages.
    pub(crate) fn name(&self) -> String {
        match self {
            SegmentStore::Folder { path, .. } => path.display().to_string(),
            SegmentStore::Memory => "memory".to_owned(),
        }
    }

    /// The base offsets of the existing segments, in ascending order.
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

    /// Removes the folder with all segments.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match self {
            SegmentStore::Folder { path, .. } => fs::remove_dir_all(path),
            SegmentStore::Memory => Ok(()),
        }
    }
}

/// Creates a folder and its parents, accessible to this user only. A folder that already exists is left unchanged.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)
}
