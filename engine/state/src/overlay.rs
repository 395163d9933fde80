//! The keys of one window that have changed since the last seal, each with its value then.

use arrow::error::ArrowError;

use super::bytes::BytesBuilder;
use super::order::in_order;
use super::table::Table;
use super::warm;

/// The changes of one window.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    /// The keys that have changed, with their values now and at the last seal.
    table: Table,
    /// Number of keys that had a value at the last seal.
    had: usize,
}

impl Overlay {
    /// No changes, in the memory of an empty table.
    pub(crate) fn within(spare: Option<Table>) -> Self {
        Self { table: spare.unwrap_or_default(), had: 0 }
    }

    /// The value of a key; `None` if the key has not changed, `Some(None)` if it was removed.
    pub(crate) fn get(&self, hash: u64, key: &[u8]) -> Option<Option<&[u8]>> {
        self.table.find(hash, key).map(|at| self.table.value(at))
    }

    /// The changed keys that have a value now.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.table.iter().map(|(_, key, value)| (key, value))
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
            self.table.insert(hash, key, before, value);
            self.had += usize::from(before.is_some());
        }
    }

    /// Appends the keys whose values differ from those at the last seal, in order, to columns of keys, values, and values at
    /// the last seal. Returns their number.
    pub(crate) fn changes(&self, [keys, values, before]: &mut [BytesBuilder; 3]) -> Result<usize, ArrowError> {
        let (table, mut bytes) = (&self.table, [0; 3]);
        let changed = table.places(0).filter(|at| table.value(*at) != table.before(*at)).inspect(|at| {
            let parts = [Some(table.key(*at)), table.value(*at), table.before(*at)];
            bytes.iter_mut().zip(parts).for_each(|(bytes, part)| *bytes += part.map_or(0, <[u8]>::len));
        });
        let changed = in_order(changed, |at| table.key(at));
        keys.reserve(changed.len(), bytes[0]);
        values.reserve(changed.len(), bytes[1]);
        before.reserve(changed.len(), bytes[2]);
        for changed in changed.chunks(warm::KEYS) {
            warm::warm_records(changed.iter().map(|at| (table, *at)));
            for at in changed {
                keys.push(Some(table.key(*at)))?;
                values.push(table.value(*at))?;
                before.push(table.before(*at))?;
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
        self.table.bytes()
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

    /// The changed keys with their values now and at the last seal.
    pub(crate) fn into_table(self) -> Table {
        self.table
    }
}
