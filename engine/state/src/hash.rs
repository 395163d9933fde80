//! The hash of a key; the same in every process, so that a run can be repeated.

use std::hash::{BuildHasher, Hasher};

use arrow::array::{Array, BinaryArray};
use foldhash::fast::FixedState;

/// The hash of each key.
pub(crate) fn hashes(keys: &BinaryArray) -> impl Iterator<Item = u64> {
    (0..keys.len()).map(|row| hash(keys.value(row)))
}

/// The hash of a key.
pub(crate) fn hash(key: &[u8]) -> u64 {
    let mut hasher = FixedState::with_seed(0).build_hasher();
    hasher.write(key);
    hasher.finish()
}
