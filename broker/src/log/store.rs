//! Where the segments of a partition are stored: a folder with one file for each, or memory.
//!
//! Separate because only this file knows the names of segment files. They are Kafka's, the base offset in twenty
//! digits, so that Kafka's own tools can read them. What compaction wrote has its number, too, so that no file is ever replaced by
//! another one of the same name.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::handles::Handles;
use super::medium::Medium;

/// Records are private to the user who runs the broker.
const FOLDER_MODE: u32 = 0o700;

/// The name of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentName {
    pub(crate) base_offset: i64,
    /// The number of the compaction that wrote it; 0 if it is as it was appended.
    pub(crate) round: u64,
}

impl SegmentName {
    /// The name of a segment that is appended to.
    pub(crate) fn appended(base_offset: i64) -> SegmentName {
        SegmentName { base_offset, round: 0 }
    }

    fn file(self) -> String {
        let SegmentName { base_offset, round } = self;
        if round == 0 { format!("{base_offset:020}.log") } else { format!("{base_offset:020}.{round}.log") }
    }

    /// The segment that a file is; `None` if it is something else.
    fn of(file: &str) -> Option<SegmentName> {
        let stem = file.strip_suffix(".log")?;
        let (base_offset, round) = stem.split_once('.').unwrap_or((stem, "0"));
        let name = SegmentName { base_offset: base_offset.parse().ok()?, round: round.parse().ok()? };
        (name.file() == file).then_some(name)
    }
}

/// Where the segments of one partition are stored.
#[derive(Clone, Debug)]
pub(crate) enum SegmentStore {
    Folder { path: PathBuf, handles: Arc<Handles> },
    Memory,
}

impl SegmentStore {
    /// The segment with this name, whether it exists or not.
    pub(crate) fn segment(&self, name: SegmentName) -> Medium {
        match self {
            SegmentStore::Folder { path, handles } => Medium::file(path.join(name.file()), handles),
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

    /// The existing segments, in ascending order.
    pub(crate) fn names(&self) -> io::Result<Vec<SegmentName>> {
        let SegmentStore::Folder { path, .. } = self else { return Ok(Vec::new()) };
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            names.extend(entry?.file_name().to_str().and_then(SegmentName::of));
        }
        names.sort_unstable();
        Ok(names)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for (base_offset, round) in [(0, 0), (7, 0), (7, 1), (i64::MAX, u64::MAX)] {
            let name = SegmentName { base_offset, round };
            assert_eq!(SegmentName::of(&name.file()), Some(name));
        }
        assert_eq!(SegmentName::appended(7).file(), "00000000000000000007.log");
        for other in ["7.log", "00000000000000000007.log.12.torn", "00000000000000000007.0.log", "x.log", "log"] {
            assert_eq!(SegmentName::of(other), None, "{other}");
        }
    }
}
