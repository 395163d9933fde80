//! The latest offset of each key.
//!
//! Separate because of its promise: its memory is limited, however many keys there are and however long they are. A key is known by
//! a hash of 128 bits with a secret of its own, so nobody can choose keys that are taken for each other.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use siphasher::sip128::{Hasher128, SipHasher13};
use uuid::Uuid;

/// The number of keys of one compaction: as many as fit into about 25 MB.
const KEYS_MAX: usize = (1 << 20) / 8 * 7;

/// The latest offset of each key.
#[derive(Debug)]
pub(super) struct LatestOffsets {
    hasher: SipHasher13,
    offsets: HashMap<Hashed, i64, BuildHasherDefault<Identity>>,
    keys_max: usize,
}

/// The hash of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hashed([u64; 2]);

impl std::hash::Hash for Hashed {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.0[0]);
    }
}

/// Hashes what is a hash already.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl LatestOffsets {
    pub(super) fn new() -> LatestOffsets {
        LatestOffsets::with_at_most(KEYS_MAX)
    }

    pub(super) fn with_at_most(keys_max: usize) -> LatestOffsets {
        let hasher = SipHasher13::new_with_key(Uuid::new_v4().as_bytes());
        LatestOffsets { hasher, offsets: HashMap::default(), keys_max }
    }

    /// Whether there is room for so many more keys. The first batch always has room.
    pub(super) fn has_room(&self, keys: usize) -> bool {
        self.offsets.is_empty() || self.offsets.len() + keys <= self.keys_max
    }

    /// Records the offset of a key, which is later than those before.
    pub(super) fn add(&mut self, key: &[u8], offset: i64) {
        self.offsets.insert(self.hash(key), offset);
    }

    /// The latest offset of a key, if it was added.
    pub(super) fn of(&self, key: &[u8]) -> Option<i64> {
        self.offsets.get(&self.hash(key)).copied()
    }

    fn hash(&self, key: &[u8]) -> Hashed {
        let mut hasher = self.hasher;
        hasher.write(key);
        let hash = hasher.finish128();
        Hashed([hash.h1, hash.h2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_offset_counts() {
        let mut latest = LatestOffsets::with_at_most(3);
        assert!(latest.has_room(9), "one batch always fits");
        for (key, offset) in [("a", 1), ("b", 2), ("a", 3), ("", 4)] {
            latest.add(key.as_bytes(), offset);
        }
        assert_eq!(["a", "b", "", "c"].map(|key| latest.of(key.as_bytes())), [Some(3), Some(2), Some(4), None]);
        assert!(!latest.has_room(1) && latest.has_room(0));
    }
}
