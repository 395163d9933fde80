//! Where the segments of a partition are kept: a folder with a file for each, or memory.
//!
//! Apart because only this file knows the names of segment files. They are Kafka's: the base offset in
//! twenty digits, so that Kafka's own tools can read them.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::handles::Handles;
use super::medium::Medium;

/// The home of one partition's segments.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Folder { path: PathBuf, handles: Arc<Handles> },
    Memory,
}

impl Place {
    /// The segment that starts at an offset, new or not.
    pub(crate) fn segment(&self, base_offset: i64) -> Medium {
        match self {
            Place::Folder { path, handles } => Medium::file(path.join(format!("{base_offset:020}.log")), handles),
            Place::Memory => Medium::memory(),
        }
    }

    /// Makes the folder when it is missing.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        match self {
            Place::Folder { path, .. } => fs::create_dir_all(path),
            Place::Memory => Ok(()),
        }
    }

    /// Base offsets of the segments there are, ascending.
    pub(crate) fn base_offsets(&self) -> io::Result<Vec<i64>> {
        let Place::Folder { path, .. } = self else { return Ok(Vec::new()) };
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
            Place::Folder { path, .. } => fs::remove_dir_all(path),
            Place::Memory => Ok(()),
        }
    }
}
