//! A hash table from keys to values, as bytes.
//!
//! Keys and values share one buffer. A value follows its key and is overwritten in place while it fits. A hash table finds
//! the entry of a key, so nothing is allocated for a single key. The buffer is rewritten when more than half of it is unused.

use hashbrown::HashTable;

/// Bytes of the buffer that may be unused before it is rewritten, whatever its size.
const UNUSED_BYTES: usize = 4 << 10;

/// Keys with their values. A key may also be marked as removed, for a table that lies over another one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    /// Indices of entries, by the hashes of their keys.
    index: HashTable<u32>,
    entries: Vec<Entry>,
    /// Indices in `entries` that are not in use.
    free: Vec<u32>,
    /// The keys, each followed by the room for its value.
    data: Vec<u8>,
    /// Bytes of `data` that no entry uses.
    unused: usize,
    /// Number of keys that have a value.
    len: usize,
}

/// A key with its value.
#[derive(Clone, Debug)]
struct Entry {
    hash: u64,
    /// The start of the key in the buffer.
    start: usize,
    key_bytes: u32,
    /// The number of bytes reserved for the value after the key.
    room: u32,
    /// The length of the value; `None` if the key is marked as removed, or if the entry is not in use.
    value_bytes: Option<u32>,
}

impl Table {
    /// An empty table with room for some keys and for the bytes of their values and themselves.
    pub(crate) fn with_capacity(keys: usize, bytes: usize) -> Self {
        let (index, entries) = (HashTable::with_capacity(keys), Vec::with_capacity(keys));
        Self { index, entries, data: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// Number of keys that have a value.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The size of all keys and values, in bytes.
    pub(crate) fn data_bytes(&self) -> usize {
        self.data.len() - self.unused
    }

    /// The approximate memory in use, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.index.allocation_size()
            + self.entries.capacity() * size_of::<Entry>()
            + self.free.capacity() * size_of::<u32>()
            + self.data.capacity()
    }

    /// The number of places that [`Self::key`] and [`Self::value`] may be asked for. Places keep their keys while no key is
    /// removed.
    pub(crate) fn places(&self) -> u32 {
        u32::try_from(self.entries.len()).expect("memory ends long before 4 billion keys of one window")
    }

    /// The key at a place.
    pub(crate) fn key(&self, at: u32) -> &[u8] {
        let Entry { start, key_bytes, .. } = self.entries[at as usize];
        &self.data[start..start + key_bytes as usize]
    }

    /// The value at a place; `None` if its key is marked as removed, or if there is no key.
    pub(crate) fn value(&self, at: u32) -> Option<&[u8]> {
        let entry = &self.entries[at as usize];
        let start = entry.start + entry.key_bytes as usize;
        entry.value_bytes.map(|bytes| &self.data[start..start + bytes as usize])
    }

    /// The hash of the key at a place.
    pub(crate) fn hash(&self, at: u32) -> u64 {
        self.entries[at as usize].hash
    }

    /// The place of a key.
    pub(crate) fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        self.index.find(hash, |at| self.entries[*at as usize].hash == hash && self.key(*at) == key).copied()
    }

    /// The number of keys, also those that are marked as removed.
    pub(crate) fn keys(&self) -> usize {
        self.index.len()
    }

    /// The keys with their hashes and values, also those that are marked as removed.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u64, &[u8], Option<&[u8]>)> {
        self.index.iter().map(|at| (self.hash(*at), self.key(*at), self.value(*at)))
    }

    /// The place where the key with a hash probably is. Reads nothing but the index.
    pub(crate) fn guess(&self, hash: u64) -> Option<u32> {
        self.index.iter_hash(hash).next().copied()
    }

    /// Where the key of a place is in the buffer.
    pub(crate) fn start(&self, at: u32) -> usize {
        self.entries[at as usize].start
    }

    /// A byte of the buffer.
    pub(crate) fn byte(&self, start: usize) -> u8 {
        self.data.get(start).copied().unwrap_or(0)
    }

    /// The keys that have a value, with their hashes and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &[u8], &[u8])> {
        (0..self.places()).filter_map(|at| Some((self.hash(at), self.key(at), self.value(at)?)))
    }

    /// Sets the value of the key at a place, or marks it as removed.
    pub(crate) fn set(&mut self, at: u32, value: Option<&[u8]>) {
        let entry = &mut self.entries[at as usize];
        let was = std::mem::replace(&mut entry.value_bytes, value.map(length));
        self.len = self.len + usize::from(value.is_some()) - usize::from(was.is_some());
        let Some(value) = value else { return };
        if value.len() > entry.room as usize {
            let key = entry.start..entry.start + entry.key_bytes as usize;
            self.unused += key.len() + entry.room as usize;
            entry.start = self.data.len();
            entry.room = length(value);
            self.data.extend_from_within(key);
            self.data.extend_from_slice(value);
            self.shrink();
        } else {
            let start = entry.start + entry.key_bytes as usize;
            self.data[start..start + value.len()].copy_from_slice(value);
        }
    }

    /// Adds a key that the table does not have, with its value or marked as removed. Returns its place.
    pub(crate) fn insert(&mut self, hash: u64, key: &[u8], value: Option<&[u8]>) -> u32 {
        let (start, room) = (self.data.len(), value.map_or(0, length));
        let entry = Entry { hash, start, key_bytes: length(key), room, value_bytes: value.map(length) };
        self.data.extend_from_slice(key);
        self.data.extend_from_slice(value.unwrap_or_default());
        let at = match self.free.pop() {
            Some(at) => {
                self.entries[at as usize] = entry;
                at
            }
            None => {
                self.entries.push(entry);
                self.places() - 1
            }
        };
        let entries = &self.entries;
        self.index.insert_unique(hash, at, |at| entries[*at as usize].hash);
        self.len += usize::from(value.is_some());
        at
    }

    /// Removes the key at a place, which is free afterwards.
    pub(crate) fn remove(&mut self, at: u32) {
        self.set(at, None);
        let entry = &mut self.entries[at as usize];
        if let Ok(found) = self.index.find_entry(entry.hash, |other| *other == at) {
            found.remove();
        }
        self.unused += std::mem::take(&mut entry.key_bytes) as usize + std::mem::take(&mut entry.room) as usize;
        entry.start = 0;
        self.free.push(at);
        self.shrink();
    }

    /// Copies the used parts of the buffer to a new one if more than half of it is unused.
    fn shrink(&mut self) {
        if self.unused <= UNUSED_BYTES.max(self.data.len() / 2) {
            return;
        }
        let mut data = Vec::with_capacity(self.data.len() - self.unused);
        for at in &self.index {
            let entry = &mut self.entries[*at as usize];
            let (value_bytes, start) = (entry.value_bytes.unwrap_or(0), data.len());
            let from = std::mem::replace(&mut entry.start, start);
            data.extend_from_slice(&self.data[from..from + entry.key_bytes as usize + value_bytes as usize]);
            entry.room = value_bytes;
        }
        self.data = data;
        self.unused = 0;
    }
}

/// The length of a key or value. It fits, since columns have at most 2 GiB.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a value of a column is shorter than 2 GiB")
}
