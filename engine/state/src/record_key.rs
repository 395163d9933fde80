//! Keys of changelog records: the key, then the start of its window as 8 bytes, the most significant first.

use arrow::array::{Array, BinaryArray, Int64Array};
use arrow::error::ArrowError;

use super::bytes::BytesBuilder;
use super::scan::Scanned;
use super::store::Changes;

/// The length of a window's start at the end of a record's key.
pub(crate) const WINDOW_BYTES: usize = size_of::<i64>();

/// The key of the changelog record with what a task remembers beside its stores. No key of a store is like it, since no window
/// starts at the lowest time.
pub const NOTE_KEY: [u8; WINDOW_BYTES] = i64::MIN.to_be_bytes();

impl Changes {
    /// The keys of the changelog records, in the form that [`Store::restore`](super::Store::restore) expects: each key, followed
    /// by the start of its window (0 for state without windows) as 8 bytes, the most significant first. They always fit: the
    /// store has checked their size.
    pub fn record_keys(&self) -> BinaryArray {
        joined(&self.windows, &self.keys).expect("checked when the changes were made")
    }
}

impl Scanned {
    /// The keys in the form that [`Store::restore`](super::Store::restore) expects. Fails only if they exceed 2 GiB.
    pub fn record_keys(&self) -> Result<BinaryArray, ArrowError> {
        joined(&self.windows, &self.keys)
    }
}

/// The keys of the records of some keys.
fn joined(windows: &Int64Array, keys: &BinaryArray) -> Result<BinaryArray, ArrowError> {
    let mut out = BytesBuilder::new(keys.len(), keys.value_data().len() + keys.len() * WINDOW_BYTES);
    for (window, row) in windows.values().iter().zip(0..) {
        out.push_parts(&[keys.value(row), &window.to_be_bytes()])?;
    }
    Ok(out.finish())
}

/// The window and the key of a record's key; `None` if it is too short to be one.
pub(crate) fn split(record_key: &[u8]) -> Option<(i64, &[u8])> {
    let (key, window) = record_key.split_last_chunk::<WINDOW_BYTES>()?;
    Some((i64::from_be_bytes(*window), key))
}

/// The windows and keys of records' keys. Fails on the first that is not one.
pub(crate) fn split_all(record_keys: &BinaryArray) -> Result<Vec<(i64, &[u8])>, ArrowError> {
    let refused = |index: usize, record_key: Option<&[u8]>| {
        let found = record_key.map_or("no bytes".to_owned(), |key| format!("{} bytes", key.len()));
        let expected = format!("a key and the {WINDOW_BYTES} bytes of a window's start");
        ArrowError::ParseError(format!("the key of changelog record {index} has {found}, expected {expected}"))
    };
    let keys = record_keys.iter().enumerate();
    keys.map(|(index, key)| key.and_then(split).ok_or_else(|| refused(index, key))).collect()
}
