//! Where the bytes of a segment are: in a file or in memory.
//!
//! Separate so that the log is the same code for both.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::RwLock;

use super::handles::{HandleId, Handles};
use super::slice::{FileRange, Slice};

/// The ending of the file beside a segment, and of one that is being written.
const BESIDE: &str = "outline";
const BESIDE_NEW: &str = "outline.new";

/// When writes are forced to the disk.
///
/// A broker that is killed loses nothing either way, because the operating system has the bytes. The difference shows
/// when the machine loses power.
///
/// ```
/// use headwater_broker::{Config, Flush};
///
/// let config = Config { flush: Flush::EveryAppend, ..Config::in_folder("data") };
/// assert_eq!(Config::in_folder("data").flush, Flush::System);
/// # assert_eq!(config.flush, Flush::EveryAppend);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flush {
    /// When the operating system decides to, and at shutdown. Fast; the last seconds before a power failure may be
    /// lost.
    #[default]
    System,
    /// When they are older than this, which is checked five times a second, and at shutdown. No more than the records of this
    /// time and a little may be lost before a power failure.
    Every(Duration),
    /// Before every acknowledgement: each produce request costs one fsync for each partition that it writes to.
    EveryAppend,
}

/// The bytes of one segment.
#[derive(Debug)]
pub(crate) enum Medium {
    /// A file that is opened when needed.
    File { path: PathBuf, id: HandleId, handles: Arc<Handles> },
    /// Blocks by position, each as it was written.
    Memory(RwLock<BTreeMap<u64, Bytes>>),
}

impl Medium {
    pub(crate) fn file(path: PathBuf, handles: &Arc<Handles>) -> Medium {
        Medium::File { path, id: handles.new_id(), handles: Arc::clone(handles) }
    }

    pub(crate) fn memory() -> Medium {
        Medium::Memory(RwLock::default())
    }

    /// Creates an empty file; a file that already exists is left unchanged.
    pub(crate) fn make(&self) -> io::Result<()> {
        match self {
            Medium::File { path, id, handles } => handles.get(*id, path, true).map(|_| ()),
            Medium::Memory(_) => Ok(()),
        }
    }

    /// Writes at `position`, which is the end of the segment; the first write creates the file.
    pub(crate) fn write_at(&self, position: u64, bytes: Bytes) -> io::Result<()> {
        match self {
            Medium::File { path, id, handles } => handles.get(*id, path, position == 0)?.write_all_at(&bytes, position),
            Medium::Memory(blocks) => {
                blocks.write().insert(position, bytes);
                Ok(())
            }
        }
    }

    /// Reads exactly `length` bytes.
    pub(crate) fn read_at(&self, position: u64, length: usize) -> io::Result<Bytes> {
        match self {
            Medium::File { path, id, handles } => {
                let mut bytes = BytesMut::zeroed(length);
                handles.get(*id, path, false)?.read_exact_at(&mut bytes, position)?;
                Ok(bytes.freeze())
            }
            Medium::Memory(blocks) => read_blocks(&blocks.read(), position, length),
        }
    }

    /// Exactly `length` bytes: of a file, the range.
    pub(crate) fn slice_at(&self, position: u64, length: usize) -> io::Result<Slice> {
        match self {
            Medium::File { path, id, handles } => {
                Ok(Slice::File(FileRange::new(handles.get(*id, path, false)?, position, length)))
            }
            Medium::Memory(_) => self.read_at(position, length).map(Slice::Bytes),
        }
    }

    /// Removes everything from `length` on.
    pub(crate) fn truncate(&self, length: u64) -> io::Result<()> {
        match self {
            Medium::File { path, id, handles } => handles.get(*id, path, false)?.set_len(length),
            Medium::Memory(blocks) => {
                blocks.write().retain(|position, _| *position < length);
                Ok(())
            }
        }
    }

    /// Copies the bytes between two positions to a file beside this one, and returns its name.
    pub(crate) fn keep_aside(&self, from: u64, to: u64) -> io::Result<String> {
        let Medium::File { path, id, handles } = self else { return Ok(self.name()) };
        let aside = path.with_extension(format!("log.{from}.torn"));
        let mut file = handles.get(*id, path, false)?.try_clone()?;
        file.seek(io::SeekFrom::Start(from))?;
        io::copy(&mut file.take(to - from), &mut File::create(&aside)?)?;
        Ok(aside.display().to_string())
    }

    /// Forces the directory entry of a new file to the disk.
    pub(crate) fn sync_name(&self) -> io::Result<()> {
        match self {
            Medium::File { path, .. } => path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all()),
            Medium::Memory(_) => Ok(()),
        }
    }

    /// Forces written bytes to the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        match self {
            Medium::File { path, id, handles } => handles.get(*id, path, false)?.sync_data(),
            Medium::Memory(_) => Ok(()),
        }
    }

    /// The length of the stored bytes, before the segment is read.
    pub(crate) fn length(&self) -> io::Result<u64> {
        match self {
            Medium::File { path, id, handles } => Ok(handles.get(*id, path, false)?.metadata()?.len()),
            Medium::Memory(blocks) => {
                Ok(blocks.read().last_key_value().map_or(0, |(at, block)| at + block.len() as u64))
            }
        }
    }

    /// Whether it is a file.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Medium::File { .. })
    }

    /// Replaces the file beside a file, which goes with it.
    pub(crate) fn write_beside(&self, bytes: &[u8]) -> io::Result<()> {
        let Medium::File { path, .. } = self else { return Ok(()) };
        let (beside, new) = (path.with_extension(BESIDE), path.with_extension(BESIDE_NEW));
        std::fs::write(&new, bytes)?;
        std::fs::rename(new, beside)
    }

    /// The file beside a file, if there is one.
    pub(crate) fn read_beside(&self) -> io::Result<Option<Vec<u8>>> {
        let Medium::File { path, .. } = self else { return Ok(None) };
        match std::fs::read(path.with_extension(BESIDE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }

    /// Whether it was not removed.
    pub(crate) fn exists(&self) -> bool {
        match self {
            Medium::File { path, .. } => path.exists(),
            Medium::Memory(_) => true,
        }
    }

    /// Removes the segment; readers that have it open can finish.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match self {
            Medium::File { path, id, handles } => {
                handles.close(*id);
                for beside in [BESIDE, BESIDE_NEW] {
                    let _ = std::fs::remove_file(path.with_extension(beside)); // most often there is none
                }
                std::fs::remove_file(path)
            }
            Medium::Memory(blocks) => {
                blocks.write().clear();
                Ok(())
            }
        }
    }

    /// The name of the segment in messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Medium::File { path, .. } => path.display().to_string(),
            Medium::Memory(_) => "memory".to_owned(),
        }
    }
}

impl Drop for Medium {
    fn drop(&mut self) {
        if let Medium::File { id, handles, .. } = self {
            handles.close(*id);
        }
    }
}

/// A block itself if it contains the whole range, otherwise a copy.
fn read_blocks(blocks: &BTreeMap<u64, Bytes>, position: u64, length: usize) -> io::Result<Bytes> {
    let mut copy = BytesMut::new();
    let mut at = position;
    let end = position + length as u64;
    while at < end {
        let (start, block) = blocks.range(..=at).next_back().ok_or(io::ErrorKind::UnexpectedEof)?;
        let from = (at - start) as usize;
        let to = block.len().min((end - start) as usize);
        if from >= to {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if at == position && to - from == length {
            return Ok(block.slice(from..to));
        }
        copy.extend_from_slice(&block[from..to]);
        at = start + to as u64;
    }
    Ok(copy.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_file_read_alike() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = Medium::file(folder.path().join("segment"), &Arc::default());
        for medium in [file, Medium::memory()] {
            medium.write_at(0, Bytes::from_static(b"abc")).expect("writes");
            medium.write_at(3, Bytes::from_static(b"defg")).expect("writes");
            assert_eq!(medium.read_at(0, 3).expect("reads"), "abc");
            assert_eq!(medium.read_at(1, 5).expect("reads"), "bcdef");
            assert_eq!(medium.length().expect("is there"), 7);
            assert!(medium.read_at(5, 3).is_err());
            medium.truncate(3).expect("truncates");
            assert_eq!(medium.length().expect("is there"), 3);
        }
    }
}
