//! The committed keys of one window, in shards. A shard that a snapshot also has is copied before it changes.
//!
//! The hash of a key determines its shard. A shard that becomes too large is split in two, so that a commit during a long scan
//! copies little for each key.

use std::sync::Arc;

use super::table::Table;

/// Most keys of a shard.
const SHARD_KEYS_MAX: usize = 4_096;
/// Most bytes of a shard's keys and values, if it has more than one key.
const SHARD_BYTES_MAX: usize = 1 << 20;
/// Most bits of a hash that determine the shard.
const DEPTH_MAX: u32 = 24;
/// The bits of a hash that determine the shard begin here: the hash tables of the shards use those at both ends.
const SHARD_BITS: u32 = 24;

/// The committed keys of one window.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    shards: Vec<Shard>,
    /// The index of the shard for each value of the bits that determine it; the length is a power of two.
    directory: Vec<u32>,
    len: usize,
    bytes: usize,
}

#[derive(Clone, Debug, Default)]
struct Shard {
    table: Arc<Table>,
    /// The number of bits that all of its keys have in common.
    depth: u32,
}

impl Default for Window {
    fn default() -> Self {
        Self { shards: vec![Shard::default()], directory: vec![0], len: 0, bytes: 0 }
    }
}

impl Window {
    /// Number of keys.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The approximate memory in use, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.shards.capacity() * size_of::<Shard>() + self.directory.capacity() * size_of::<u32>()
    }

    /// The value of a key.
    pub(crate) fn get(&self, hash: u64, key: &[u8]) -> Option<&[u8]> {
        let table = &self.shards[self.shard(hash)].table;
        table.find(hash, key).and_then(|at| table.value(at))
    }

    /// Its keys, by shard.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.shards.iter().map(|shard| &shard.table)
    }

    /// Sets the value of a key, or removes it.
    pub(crate) fn put(&mut self, hash: u64, key: &[u8], value: Option<&[u8]>) {
        let at = self.shard(hash);
        let Shard { table, depth } = &mut self.shards[at];
        let table = Arc::make_mut(table);
        let (len, bytes) = (table.len(), table.bytes());
        match (table.find(hash, key), value) {
            (Some(place), Some(_)) => table.set(place, value),
            (Some(place), None) => table.remove(place),
            (None, Some(_)) => drop(table.insert(hash, key, value)),
            (None, None) => {}
        }
        let is_large = table.len() > SHARD_KEYS_MAX || table.len() > 1 && table.data_bytes() > SHARD_BYTES_MAX;
        let splits = is_large && *depth < DEPTH_MAX;
        self.len = self.len + table.len() - len;
        self.bytes = self.bytes + table.bytes() - bytes;
        if splits {
            self.split(at);
        }
    }

    fn shard(&self, hash: u64) -> usize {
        self.directory[(hash >> SHARD_BITS) as usize & (self.directory.len() - 1)] as usize
    }

    /// Splits a shard in two, by the next bit of the hash.
    fn split(&mut self, at: usize) {
        let Shard { table, depth } = std::mem::take(&mut self.shards[at]);
        if 1 << depth == self.directory.len() {
            self.directory.extend_from_within(..);
        }
        let capacity = || Table::with_capacity(table.len() * 5 / 8, table.data_bytes() * 5 / 8);
        let mut halves = [capacity(), capacity()];
        for (hash, key, value) in table.iter() {
            halves[(hash >> (SHARD_BITS + depth)) as usize & 1].insert(hash, key, Some(value));
        }
        self.bytes = self.bytes + halves.iter().map(Table::bytes).sum::<usize>() - table.bytes();
        let [low, high] = halves.map(|half| Shard { table: Arc::new(half), depth: depth + 1 });
        let added = u32::try_from(self.shards.len()).expect("there are fewer shards than values of 24 bits");
        let moved = self.directory.iter_mut().enumerate();
        for (_, shard) in moved.filter(|(bits, shard)| **shard as usize == at && bits >> depth & 1 == 1) {
            *shard = added;
        }
        self.shards[at] = low;
        self.shards.push(high);
    }
}
