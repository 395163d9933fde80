//! A hash table from keys to values, as bytes.
//!
//! A key, its value and their lengths are one record, and all records share one buffer. So of the memory of a table, a search reads
//! the index in one place and a record, and nothing is allocated for a single key. A value is overwritten in place while it fits;
//! otherwise its record moves to the end. The buffer is rewritten when more than half of it is unused.
//!
//! ```text
//! index    a power of two of slots, each with a part of a hash and the place of a record, or 0
//! data     header, key, value at the last seal, room for the value; header, key, …
//! ```

use super::hash::hash;

/// Bytes of the buffer that may be unused before it is rewritten, whatever its size.
const UNUSED_BYTES: usize = 4 << 10;
/// Slots of the smallest index.
const SLOTS_MIN: usize = 8;
/// The bits of a slot that have the place of a record, plus 1: a table has at most 1 TiB.
const PLACE_BITS: u32 = 40;
/// The lowest bits of a hash, which a slot has: they determine where a search begins.
const TAG_BITS: u32 = u64::BITS - PLACE_BITS;
/// Bytes of a header.
const HEADER_BYTES: usize = size_of::<Header>();
/// Instead of a length: there is no value.
const NONE: u32 = u32::MAX;
/// Instead of the length of a value: the record is not used any more.
const UNUSED: u32 = u32::MAX - 1;

/// Keys with their values. A key may also be marked as removed, for a table that lies over another one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    /// Records are found by linear probing; 0 is a free slot.
    index: Vec<u64>,
    data: Vec<u8>,
    /// Bytes of `data` that no record uses.
    unused: usize,
    /// Number of keys, also those that are marked as removed.
    keys: usize,
    /// Number of keys that have a value.
    len: usize,
}

/// What a record begins with.
#[derive(Clone, Copy)]
struct Header {
    key_bytes: u32,
    /// The length of the value at the last seal; [`NONE`] if there was none.
    before_bytes: u32,
    /// The bytes reserved for the value.
    room: u32,
    /// The length of the value; [`NONE`] if the key is marked as removed, [`UNUSED`] if nothing finds the record any more.
    value_bytes: u32,
}

impl Header {
    fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let numbers = [self.key_bytes, self.before_bytes, self.room, self.value_bytes];
        for (at, number) in bytes.chunks_exact_mut(size_of::<u32>()).zip(numbers) {
            at.copy_from_slice(&number.to_ne_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8; HEADER_BYTES]) -> Self {
        let number = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Self { key_bytes: number(0), before_bytes: number(4), room: number(8), value_bytes: number(12) }
    }

    /// The bytes before the value, with the header.
    fn value_start(self) -> usize {
        HEADER_BYTES + self.key_bytes as usize + if self.before_bytes == NONE { 0 } else { self.before_bytes as usize }
    }

    /// The bytes of the record.
    fn bytes(self) -> usize {
        self.value_start() + self.room as usize
    }
}

impl Table {
    /// An empty table with room for some keys, and for the [`Self::data_bytes`] of their records.
    pub(crate) fn with_capacity(keys: usize, bytes: usize) -> Self {
        Self { index: vec![0; slots(keys)], data: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// Number of keys that have a value.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The number of keys, also those that are marked as removed.
    pub(crate) fn keys(&self) -> usize {
        self.keys
    }

    /// The size of all records, in bytes.
    pub(crate) fn data_bytes(&self) -> usize {
        self.data.len() - self.unused
    }

    /// The approximate memory in use, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.index.capacity() * size_of::<u64>() + self.data.capacity()
    }

    /// The places of the keys, also of those that are marked as removed, in the order in which they were added, beginning at a place
    /// or 0. Places keep their keys while the table does not change.
    pub(crate) fn places(&self, from: usize) -> impl Iterator<Item = usize> {
        let mut next = from;
        std::iter::from_fn(move || {
            loop {
                let at = next;
                let header = self.data.get(at..).filter(|rest| !rest.is_empty()).map(|_| self.header(at))?;
                next += header.bytes();
                if header.value_bytes != UNUSED {
                    return Some(at);
                }
            }
        })
    }

    /// The key at a place.
    pub(crate) fn key(&self, at: usize) -> &[u8] {
        let start = at + HEADER_BYTES;
        &self.data[start..start + self.header(at).key_bytes as usize]
    }

    /// The value at a place; `None` if its key is marked as removed.
    pub(crate) fn value(&self, at: usize) -> Option<&[u8]> {
        let header = self.header(at);
        let start = at + header.value_start();
        (header.value_bytes != NONE).then(|| &self.data[start..start + header.value_bytes as usize])
    }

    /// The value at the last seal that was given with the key at a place.
    pub(crate) fn before(&self, at: usize) -> Option<&[u8]> {
        let Header { key_bytes, before_bytes, .. } = self.header(at);
        let start = at + HEADER_BYTES + key_bytes as usize;
        (before_bytes != NONE).then(|| &self.data[start..start + before_bytes as usize])
    }

    /// The place of a key.
    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<usize> {
        self.search(hash, |at| self.key(at) == key).map(|slot| place(self.index[slot]))
    }

    /// The place where the key with a hash probably is. Reads nothing but the index.
    pub(crate) fn guess(&self, hash: u64) -> Option<usize> {
        self.search(hash, |_| true).map(|slot| place(self.index[slot]))
    }

    /// The slot at which the search for a hash begins. Depends on nothing else, so that the processor need not wait for it.
    pub(crate) fn first_slot(&self, hash: u64) -> u64 {
        self.index.get(self.home(tag(hash))).copied().unwrap_or(0)
    }

    /// A byte of the record at a place, or of one that follows.
    pub(crate) fn byte(&self, at: usize) -> u8 {
        self.data.get(at).copied().unwrap_or(0)
    }

    /// The keys with their hashes and values, also those that are marked as removed.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u64, &[u8], Option<&[u8]>)> {
        self.places(0).map(|at| (hash(self.key(at)), self.key(at), self.value(at)))
    }

    /// The keys that have a value, with their hashes and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &[u8], &[u8])> {
        self.all().filter_map(|(hash, key, value)| Some((hash, key, value?)))
    }

    /// Sets the value of the key at a place, or marks it as removed.
    pub(crate) fn set(&mut self, at: usize, value: Option<&[u8]>) {
        let header = self.header(at);
        self.len = self.len + usize::from(value.is_some()) - usize::from(header.value_bytes != NONE);
        match value {
            Some(value) if value.len() > header.room as usize => self.move_to_end(at, value),
            Some(value) => {
                let start = at + header.value_start();
                self.data[start..start + value.len()].copy_from_slice(value);
                self.set_header(at, Header { value_bytes: length(value), ..header });
            }
            None => self.set_header(at, Header { value_bytes: NONE, ..header }),
        }
    }

    /// Adds a key that the table does not have, with its value or marked as removed, and its value at the last seal.
    pub(crate) fn insert(&mut self, hash: u64, key: &[u8], before: Option<&[u8]>, value: Option<&[u8]>) {
        if slots(self.keys + 1) > self.index.len() {
            self.grow();
        }
        let header = Header {
            key_bytes: length(key),
            before_bytes: before.map_or(NONE, length),
            room: value.map_or(0, length),
            value_bytes: value.map_or(NONE, length),
        };
        let at = self.data.len();
        if self.data.capacity() - self.data.len() < header.bytes() {
            // By half, since most tables are shards, whose size is limited.
            self.data.reserve_exact(header.bytes().max(self.data.len() / 2));
        }
        self.data.extend_from_slice(&header.to_bytes());
        for part in [Some(key), before, value].into_iter().flatten() {
            self.data.extend_from_slice(part);
        }
        self.add_slot(tag(hash), at);
        self.keys += 1;
        self.len += usize::from(value.is_some());
    }

    /// Removes the key at a place.
    pub(crate) fn remove(&mut self, at: usize) {
        self.set(at, None);
        if let Some(slot) = self.search(hash(self.key(at)), |other| other == at) {
            self.free_slot(slot);
        }
        self.keys -= 1;
        self.give_up(at);
        self.shrink();
    }

    /// Removes all keys, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.index.fill(0);
        self.data.clear();
        (self.unused, self.keys, self.len) = (0, 0, 0);
    }

    fn header(&self, at: usize) -> Header {
        let header = self.data[at..].first_chunk().expect("a place is the start of a record");
        Header::from_bytes(header)
    }

    fn set_header(&mut self, at: usize, header: Header) {
        self.data[at..at + HEADER_BYTES].copy_from_slice(&header.to_bytes());
    }

    /// Writes a record again at the end, with a value that does not fit where it is.
    fn move_to_end(&mut self, at: usize, value: &[u8]) {
        let (header, moved) = (self.header(at), self.data.len());
        let slot = self.search(hash(self.key(at)), |other| other == at).expect("each record has a slot");
        self.data.extend_from_within(at..at + header.value_start());
        self.data.extend_from_slice(value);
        self.set_header(moved, Header { room: length(value), value_bytes: length(value), ..header });
        self.index[slot] = slot_of(self.index[slot] >> PLACE_BITS, moved);
        self.give_up(at);
        self.shrink();
    }

    /// Marks a record as unused.
    fn give_up(&mut self, at: usize) {
        let header = self.header(at);
        self.unused += header.bytes();
        self.set_header(at, Header { value_bytes: UNUSED, ..header });
    }

    /// Copies the used parts of the buffer to a new one if more than half of it is unused.
    fn shrink(&mut self) {
        if self.unused <= UNUSED_BYTES.max(self.data.len() / 2) {
            return;
        }
        let mut used = Self::with_capacity(self.keys, self.data_bytes());
        for at in self.places(0) {
            used.insert(hash(self.key(at)), self.key(at), self.before(at), self.value(at));
        }
        *self = used;
    }

    /// The slot of the first record for which `is_it` is true, of those whose hash probably is this one.
    fn search(&self, hash: u64, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let (tag, last) = (tag(hash), self.index.len().wrapping_sub(1));
        let mut at = self.home(tag);
        loop {
            // A table without an index has no keys.
            let slot = self.index.get(at).copied().filter(|slot| *slot != 0)?;
            if slot >> PLACE_BITS == tag && is_it(place(slot)) {
                return Some(at);
            }
            at = (at + 1) & last;
        }
    }

    /// The slot at which a search begins.
    fn home(&self, tag: u64) -> usize {
        let bits = self.index.len().trailing_zeros();
        if bits <= TAG_BITS { tag as usize & ((1 << bits) - 1) } else { (tag as usize) << (bits - TAG_BITS) }
    }

    fn add_slot(&mut self, tag: u64, at: usize) {
        let (slot, last) = (slot_of(tag, at), self.index.len() - 1);
        let mut at = self.home(tag);
        while self.index[at] != 0 {
            at = (at + 1) & last;
        }
        self.index[at] = slot;
    }

    /// Empties a slot, and moves those that follow closer to where their search begins.
    fn free_slot(&mut self, mut free: usize) {
        let last = self.index.len() - 1;
        let mut at = free;
        loop {
            at = (at + 1) & last;
            let slot = self.index[at];
            if slot == 0 {
                break;
            }
            let distance = at.wrapping_sub(self.home(slot >> PLACE_BITS)) & last;
            if distance >= at.wrapping_sub(free) & last {
                self.index[free] = slot;
                free = at;
            }
        }
        self.index[free] = 0;
    }

    /// Makes room for one more key in the index.
    fn grow(&mut self) {
        let before = std::mem::replace(&mut self.index, vec![0; slots(self.keys + 1)]);
        for slot in before.into_iter().filter(|slot| *slot != 0) {
            self.add_slot(slot >> PLACE_BITS, place(slot));
        }
    }
}

/// The slots for some keys, of which at most three quarters are used.
fn slots(keys: usize) -> usize {
    (keys + keys.div_ceil(3)).next_power_of_two().max(SLOTS_MIN)
}

/// The part of a hash that is in its slot.
fn tag(hash: u64) -> u64 {
    hash & ((1 << TAG_BITS) - 1)
}

fn slot_of(tag: u64, place: usize) -> u64 {
    let place = place as u64 + 1;
    assert!(place < 1 << PLACE_BITS, "memory ends long before 1 TiB of one table");
    tag << PLACE_BITS | place
}

/// The place in a slot that is not free.
fn place(slot: u64) -> usize {
    ((slot & ((1 << PLACE_BITS) - 1)) - 1) as usize
}

/// The length of a key or value. It fits, since columns have at most 2 GiB.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a value of a column is shorter than 2 GiB")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    /// Goal: keys are found whatever was added, changed and removed before, also where many begin at one slot. Method: random
    /// operations on a table and on a map, with hashes as they are and with few different ones.
    #[test]
    fn it_has_what_was_put() {
        for seed in 0..40 {
            let mut rng = StdRng::seed_from_u64(seed);
            let (mut table, mut expected) = (Table::default(), BTreeMap::new());
            for _ in 0..4_000 {
                let key = rng.random_range(0..300_u32).to_be_bytes();
                let value = rng.random_bool(0.7).then(|| vec![key[3]; rng.random_range(0..90)]);
                match (table.find(hash(&key), &key), rng.random_bool(0.2)) {
                    (Some(at), true) => {
                        table.remove(at);
                        expected.remove(&key);
                        continue;
                    }
                    (Some(at), false) => table.set(at, value.as_deref()),
                    (None, _) => table.insert(hash(&key), &key, Some(&key[..2]), value.as_deref()),
                }
                expected.insert(key, value);
            }
            assert_eq!(table.keys(), expected.len(), "seed {seed}");
            assert_eq!(table.len(), expected.values().flatten().count(), "seed {seed}");
            for (key, value) in &expected {
                let at = table.find(hash(key), key).expect("it was put");
                assert_eq!((table.key(at), table.before(at)), (&key[..], Some(&key[..2])), "seed {seed}");
                assert_eq!(table.value(at), value.as_deref(), "seed {seed}");
            }
            let mut all: Vec<_> = table.all().map(|(_, key, value)| (key, value)).collect();
            all.sort_unstable();
            assert!(
                all.into_iter().eq(expected.iter().map(|(key, value)| (&key[..], value.as_deref()))),
                "seed {seed}"
            );
        }
    }

    /// Goal: searches that begin at one slot do not lose each other when a key goes. Method: keys whose hashes begin alike, at the
    /// end of the index, each removed once.
    #[test]
    fn a_key_that_goes_leaves_those_behind_it() {
        let keys: Vec<[u8; 1]> = (0..5).map(|key| [key]).collect();
        for gone in 0..keys.len() {
            let mut table = Table::default();
            // The last keys begin one slot after the others.
            let hash = |key: &[u8; 1]| 6 + u64::from(key[0] / 3);
            keys.iter().for_each(|key| table.insert(hash(key), key, None, Some(key)));
            let slot = table.search(hash(&keys[gone]), |at| table.key(at) == keys[gone]).expect("it was put");
            table.free_slot(slot);
            for (number, key) in keys.iter().enumerate() {
                assert_eq!(table.find(hash(key), key).is_some(), number != gone, "{number} without {gone}");
            }
        }
    }
}
