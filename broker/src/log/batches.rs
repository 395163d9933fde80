//! The batches of a segment, one after the other, as a whole.
//!
//! Separate because only what looks at all records needs it: a segment is read in large pieces.

use std::io;

use bytes::Bytes;

use super::batch::{BatchHeader, HEADER_BYTES};
use super::medium::Medium;

/// The number of bytes read at once.
const WINDOW_BYTES: u64 = 1024 * 1024;

/// Iterates over the batches of a segment and verifies their checksums.
#[derive(Debug)]
pub(crate) struct Batches<'a> {
    medium: &'a Medium,
    position: u64,
    end: u64,
    /// The bytes from `position` on that were read.
    window: Bytes,
}

impl<'a> Batches<'a> {
    /// The batches from the start of a segment up to a position.
    pub(crate) fn new(medium: &'a Medium, end: u64) -> Batches<'a> {
        Batches { medium, position: 0, end, window: Bytes::new() }
    }

    /// The next batch; `None` after the last. Bytes that are no batch are an error of the kind `InvalidData`.
    pub(crate) fn next(&mut self) -> io::Result<Option<(BatchHeader, Bytes)>> {
        if self.position == self.end {
            return Ok(None);
        }
        self.load(HEADER_BYTES)?;
        let header = BatchHeader::parse(&self.window).filter(|header| header.magic == 2);
        let header = header.ok_or_else(|| self.damaged())?;
        self.load(header.bytes)?;
        let batch = self.window.split_to(header.bytes);
        if !header.checksum_fits(&batch) {
            return Err(self.damaged());
        }
        self.position += header.bytes as u64;
        Ok(Some((header, batch)))
    }

    /// Reads on unless so many bytes were read.
    fn load(&mut self, bytes: usize) -> io::Result<()> {
        let left = self.end - self.position;
        if bytes as u64 > left {
            return Err(self.damaged());
        }
        if bytes > self.window.len() {
            self.window = self.medium.read_at(self.position, WINDOW_BYTES.max(bytes as u64).min(left) as usize)?;
        }
        Ok(())
    }

    fn damaged(&self) -> io::Error {
        let message = format!("{} is damaged at byte {}", self.medium.name(), self.position);
        io::Error::new(io::ErrorKind::InvalidData, message)
    }
}
