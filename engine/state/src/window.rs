//! The committed keys of one window, in shards. A shard that a snapshot also has is copied before it changes.
//!
//! The hash of a key determines its shard. A shard that becomes too large is split in two, so that a commit during a long scan
//! copies little for each key. The keys of a cold shard are on disk, except for those that have changed since.
//!
//! ```text
//! table      what has changed since the shard was frozen
//! frozen     what was handed over to the disk and is not written yet
//! disk       the rest
//! ```

use std::sync::Arc;

use super::cold::{KEY_BYTES_MAX, PREFIX_BYTES, Places, SHARD_BITS, VALUE_BYTES_MAX};
use super::table::Table;
use super::warm;

/// Keys at which a shard is split: as many as fit into 4,096 slots of its index.
const SHARD_KEYS_MAX: usize = 3_072;
/// Most bytes of a shard's keys and values, if it has more than one key.
const SHARD_BYTES_MAX: usize = 1 << 20;
/// Most bits of a hash that determine the shard.
const DEPTH_MAX: u32 = 24;
/// Memory of a shard besides what its table has allocated: the table itself, its counters, and what the allocator adds.
const SHARD_BYTES: usize = size_of::<Shard>() + size_of::<Table>() + 2 * size_of::<usize>() + 64;

/// The committed keys of one window.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    shards: Vec<Shard>,
    /// The index of the shard for each value of the bits that determine it; the length is a power of two.
    directory: Vec<u32>,
    /// The number of keys, in memory and on disk.
    len: usize,
    bytes: usize,
    /// The number of the window on disk, once a part of it was moved there.
    cold: Option<u64>,
}

#[derive(Clone, Debug, Default)]
struct Shard {
    table: Arc<Table>,
    /// The table as it was handed over to the disk, until it is written.
    frozen: Option<Frozen>,
    /// The number of bits that all of its keys have in common.
    depth: u32,
    /// Whether the keys that the table does not have may be on disk. One that was removed since is marked in the table.
    is_cold: bool,
}

/// A table that does not change any more. Shards that were split share it.
#[derive(Clone, Debug)]
struct Frozen {
    table: Arc<Table>,
    /// The number of the run with which it is written.
    run: u64,
}

/// A part of a window: a shard, or several cold ones of which nothing is in memory.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// The places of its keys.
    pub(crate) places: Places,
    /// The keys in memory.
    pub(crate) table: Arc<Table>,
    /// Keys below these that are not on disk yet. It may also have keys of other places.
    pub(crate) frozen: Option<Arc<Table>>,
    /// The number of the window, if the other keys are on disk.
    pub(crate) cold: Option<u64>,
    /// The index of the shard, or of the first of several.
    pub(crate) shard: usize,
}

/// A change of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Put<'k> {
    pub(crate) hash: u64,
    pub(crate) key: &'k [u8],
    /// Its new value; `None` if it is removed.
    pub(crate) value: Option<&'k [u8]>,
    /// Whether the disk has the key, if memory does not know.
    pub(crate) on_disk: bool,
}

/// What memory knows about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// Its value; `None` if it does not exist.
    Value(Option<&'a [u8]>),
    /// Only the disk knows, where the window has this number.
    OnDisk(u64),
}

impl Default for Window {
    fn default() -> Self {
        Self { shards: vec![Shard::default()], directory: vec![0], len: 0, bytes: 0, cold: None }
    }
}

impl Window {
    /// Number of keys, in memory and on disk.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The memory in use, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.shards.len() * SHARD_BYTES + self.directory.capacity() * size_of::<u32>()
    }

    /// The number of the window on disk, if a part of it may be there.
    pub(crate) fn cold(&self) -> Option<u64> {
        self.cold
    }

    /// What memory knows about a key.
    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Found<'_> {
        let shard = &self.shards[self.shard(hash)];
        match (shard.find(hash, key), self.cold) {
            (Some(value), _) => Found::Value(value),
            (None, Some(window)) if shard.is_cold => Found::OnDisk(window),
            (None, _) => Found::Value(None),
        }
    }

    /// The table in which a key is, if it is in memory.
    pub(crate) fn table(&self, hash: u64) -> &Table {
        &self.shards[self.shard(hash)].table
    }

    /// Its parts in the order of their places.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::with_capacity(self.shards.len());
        let depth = self.directory.len().trailing_zeros();
        for at in 0..self.directory.len() as u32 {
            let bits = if depth == 0 { 0 } else { at.reverse_bits() >> (u32::BITS - depth) };
            let shard = self.directory[bits as usize] as usize;
            let places = Places::of(bits, self.shards[shard].depth);
            let is_on_disk = self.shards[shard].is_on_disk();
            match parts.last_mut() {
                Some(last) if last.places.end > places.first => {}
                Some(last) if is_on_disk && self.shards[last.shard].is_on_disk() => last.places.end = places.end,
                _ => {
                    let Shard { table, frozen, is_cold, .. } = &self.shards[shard];
                    let (table, frozen) = (table.clone(), frozen.as_ref().map(|frozen| frozen.table.clone()));
                    parts.push(Part { places, table, frozen, cold: self.cold.filter(|_| *is_cold), shard });
                }
            }
        }
        parts
    }

    /// Makes changes in their order.
    pub(crate) fn put_all<'k>(&mut self, mut puts: impl Iterator<Item = Put<'k>>) {
        let mut some = Vec::with_capacity(warm::KEYS);
        loop {
            some.clear();
            some.extend(puts.by_ref().take(warm::KEYS));
            if some.is_empty() {
                return;
            }
            warm::warm(some.iter().map(|put| (self.table(put.hash), put.hash)));
            some.iter().for_each(|put| self.put(*put));
        }
    }

    /// Makes a change.
    pub(crate) fn put(&mut self, Put { hash, key, value, on_disk }: Put<'_>) {
        let at = self.shard(hash);
        let Shard { table, frozen, depth, is_cold } = &mut self.shards[at];
        let bytes = table.bytes();
        let table = Arc::make_mut(table);
        let found = table.find(hash, key);
        let frozen = frozen.as_ref().filter(|_| found.is_none()).and_then(|frozen| frozen.find(hash, key));
        let is_below = frozen.map_or(*is_cold && on_disk, |value| value.is_some());
        let was_there = found.map_or(is_below, |place| table.value(place).is_some());
        match (found, value) {
            (Some(place), None) if !*is_cold => table.remove(place),
            (Some(place), _) => table.set(place, value),
            (None, Some(_)) => table.insert(hash, key, None, value),
            (None, None) if is_below => table.insert(hash, key, None, None),
            (None, None) => {}
        }
        let is_large = table.keys() >= SHARD_KEYS_MAX || table.keys() > 1 && table.data_bytes() > SHARD_BYTES_MAX;
        let splits = is_large && *depth < DEPTH_MAX;
        self.len = self.len + usize::from(value.is_some()) - usize::from(was_there);
        self.bytes = self.bytes + table.bytes() - bytes;
        if splits {
            self.split(at);
        }
    }

    /// Keeps shards as they are, which are handed over with a run to the disk, where the window has this number. Changes lie over
    /// them from now on. What is too long for the disk stays.
    pub(crate) fn freeze(&mut self, shards: &[usize], window: u64, run: u64) {
        self.cold = Some(window);
        for at in shards {
            let shard = &mut self.shards[*at];
            let mut left = Table::default();
            for (hash, key, value) in shard.table.all().filter(|(_, key, value)| !moves(key, *value)) {
                left.insert(hash, key, None, value);
            }
            self.bytes = self.bytes + left.bytes() - shard.table.bytes();
            shard.is_cold = true;
            shard.frozen = Some(Frozen { table: std::mem::replace(&mut shard.table, Arc::new(left)), run });
        }
    }

    /// Takes out of memory what was frozen for runs up to this one, which are on disk now. Returns what was freed.
    pub(crate) fn thaw(&mut self, run: u64) -> Vec<Arc<Table>> {
        let written = |frozen: &mut Frozen| frozen.run <= run;
        let freed = self.shards.iter_mut().filter_map(|shard| shard.frozen.take_if(written));
        let freed = freed.map(|frozen| frozen.table).collect();
        if self.shards.iter().all(Shard::is_on_disk) {
            self.shards = vec![Shard { is_cold: true, ..Shard::default() }];
            (self.directory, self.bytes) = (vec![0], 0);
        }
        freed
    }

    fn shard(&self, hash: u64) -> usize {
        self.directory[(hash >> SHARD_BITS) as usize & (self.directory.len() - 1)] as usize
    }

    /// Splits a shard in two, by the next bit of the hash.
    fn split(&mut self, at: usize) {
        let Shard { table, frozen, depth, is_cold } = std::mem::take(&mut self.shards[at]);
        if 1 << depth == self.directory.len() {
            self.directory.extend_from_within(..);
        }
        let capacity = || Table::with_capacity(table.keys() * 5 / 8, table.data_bytes() * 5 / 8);
        let mut halves = [capacity(), capacity()];
        for (hash, key, value) in table.all() {
            halves[(hash >> (SHARD_BITS + depth)) as usize & 1].insert(hash, key, None, value);
        }
        self.bytes = self.bytes + halves.iter().map(Table::bytes).sum::<usize>() - table.bytes();
        let [low, high] =
            halves.map(|half| Shard { table: Arc::new(half), frozen: frozen.clone(), depth: depth + 1, is_cold });
        let added = u32::try_from(self.shards.len()).expect("there are fewer shards than values of 24 bits");
        let moved = self.directory.iter_mut().enumerate();
        for (_, shard) in moved.filter(|(bits, shard)| **shard as usize == at && bits >> depth & 1 == 1) {
            *shard = added;
        }
        self.shards[at] = low;
        self.shards.push(high);
    }
}

impl Shard {
    /// What memory knows about a key: its value, or that it does not exist.
    fn find(&self, hash: u64, key: &[u8]) -> Option<Option<&[u8]>> {
        let changed = self.table.find(hash, key).map(|at| self.table.value(at));
        changed.or_else(|| self.frozen.as_ref().and_then(|frozen| frozen.find(hash, key)))
    }

    /// Whether all of its keys are on disk, and nothing is in memory.
    fn is_on_disk(&self) -> bool {
        self.is_cold && self.frozen.is_none() && self.table.keys() == 0
    }
}

impl Frozen {
    /// What it has of a key: its value, or that it does not exist.
    fn find(&self, hash: u64, key: &[u8]) -> Option<Option<&[u8]>> {
        // What is too long for the disk has stayed in the table above.
        self.table.find(hash, key).map(|at| self.table.value(at))
    }
}

/// Whether a key can be moved to disk with its value.
pub(crate) fn moves(key: &[u8], value: Option<&[u8]>) -> bool {
    !stays(key) && value.is_none_or(|value| value.len() <= VALUE_BYTES_MAX)
}

/// Whether a key is too long for the disk, whatever its value.
pub(crate) fn stays(key: &[u8]) -> bool {
    key.len() + PREFIX_BYTES > KEY_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::super::cold::place;
    use super::super::hash::hash;
    use super::*;

    fn window(keys: u32) -> Window {
        let mut window = Window::default();
        for key in (0..keys).map(u32::to_be_bytes) {
            window.put(Put { hash: hash(&key), key: &key, value: Some(&key), on_disk: false });
        }
        window
    }

    #[test]
    fn its_parts_are_in_order_and_have_all_keys() {
        let window = window(100_000);
        let parts = window.parts();
        assert_eq!((parts[0].places.first, parts[parts.len() - 1].places.end), (Places::ALL.first, Places::ALL.end));
        assert!(parts.windows(2).all(|pair| pair[0].places.end == pair[1].places.first), "no gaps");
        assert_eq!(parts.iter().map(|part| part.table.len()).sum::<usize>(), window.len());
        for Part { places, table, .. } in parts {
            assert!(table.iter().all(|(hash, ..)| (places.first..places.end).contains(&place(hash))));
        }
    }

    /// Goal: the number of keys is right although most of them are frozen or on disk. Method: some shards, then all of them are
    /// handed over and written, and keys are removed, removed again and put back in between.
    #[test]
    fn a_cold_part_lies_under_what_has_changed_since() {
        for is_written in [true, false] {
            let mut window = window(20_000);
            let shards: Vec<usize> = window.parts().iter().map(|part| part.shard).collect();
            let before = window.bytes();
            let half = shards.len() / 2;
            window.freeze(&shards[..half], 7, 1);
            assert!(window.bytes() < before * 3 / 4 && window.len() == 20_000);
            window.freeze(&shards[half..], 7, 2);
            assert_eq!(window.thaw(1).len(), half, "the others are not written");
            let key = 5_u32.to_be_bytes();
            if is_written {
                window.thaw(2);
                assert_eq!((window.parts().len(), window.len()), (1, 20_000), "nothing of it is in memory");
                assert!(window.bytes() < 1_000);
                assert_eq!(window.find(hash(&key), &key), Found::OnDisk(7));
            }
            for (value, on_disk, len) in [(None, true, 19_999), (None, true, 19_999), (Some(&b"v"[..]), true, 20_000)] {
                window.put(Put { hash: hash(&key), key: &key, value, on_disk });
                assert_eq!((window.find(hash(&key), &key), window.len()), (Found::Value(value), len));
            }
            for value in [None, Some(&b"1"[..])] {
                window.put(Put { hash: hash(b"new"), key: b"new", value, on_disk: false });
            }
            assert_eq!(window.len(), 20_001);
        }
    }

    /// Goal: a frozen key is known without the disk, whatever is said about the disk. Method: a key that was removed is frozen, over
    /// an older value on disk; another one is frozen with a value.
    #[test]
    fn what_is_frozen_hides_the_disk() {
        let mut window = window(2);
        window.freeze(&[0], 7, 1);
        window.thaw(1);
        let [gone, kept] = [0, 1].map(u32::to_be_bytes);
        for (key, value) in [(&gone, None), (&kept, Some(&b"new"[..]))] {
            window.put(Put { hash: hash(key), key, value, on_disk: true });
        }
        window.freeze(&[0], 7, 2);
        assert_eq!(window.find(hash(&gone), &gone), Found::Value(None));
        assert_eq!(window.find(hash(&kept), &kept), Found::Value(Some(b"new")));
        for key in [&gone, &kept] {
            window.put(Put { hash: hash(key), key, value: None, on_disk: false });
            assert_eq!((window.find(hash(key), key), window.len()), (Found::Value(None), usize::from(*key == gone)));
        }
    }
}
