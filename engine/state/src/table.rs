//! The keys and values of one window in memory, with the values at the last seal.
//!
//! Keys and values share one buffer. A value follows its key and is overwritten in place while it fits. A hash table finds
//! the entry of a key, so nothing is allocated for a single key. The buffer is rewritten when more than half of it is unused.

use arrow::error::ArrowError;
use hashbrown::HashTable;

use super::bytes::BytesBuilder;

/// Bytes of the buffer that may be unused before it is rewritten, whatever its size.
const UNUSED_BYTES: usize = 4 << 10;

/// The keys of one window.
#[derive(Debug, Default)]
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
    /// The values at the last seal of the keys that have changed since.
    sealed: Vec<u8>,
    /// The entries that have changed since the last seal, each once.
    changed: Vec<u32>,
    /// Number of keys that have a value.
    len: usize,
}

/// A key with its value.
#[derive(Debug)]
struct Entry {
    hash: u64,
    /// The start of the key in the buffer.
    start: usize,
    key_bytes: u32,
    value_bytes: u32,
    /// The number of bytes reserved for the value after the key.
    room: u32,
    /// False if the key was removed since the last seal.
    present: bool,
    before: Before,
}

/// The value of a key at the last seal.
#[derive(Clone, Copy, Debug)]
enum Before {
    /// The same as now: the key has not changed since.
    Unchanged,
    /// None: the key did not exist.
    Absent,
    /// This part of the buffer `sealed`.
    Value { start: usize, bytes: u32 },
}

impl Table {
    /// Number of keys.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// True if it has neither keys nor changes.
    pub(crate) fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The approximate memory in use, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let places = self.free.capacity() + self.changed.capacity();
        self.index.allocation_size()
            + self.entries.capacity() * size_of::<Entry>()
            + places * size_of::<u32>()
            + self.data.capacity()
            + self.sealed.capacity()
    }

    /// True if a key has changed since the last seal.
    pub(crate) fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    /// The value of a key.
    pub(crate) fn get(&self, hash: u64, key: &[u8]) -> Option<&[u8]> {
        self.find(hash, key).and_then(|at| self.value(at))
    }

    /// Sets the value of a key, or removes it.
    pub(crate) fn put(&mut self, hash: u64, key: &[u8], value: Option<&[u8]>) {
        match (self.find(hash, key), value) {
            (Some(at), _) => {
                self.remember(at);
                self.set(at, value);
            }
            (None, Some(value)) => {
                let at = self.insert(hash, key, value, Before::Absent);
                self.changed.push(at);
            }
            (None, None) => {}
        }
    }

    /// Sets the value of a key at the last seal, or removes the key.
    pub(crate) fn restore(&mut self, hash: u64, key: &[u8], value: Option<&[u8]>) {
        match (self.find(hash, key), value) {
            (Some(at), Some(_)) => self.set(at, value),
            (Some(at), None) => {
                self.set(at, None);
                self.forget(at);
            }
            (None, Some(value)) => drop(self.insert(hash, key, value, Before::Unchanged)),
            (None, None) => {}
        }
    }

    /// Calls `visit` with each key that has a value.
    pub(crate) fn visit(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        self.index
            .iter()
            .filter_map(|at| Some((self.key(*at), self.value(*at)?)))
            .for_each(|(key, value)| visit(key, value));
    }

    /// Appends the changed keys in order to columns of keys, values, and values at the last seal. Returns their number.
    pub(crate) fn changes(&self, [keys, values, before]: &mut [BytesBuilder; 3]) -> Result<usize, ArrowError> {
        let mut changed: Vec<u32> =
            self.changed.iter().copied().filter(|at| self.value(*at) != self.value_before(*at)).collect();
        changed.sort_unstable_by(|a, b| self.key(*a).cmp(self.key(*b)));
        for at in &changed {
            keys.push(Some(self.key(*at)))?;
            values.push(self.value(*at))?;
            before.push(self.value_before(*at))?;
        }
        Ok(changed.len())
    }

    /// Appends the keys that had a value at the last seal in order to the same columns, with a null value. Returns their number.
    pub(crate) fn removals(&self, [keys, values, before]: &mut [BytesBuilder; 3]) -> Result<usize, ArrowError> {
        let had_value = |at: &u32| !matches!(self.entries[*at as usize].before, Before::Absent);
        let mut removed: Vec<u32> = self.index.iter().copied().filter(had_value).collect();
        removed.sort_unstable_by(|a, b| self.key(*a).cmp(self.key(*b)));
        for at in &removed {
            keys.push(Some(self.key(*at)))?;
            values.push(None)?;
            before.push(self.value_before(*at).or(self.value(*at)))?;
        }
        Ok(removed.len())
    }

    /// Ends the epoch: the values now are those at the last seal, and there are no changes.
    pub(crate) fn seal(&mut self) {
        for at in std::mem::take(&mut self.changed) {
            match self.entries[at as usize].present {
                true => self.entries[at as usize].before = Before::Unchanged,
                false => self.forget(at),
            }
        }
        self.sealed = Vec::new();
        self.shrink();
    }

    /// Rewrites the buffer if more than half of it is unused.
    pub(crate) fn shrink(&mut self) {
        if self.unused > UNUSED_BYTES.max(self.data.len() / 2) {
            self.rewrite();
        }
    }

    fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        self.index.find(hash, |at| self.entries[*at as usize].hash == hash && self.key(*at) == key).copied()
    }

    fn key(&self, at: u32) -> &[u8] {
        let Entry { start, key_bytes, .. } = self.entries[at as usize];
        &self.data[start..start + key_bytes as usize]
    }

    fn value(&self, at: u32) -> Option<&[u8]> {
        let entry = &self.entries[at as usize];
        let start = entry.start + entry.key_bytes as usize;
        entry.present.then(|| &self.data[start..start + entry.value_bytes as usize])
    }

    /// The value at the last seal of a key that has changed since.
    fn value_before(&self, at: u32) -> Option<&[u8]> {
        match self.entries[at as usize].before {
            Before::Unchanged | Before::Absent => None,
            Before::Value { start, bytes } => Some(&self.sealed[start..start + bytes as usize]),
        }
    }

    /// Keeps the value of a key that changes for the first time since the last seal.
    fn remember(&mut self, at: u32) {
        let entry = &mut self.entries[at as usize];
        if matches!(entry.before, Before::Unchanged) {
            let value = entry.start + entry.key_bytes as usize;
            entry.before = Before::Value { start: self.sealed.len(), bytes: entry.value_bytes };
            self.sealed.extend_from_slice(&self.data[value..value + entry.value_bytes as usize]);
            self.changed.push(at);
        }
    }

    fn set(&mut self, at: u32, value: Option<&[u8]>) {
        let entry = &mut self.entries[at as usize];
        let was_present = std::mem::replace(&mut entry.present, value.is_some());
        self.len = self.len + usize::from(value.is_some()) - usize::from(was_present);
        let Some(value) = value else { return };
        if value.len() > entry.room as usize {
            let key = entry.start..entry.start + entry.key_bytes as usize;
            self.unused += key.len() + entry.room as usize;
            entry.start = self.data.len();
            entry.room = length(value);
            self.data.extend_from_within(key);
            self.data.extend_from_slice(value);
        } else {
            let start = entry.start + entry.key_bytes as usize;
            self.data[start..start + value.len()].copy_from_slice(value);
        }
        entry.value_bytes = length(value);
    }

    fn insert(&mut self, hash: u64, key: &[u8], value: &[u8], before: Before) -> u32 {
        let (start, key_bytes, value_bytes) = (self.data.len(), length(key), length(value));
        let entry = Entry { hash, start, key_bytes, value_bytes, room: value_bytes, present: true, before };
        self.data.extend_from_slice(key);
        self.data.extend_from_slice(value);
        let at = match self.free.pop() {
            Some(at) => {
                self.entries[at as usize] = entry;
                at
            }
            None => {
                self.entries.push(entry);
                u32::try_from(self.entries.len() - 1).expect("memory ends long before 4 billion keys of one window")
            }
        };
        let entries = &self.entries;
        self.index.insert_unique(hash, at, |at| entries[*at as usize].hash);
        self.len += 1;
        at
    }

    /// Frees the entry of a key that was removed.
    fn forget(&mut self, at: u32) {
        let entry = &self.entries[at as usize];
        debug_assert!(!entry.present, "its key has been counted out");
        if let Ok(found) = self.index.find_entry(entry.hash, |other| *other == at) {
            found.remove();
        }
        self.unused += entry.key_bytes as usize + entry.room as usize;
        self.free.push(at);
    }

    /// Copies the used parts of the buffer to a new one.
    fn rewrite(&mut self) {
        let mut data = Vec::with_capacity(self.data.len() - self.unused);
        for at in &self.index {
            let entry = &mut self.entries[*at as usize];
            let bytes = entry.key_bytes as usize + entry.value_bytes as usize;
            let start = std::mem::replace(&mut entry.start, data.len());
            data.extend_from_slice(&self.data[start..start + bytes]);
            entry.room = entry.value_bytes;
        }
        self.data = data;
        self.unused = 0;
    }
}

/// The length of a key or value. It fits, since columns have at most 2 GiB.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a value of a column is shorter than 2 GiB")
}
