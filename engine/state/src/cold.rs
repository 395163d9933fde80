//! What a store moves out of memory, and how it is found again: the traits of a disk, and the keys of what is on it.
//!
//! ```text
//! Disk::open()                one place for each store, empty at first
//! Cold::write(run)            committed keys are handed over, in the order of their keys; memory keeps them until they are written
//! Cold::written()             how many runs are written
//! Cold::snapshot()            what was written, for the store and for readers; later writes do not change it
//! Cold::forget(windows)       windows are gone
//! ```
//!
//! The truth is the changelog: nothing that is on disk is needed after the process has ended.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::BinaryArray;
use arrow::error::ArrowError;

/// Bytes before the key of a store in a key on disk: those of its window, and of its place in the window.
pub(crate) const PREFIX_BYTES: usize = WINDOW_BYTES + PLACE_BYTES;
/// Bytes of the number of a window on disk.
const WINDOW_BYTES: usize = size_of::<u64>();
/// Bytes of a place.
const PLACE_BYTES: usize = 3;
/// Most bytes of a key that is moved to disk, with its prefix; a longer one stays in memory.
pub(crate) const KEY_BYTES_MAX: usize = 60_000;
/// Most bytes of a value that is moved to disk; a longer one stays in memory.
pub(crate) const VALUE_BYTES_MAX: usize = 64 << 20;

/// Opens places on disk. All stores of a process share it.
pub trait Disk: fmt::Debug + Send + Sync {
    /// An empty place for one store; its space is given back when it and its snapshots are dropped.
    fn open(&self) -> Result<Box<dyn Cold>, ColdError>;
}

/// The part of one store that is on disk: values by key, ordered as bytes. After an error it is not used any more.
pub trait Cold: fmt::Debug + Send {
    /// Hands over keys, which are written after all that were handed over before, perhaps only later. Does not wait for that.
    fn write(&mut self, run: Run) -> Result<(), ColdError>;

    /// Waits until at least this many runs are written, and returns how many are. Fails once one could not be written.
    fn written(&self, least: u64) -> Result<u64, ColdError>;

    /// Gives back the space of the keys that begin with one of these numbers (8 bytes, the most significant first), as far as
    /// that costs little. Nobody asks for them any more, except in snapshots that exist.
    fn forget(&mut self, windows: Range<u64>) -> Result<(), ColdError>;

    /// Everything that was written until now.
    fn snapshot(&self) -> Arc<dyn ColdSnapshot>;
}

/// What was on disk at one time.
pub trait ColdSnapshot: fmt::Debug + Send + Sync {
    /// The value of each key; null if it does not exist. The keys are in ascending order.
    fn get(&self, keys: &BinaryArray) -> Result<BinaryArray, ColdError>;

    /// The keys of a range with their values, in ascending order and in pieces of a few thousand.
    fn scan(&self, keys: Range<Vec<u8>>) -> Box<dyn Iterator<Item = Result<Piece, ColdError>> + Send>;
}

/// Keys in ascending order, piece by piece; a null value removes the key.
pub type Run = Box<dyn Iterator<Item = Piece> + Send>;

/// Some keys on disk with their values.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// The keys, in ascending order; never null.
    pub keys: BinaryArray,
    /// The values; null for a removed key.
    pub values: BinaryArray,
}

/// State could not be moved to disk or read from it. The store that it belongs to must be restored from its changelog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColdError {
    /// What failed, with the path and the cause.
    pub message: Arc<str>,
}

impl ColdError {
    /// An error with this message.
    pub fn new(message: impl Into<Arc<str>>) -> Self {
        Self { message: message.into() }
    }

    /// The error of a disk that caused another one.
    pub fn behind(error: &ArrowError) -> Option<&Self> {
        let ArrowError::ExternalError(cause) = error else { return None };
        cause.downcast_ref()
    }
}

impl fmt::Display for ColdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for ColdError {}

impl From<ColdError> for ArrowError {
    fn from(error: ColdError) -> Self {
        Self::ExternalError(Box::new(error))
    }
}

/// The places of a shard, or of several beside each other, within their window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Places {
    /// The first place.
    pub first: u32,
    /// One more than the last place.
    pub end: u32,
}

/// Number of places of a window.
const PLACES: u32 = 1 << (8 * PLACE_BYTES);
/// The bits of a hash that determine the shard begin here: the hash tables of the shards use those below.
pub(crate) const SHARD_BITS: u32 = 24;

impl Places {
    /// All places of a window.
    #[cfg(test)]
    pub(crate) const ALL: Self = Self { first: 0, end: PLACES };

    /// Whether the key with a hash is in one of them.
    pub(crate) fn contain(self, hash: u64) -> bool {
        (self.first..self.end).contains(&place(hash))
    }

    /// Those of the keys whose hashes have these lowest `depth` bits above [`SHARD_BITS`].
    pub(crate) fn of(bits: u32, depth: u32) -> Self {
        let first = reversed(bits & ((1 << depth) - 1));
        Self { first, end: first + (PLACES >> depth) }
    }

    /// The range of keys on disk that they have in a window.
    pub(crate) fn keys(self, window: u64) -> Range<Vec<u8>> {
        let end = if self.end == PLACES { (window + 1, 0) } else { (window, self.end) };
        prefix(window, self.first).to_vec()..prefix(end.0, end.1).to_vec()
    }
}

/// The place of a key in its window: the bits that determine its shard, the first one first, so that a shard is one range.
pub(crate) fn place(hash: u64) -> u32 {
    reversed((hash >> SHARD_BITS) as u32)
}

/// The lowest 24 bits in the opposite order.
fn reversed(bits: u32) -> u32 {
    bits.reverse_bits() >> (u32::BITS - 8 * PLACE_BYTES as u32)
}

/// What a key on disk begins with.
pub(crate) fn prefix(window: u64, place: u32) -> [u8; PREFIX_BYTES] {
    let mut bytes = [0; PREFIX_BYTES];
    bytes[..WINDOW_BYTES].copy_from_slice(&window.to_be_bytes());
    bytes[WINDOW_BYTES..].copy_from_slice(&place.to_be_bytes()[1..]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_one_range_of_places() {
        assert_eq!(Places::of(0, 0), Places::ALL);
        for hash in [0, 0x1234_5678_9abc_def0, u64::MAX, 1 << 24, 1 << 25] {
            for depth in [0, 1, 2, 13, 24] {
                let bits = (hash >> SHARD_BITS) as u32 & 0xff_ffff;
                let Places { first, end } = Places::of(bits, depth);
                assert!((first..end).contains(&place(hash)), "{hash:x} {depth}");
                let other = Places::of(bits ^ 1, depth);
                assert_eq!((other.first..other.end).contains(&place(hash)), depth == 0, "{hash:x} {depth}");
            }
        }
    }

    #[test]
    fn the_ranges_of_a_window_are_below_the_next_one() {
        let last = Places::of(u32::MAX, 24).keys(7);
        assert_eq!(last.end, prefix(8, 0));
        assert!(last.start > Places::ALL.keys(7).start);
    }
}
