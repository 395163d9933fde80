//! The store in memory: a hash table for each window, which is dropped when the window expires.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher};

use arrow::array::{Array, BinaryArray, Int64Array};
use arrow::error::ArrowError;
use foldhash::fast::FixedState;

use super::bytes::BytesBuilder;
use super::record_key::{WINDOW_BYTES, split_all};
use super::store::{Changes, Store};
use super::table::Table;

/// A store in memory.
///
/// ```
/// use arrow::array::BinaryArray;
/// use headwater_state::{MemoryStore, Store};
///
/// let mut store = MemoryStore::default();
/// let keys = BinaryArray::from_vec(vec![b"b", b"a"]);
/// store.put(0, &keys, &BinaryArray::from_vec(vec![b"1", b"2"]));
/// assert_eq!(store.get(0, &keys)?, BinaryArray::from_vec(vec![b"1", b"2"]));
/// assert_eq!(store.seal()?.keys, BinaryArray::from_vec(vec![b"a", b"b"]));
/// assert_eq!(store.changes()?.keys.value_data(), b"");
/// # Ok::<(), arrow::error::ArrowError>(())
/// ```
#[derive(Debug, Default)]
pub struct MemoryStore {
    windows: BTreeMap<i64, Table>,
    /// Windows that start before this have expired. Those that are still in `windows` have changes.
    expired: Option<i64>,
    /// Windows that were dropped since the last seal, but are still in `windows` because they have changes.
    dropped: BTreeSet<i64>,
    /// Windows that expired without changes since the last seal.
    gone: BTreeMap<i64, Table>,
    len: usize,
    bytes: usize,
}

impl MemoryStore {
    /// Changes the table of a window, which is created if there is none.
    fn with_table(&mut self, window: i64, change: impl FnOnce(&mut Table)) {
        let table = self.windows.entry(window).or_default();
        let (len, bytes) = (table.len(), table.bytes());
        change(table);
        self.len = self.len + table.len() - len;
        self.bytes = self.bytes + table.bytes() - bytes;
    }

    /// Removes and returns those of some windows for which `takes` is true.
    fn take_windows(&mut self, windows: Vec<i64>, takes: impl Fn(i64, &Table) -> bool) -> Vec<(i64, Table)> {
        let mut taken = Vec::new();
        for window in windows {
            if self.windows.get(&window).is_some_and(|table| takes(window, table))
                && let Some(table) = self.windows.remove(&window)
            {
                self.len -= table.len();
                self.bytes -= table.bytes();
                taken.push((window, table));
            }
        }
        taken
    }

    /// The starts of the windows before `start`.
    fn before(&self, start: i64) -> Vec<i64> {
        self.windows.range(..start).map(|(window, _)| *window).collect()
    }

    /// Removes those of some windows for which `takes` is true. The next seal removes their keys from the changelog.
    fn let_go(&mut self, windows: Vec<i64>, takes: impl Fn(&Table) -> bool) {
        for (window, table) in self.take_windows(windows, |_, table| takes(table)) {
            // Keys that were put into the window after it expired are in no changelog.
            self.gone.entry(window).or_insert(table);
        }
    }

    /// The starts of the windows that have changes.
    fn changed_windows(&self) -> Vec<i64> {
        self.windows.iter().filter(|(_, table)| table.has_changes()).map(|(window, _)| *window).collect()
    }
}

impl Store for MemoryStore {
    fn get(&self, window: i64, keys: &BinaryArray) -> Result<BinaryArray, ArrowError> {
        let Some(table) = self.windows.get(&window) else { return Ok(BinaryArray::new_null(keys.len())) };
        let mut values = BytesBuilder::new(keys.len(), 0);
        for (row, hash) in hashes(keys).into_iter().enumerate() {
            values.push(table.get(hash, keys.value(row)))?;
        }
        Ok(values.finish())
    }

    fn put(&mut self, window: i64, keys: &BinaryArray, values: &BinaryArray) {
        debug_assert!(keys.len() == values.len() && keys.null_count() == 0, "a value for each key");
        self.with_table(window, |table| {
            for (row, hash) in hashes(keys).into_iter().enumerate() {
                table.put(hash, keys.value(row), values.is_valid(row).then(|| values.value(row)));
            }
        });
    }

    fn expire(&mut self, start: i64) {
        if self.expired.is_none_or(|expired| expired < start) {
            self.expired = Some(start);
            self.let_go(self.before(start), |table| !table.has_changes());
        }
    }

    fn drop_window(&mut self, window: i64) {
        self.let_go(vec![window], |table| !table.has_changes());
        if self.windows.contains_key(&window) {
            self.dropped.insert(window);
        }
    }

    fn visit(&self, window: i64, visit: &mut dyn FnMut(&[u8], &[u8])) {
        if let Some(table) = self.windows.get(&window) {
            table.visit(visit);
        }
    }

    fn changes(&self) -> Result<Changes, ArrowError> {
        collect(self.windows.iter().filter(|(_, table)| table.has_changes()), |_, table, columns| {
            table.changes(columns)
        })
    }

    fn seal(&mut self) -> Result<Changes, ArrowError> {
        if let Some(expired) = self.expired {
            self.let_go(self.before(expired), |_| true);
        }
        let dropped = std::mem::take(&mut self.dropped).into_iter().collect();
        self.let_go(dropped, |_| true);
        let changed = self.windows.iter().filter(|(_, table)| table.has_changes());
        let changes = collect(self.gone.iter().chain(changed), |window, table, columns| {
            if self.gone.contains_key(&window) { table.removals(columns) } else { table.changes(columns) }
        })?;
        self.gone.clear();
        let windows = self.changed_windows();
        windows.iter().for_each(|window| self.with_table(*window, Table::seal));
        self.take_windows(windows, |_, table| table.is_empty());
        Ok(changes)
    }

    fn restore(&mut self, keys: &BinaryArray, values: &BinaryArray) -> Result<(), ArrowError> {
        debug_assert!(keys.len() == values.len(), "a value for each key");
        let keys = split_all(keys)?;
        // Consecutive records often belong to one window.
        let mut row = 0;
        for run in keys.chunk_by(|(one, _), (next, _)| one == next) {
            self.with_table(run[0].0, |table| {
                for (_, key) in run {
                    table.restore(hash(key), key, values.is_valid(row).then(|| values.value(row)));
                    row += 1;
                }
                table.shrink();
            });
        }
        let windows = self.windows.iter().filter(|(_, table)| table.is_empty()).map(|(window, _)| *window).collect();
        self.take_windows(windows, |_, _| true);
        Ok(())
    }

    fn len(&self) -> usize {
        self.len
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The changes that `add` appends for each window, in order.
fn collect<'t>(
    tables: impl Iterator<Item = (&'t i64, &'t Table)>,
    add: impl Fn(i64, &Table, &mut [BytesBuilder; 3]) -> Result<usize, ArrowError>,
) -> Result<Changes, ArrowError> {
    let mut columns = [0; 3].map(|bytes| BytesBuilder::new(0, bytes));
    let mut windows = Vec::new();
    for (window, table) in tables {
        let keys = add(*window, table, &mut columns)?;
        windows.resize(windows.len() + keys, *window);
    }
    columns[0].check_room(WINDOW_BYTES)?;
    let [keys, values, before] = columns.map(BytesBuilder::finish);
    Ok(Changes { windows: Int64Array::from(windows), keys, values, before })
}

/// The hash of each key; the same in every process, so that a run can be repeated.
fn hashes(keys: &BinaryArray) -> Vec<u64> {
    (0..keys.len()).map(|row| hash(keys.value(row))).collect()
}

fn hash(key: &[u8]) -> u64 {
    let mut hasher = FixedState::with_seed(0).build_hasher();
    hasher.write(key);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract;

    #[test]
    fn it_is_a_store() {
        contract::holds(|| Box::new(MemoryStore::default()));
    }

    /// Goal: memory is given back. Method: values that grow and keys that go, over many epochs.
    #[test]
    fn what_is_unused_is_given_back() {
        let mut store = MemoryStore::default();
        let key = |number: u32| BinaryArray::from_vec(vec![&number.to_be_bytes()]);
        for round in 0..2_000 {
            let value = vec![0_u8; 50 + round as usize % 100];
            store.put(0, &key(round), &BinaryArray::from_vec(vec![&value]));
            store.put(0, &key(round.saturating_sub(10)), &BinaryArray::new_null(1));
            store.seal().expect("it is small");
        }
        assert_eq!(store.len(), 10);
        assert!(store.bytes() < 32 << 10, "{} bytes", store.bytes());
    }

    /// Goal: a restore takes no more memory than what it restores. Method: a changelog that is far longer than the state.
    #[test]
    fn what_later_records_replace_is_given_back() {
        let mut store = MemoryStore::default();
        for round in 0..2_000_u32 {
            let key = [&round.to_be_bytes()[..], &0_i64.to_be_bytes()].concat();
            for value in [Some(&[0_u8; 100][..]), None] {
                let keys = BinaryArray::from_vec(vec![&key]);
                store.restore(&keys, &BinaryArray::from_opt_vec(vec![value])).expect("a record key");
            }
        }
        let keys = BinaryArray::from_vec(vec![b"k\0\0\0\0\0\0\0\0"]);
        store.restore(&keys, &keys).expect("a record key");
        for bytes in 0..2_000 {
            store.restore(&keys, &BinaryArray::from_vec(vec![&vec![0; bytes]])).expect("a record key");
        }
        assert_eq!(store.len(), 1);
        assert!(store.bytes() < 32 << 10, "{} bytes", store.bytes());
    }

    #[test]
    fn a_window_that_expires_gives_its_memory_back() {
        let mut store = MemoryStore::default();
        for window in 0..100 {
            let keys: BinaryArray = (0..100_u32).map(|key| Some(key.to_be_bytes())).collect();
            store.put(window * 10, &keys, &keys);
        }
        store.seal().expect("it is small");
        let (len, bytes) = (store.len(), store.bytes());
        store.expire(500);
        assert_eq!((store.len(), store.bytes()), (len / 2, bytes / 2));
        store.expire(i64::MAX);
        assert_eq!((store.len(), store.bytes(), store.is_empty()), (0, 0, true));
    }
}
