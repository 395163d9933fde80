//! The keys of one window that have changed since the last seal, each with its value then.

use arrow::error::ArrowError;

use super::bytes::BytesBuilder;
use super::order::in_order;
use super::table::Table;
use super::warm;

/// The changes of one window.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    /// The keys that have changed, with their values now.
    table: Table,
    /// For each place of the table, where the value at the last seal is in `sealed`; `None` if the key did not exist.
    before: Vec<Option<(usize, u32)>>,
    sealed: Vec<u8>,
    /// Number of keys that had a value at the last seal.
    had: usize,
}

impl Overlay {
    /// The value of a key; `None` if the key has not changed, `Some(None)` if it was removed.
    pub(crate) fn get(&self, hash: u64, key: &[u8]) -> Option<Option<&[u8]>> {
        self.table.find(hash, key).map(|at| self.table.value(at))
    }

    /// The changed keys that have a value now.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        (0..self.table.places()).filter_map(|at| Some((self.table.key(at), self.table.value(at)?)))
    }

    /// Sets the value of a key, or removes it. `sealed` returns its value at the last seal.
    pub(crate) fn put<'s>(
        &mut self,
        hash: u64,
        key: &[u8],
        value: Option<&[u8]>,
        sealed: impl FnOnce() -> Option<&'s [u8]>,
    ) {
        if let Some(at) = self.table.find(hash, key) {
            return self.table.set(at, value);
        }
        let before = sealed();
        if value.is_some() || before.is_some() {
            self.table.insert(hash, key, value);
            self.before.push(before.map(|before| (self.sealed.len(), before.len() as u32)));
            self.sealed.extend_from_slice(before.unwrap_or_default());
            self.had += usize::from(before.is_some());
        }
    }

    /// Appends the keys whose values differ from those at the last seal, in order, to columns of keys, values, and values at
    /// the last seal. Returns their number.
    pub(crate) fn changes(&self, [keys, values, before]: &mut [BytesBuilder; 3]) -> Result<usize, ArrowError> {
        let changed = (0..self.table.places()).filter(|at| self.table.value(*at) != self.value_before(*at));
        let changed = in_order(changed, |at| self.table.key(at));
        for changed in changed.chunks(warm::KEYS) {
            warm::warm_places(&changed.iter().map(|at| (&self.table, *at)).collect::<Vec<_>>());
            for at in changed {
                keys.push(Some(self.table.key(*at)))?;
                values.push(self.table.value(*at))?;
                before.push(self.value_before(*at))?;
            }
        }
        Ok(changed.len())
    }

    /// The number of keys that it adds to those at the last seal; negative if there are fewer.
    pub(crate) fn added(&self) -> isize {
        self.table.len().cast_signed() - self.had.cast_signed()
    }

    /// The approximate memory in use, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.table.bytes() + self.before.capacity() * size_of::<Option<(usize, u32)>>() + self.sealed.capacity()
    }

    /// Brings the keys with these hashes into the cache of the processor.
    pub(crate) fn warm(&self, hashes: &[u64]) {
        warm::warm(hashes.iter().map(|hash| (&self.table, *hash)));
    }

    /// Whether a key has an entry.
    pub(crate) fn has(&self, hash: u64, key: &[u8]) -> bool {
        self.table.find(hash, key).is_some()
    }

    /// The number of keys that have a value now.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// The changed keys with their values now, and for each place whether the key had a value at the last seal.
    pub(crate) fn into_table(self) -> (Table, Vec<bool>) {
        (self.table, self.before.iter().map(Option::is_some).collect())
    }

    fn value_before(&self, at: u32) -> Option<&[u8]> {
        self.before[at as usize].map(|(start, bytes)| &self.sealed[start..start + bytes as usize])
    }
}
