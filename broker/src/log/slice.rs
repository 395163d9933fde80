//! A slice of a segment: bytes, or a range of a file.
//!
//! Separate because the bytes of a large read need not pass through this process: the operating system sends the range
//! of a file from its cache.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

/// Whole batches that were read, or found to be read later.
#[derive(Debug)]
pub(crate) enum Slice {
    Bytes(Bytes),
    /// Batches that stay as they are, even if the segment is removed meanwhile.
    File(FileRange),
}

/// A range of an open file.
#[derive(Debug)]
pub(crate) struct FileRange {
    file: Arc<File>,
    position: u64,
    length: usize,
}

impl Slice {
    /// Its length in bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Slice::Bytes(bytes) => bytes.len(),
            Slice::File(range) => range.length,
        }
    }

    /// The bytes themselves.
    #[cfg(test)]
    pub(crate) fn read(self) -> Bytes {
        use std::os::unix::fs::FileExt;
        match self {
            Slice::Bytes(bytes) => bytes,
            Slice::File(range) => {
                let mut bytes = vec![0; range.length];
                range.file.read_exact_at(&mut bytes, range.position).expect("a readable file");
                bytes.into()
            }
        }
    }
}

impl FileRange {
    pub(crate) fn new(file: Arc<File>, position: u64, length: usize) -> FileRange {
        FileRange { file, position, length }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Writes the next bytes with `write`, which is given the file, the position and the number of bytes left, and returns how
    /// many it has written. The end of the file before the end of the range is an error.
    pub(crate) fn advance(
        &mut self,
        write: impl FnOnce(&File, &mut u64, usize) -> io::Result<usize>,
    ) -> io::Result<()> {
        let mut position = self.position;
        match write(&self.file, &mut position, self.length)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            written => {
                self.position += written as u64;
                self.length -= written;
                Ok(())
            }
        }
    }
}
