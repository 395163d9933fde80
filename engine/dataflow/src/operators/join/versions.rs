//! The former rows of a table, for rows of a stream that are older than the changes.
//!
//! The table of a join is read ahead of the stream, up to the time of the rows that wait. So some of its changes are later than rows
//! of the stream that are still to come, which get the row before the change. A change is remembered until all partitions of the
//! stream have passed it.
//!
//! ```text
//! window   1, beside the table itself in window 0
//! key      the key of the table
//! value    VERSION, then for each former row: until when it was valid (8 bytes), 1 or 0 for none, length (4 bytes), row
//! ```
//!
//! Rows that do not fit into one record of the changelog are in window 2, in further values: their keys end in a number from 0 on
//! (4 bytes, the most significant first).

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::BinaryArray;
use arrow::error::ArrowError;
use headwater_state::Store;

/// The window in the store.
const WINDOW: i64 = 1;

/// The window of what does not fit into the values there.
const WINDOW_OF_OTHERS: i64 = 2;

/// The bytes that a value has in addition to the row, if that is its only one.
pub const RECORD_BYTES: usize = 1 + FORMER_BYTES + PLACE_BYTES;

/// The bytes of a former row in addition to itself.
const FORMER_BYTES: usize = 8 + 1 + 4;

/// The bytes of the number in a key.
const PLACE_BYTES: usize = 4;

/// The first byte of a value.
const VERSION: u8 = 1;

/// A row that a table had, in ascending order of their times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Former {
    /// The stream time of the change that replaced it, in ms since the epoch.
    until_ms: i64,
    /// Its bytes; `None` if there was no row.
    row: Option<Box<[u8]>>,
}

/// The former rows of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History(Vec<Former>);

/// The former rows of all keys that have some.
#[derive(Clone, Debug, Default)]
pub struct Versions {
    keys: BTreeMap<Box<[u8]>, History>,
    /// The latest time until which one was valid.
    latest_ms: Option<i64>,
    /// The keys that have changed since they were last written to the store.
    unsaved: BTreeSet<Box<[u8]>>,
    /// The number of further values that the store has for a key, if it has some.
    others: BTreeMap<Box<[u8]>, u32>,
    /// The number of keys after which those that were passed are removed.
    limit: usize,
}

/// The least number of keys after which those that were passed are removed before the barrier.
const KEYS_MIN: usize = 16_384;

impl History {
    /// The row that was valid at a stream time, if that is not the present one.
    pub fn at(&self, time_ms: i64) -> Option<Option<&[u8]>> {
        let former = self.0.get(self.0.partition_point(|former| former.until_ms <= time_ms))?;
        Some(former.row.as_deref())
    }

    /// Adds a change at a stream time to `row`, where `present` is the row that the table has. Those until `passed_ms` are not
    /// needed. Returns whether `row` is what the table has now: a change may arrive after a later one from another partition.
    pub fn add(&mut self, time_ms: i64, row: Option<&[u8]>, present: Option<&[u8]>, passed_ms: i64) -> bool {
        let at = self.0.partition_point(|former| former.until_ms <= time_ms);
        let is_present = at == self.0.len();
        let before = match is_present {
            true => present.map(Box::from),
            false => std::mem::replace(&mut self.0[at].row, row.map(Box::from)),
        };
        // Of several changes at one time, the row before the first of them was valid until then.
        let is_first = at.checked_sub(1).is_none_or(|before| self.0[before].until_ms < time_ms);
        if time_ms > passed_ms && is_first {
            self.0.insert(at, Former { until_ms: time_ms, row: before });
        }
        is_present
    }

    /// Removes the rows until a time. Returns whether there were any.
    fn pass(&mut self, passed_ms: i64) -> bool {
        let passed = self.0.partition_point(|former| former.until_ms <= passed_ms);
        self.0.drain(..passed);
        passed > 0
    }

    /// The values, of so many bytes at most if each row fits.
    fn to_values(&self, bytes_max: usize) -> Vec<Vec<u8>> {
        let mut values = vec![vec![VERSION]];
        for Former { until_ms, row } in &self.0 {
            let (has_row, row) = (u8::from(row.is_some()), row.as_deref().unwrap_or_default());
            if values.last().is_some_and(|last| last.len() > 1 && last.len() + FORMER_BYTES + row.len() > bytes_max) {
                values.push(vec![VERSION]);
            }
            let bytes = values.last_mut().expect("there is one from the beginning");
            bytes.extend(until_ms.to_be_bytes());
            bytes.push(has_row);
            bytes.extend((row.len() as u32).to_be_bytes());
            bytes.extend(row);
        }
        values
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&VERSION, mut rest) = bytes.split_first()? else { return None };
        let mut history = Self::default();
        while !rest.is_empty() {
            let (until_ms, after) = rest.split_first_chunk()?;
            let ([has_row @ (0 | 1)], after) = after.split_first_chunk()? else { return None };
            let (length, after) = after.split_first_chunk()?;
            let (row, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
            let row = (*has_row == 1).then(|| row.into());
            history.0.push(Former { until_ms: i64::from_be_bytes(*until_ms), row });
            rest = after;
        }
        Some(history)
    }
}

impl Versions {
    /// Those that a store has. Fails if they are damaged.
    pub fn read(store: &dyn Store) -> Result<Self, ArrowError> {
        let (mut keys, mut all, mut is_damaged) = (BTreeMap::<Box<[u8]>, History>::new(), BTreeMap::new(), false);
        store.visit(WINDOW, &mut |key, value| match History::from_bytes(value) {
            Some(history) => drop(keys.insert(key.into(), history)),
            None => is_damaged = true,
        });
        store.visit(WINDOW_OF_OTHERS, &mut |key, value| match (key.split_last_chunk(), History::from_bytes(value)) {
            (Some((key, place)), Some(history)) => {
                all.insert((Box::<[u8]>::from(key), u32::from_be_bytes(*place)), history);
            }
            _ => is_damaged = true,
        });
        let mut others: BTreeMap<Box<[u8]>, u32> = BTreeMap::new();
        for ((key, _), history) in all {
            keys.entry(key.clone()).or_default().0.extend(history.0);
            *others.entry(key).or_default() += 1;
        }
        let latest_ms = keys.values().filter_map(|history| history.0.last()).map(|last| last.until_ms).max();
        match is_damaged {
            true => Err(ArrowError::ParseError("a former row in the state of a join is damaged".to_owned())),
            false => Ok(Self { keys, latest_ms, unsaved: BTreeSet::new(), others, limit: KEYS_MIN }),
        }
    }

    /// Whether some rows with stream times from this one on may get a former row.
    pub fn reach(&self, time_ms: i64) -> bool {
        self.latest_ms.is_some_and(|latest| latest > time_ms)
    }

    /// The former rows of a key.
    pub fn of(&self, key: &[u8]) -> Option<&History> {
        self.keys.get(key)
    }

    /// Replaces the former rows of some keys.
    pub fn put(&mut self, changed: Vec<(Box<[u8]>, History)>) {
        for (key, history) in changed {
            self.latest_ms = self.latest_ms.max(history.0.last().map(|last| last.until_ms));
            self.unsaved.insert(key.clone());
            self.keys.insert(key, history);
        }
    }

    /// Removes what was passed, once there is much.
    pub fn pass(&mut self, passed_ms: i64) {
        if self.keys.len() > self.limit {
            self.remove_passed(passed_ms);
            self.limit = KEYS_MIN.max(2 * self.keys.len());
        }
    }

    fn remove_passed(&mut self, passed_ms: i64) {
        if !self.reach(passed_ms) {
            self.latest_ms = None;
        }
        let unsaved = &mut self.unsaved;
        self.keys.retain(|key, history| {
            if history.pass(passed_ms) {
                unsaved.insert(key.clone());
            }
            !history.0.is_empty()
        });
    }

    /// Writes what has changed to the store, without what was passed. A key and its value have `bytes_max` bytes at most, if each row
    /// fits.
    pub fn save(&mut self, passed_ms: i64, bytes_max: Option<usize>, store: &mut dyn Store) {
        self.remove_passed(passed_ms);
        let unsaved = std::mem::take(&mut self.unsaved);
        if unsaved.is_empty() {
            return;
        }
        let mut firsts: Vec<Option<Vec<u8>>> = Vec::with_capacity(unsaved.len());
        let mut others: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
        for key in &unsaved {
            let values_max = bytes_max.map_or(usize::MAX, |most| most.saturating_sub(key.len() + PLACE_BYTES));
            let mut values =
                self.keys.get(key).map_or_else(Vec::new, |history| history.to_values(values_max)).into_iter();
            firsts.push(values.next());
            let count = values.len() as u32;
            let before = if count > 0 { self.others.insert(key.clone(), count) } else { self.others.remove(key) };
            let entry = |place: u32| [&key[..], &place.to_be_bytes()].concat();
            others.extend((count..before.unwrap_or(0)).map(|place| (entry(place), None)));
            others.extend((0..).zip(values).map(|(place, value)| (entry(place), Some(value))));
        }
        store.put(WINDOW, &BinaryArray::from_iter_values(unsaved.iter()), &BinaryArray::from_iter(firsts));
        if !others.is_empty() {
            let (keys, values): (Vec<_>, Vec<_>) = others.into_iter().unzip();
            store.put(WINDOW_OF_OTHERS, &BinaryArray::from_iter_values(keys), &BinaryArray::from_iter(values));
        }
    }
}

#[cfg(test)]
mod tests {
    use headwater_state::MemoryStore;

    use super::*;

    fn at(history: &History, times: [i64; 4]) -> [Option<Option<&str>>; 4] {
        let text = |row: &'static [u8]| std::str::from_utf8(row).expect("it is text");
        times.map(|time| history.at(time).map(|row| row.map(|row| text(row.to_vec().leak()))))
    }

    #[test]
    fn a_time_has_the_row_before_the_next_change() {
        let mut history = History::default();
        assert!(history.add(10, Some(b"x"), None, 0));
        assert!(history.add(20, None, Some(b"x"), 0));
        assert!(history.add(20, Some(b"y"), None, 0), "the time of two changes has the last one");
        assert_eq!(at(&history, [9, 10, 19, 20]), [Some(None), Some(Some("x")), Some(Some("x")), None]);
        assert!(!history.add(15, Some(b"z"), Some(b"y"), 0), "it arrives after a later one");
        assert_eq!(at(&history, [9, 14, 15, 20]), [Some(None), Some(Some("x")), Some(Some("z")), None]);
        let values = history.to_values(usize::MAX);
        assert_eq!((values.len(), History::from_bytes(&values[0])), (1, Some(history.clone())));
        assert_eq!(History::from_bytes(&values[0][..12]), None);
        assert!(history.pass(15) && !history.pass(15));
        assert_eq!(at(&history, [0, 14, 15, 20]), [Some(Some("z")), Some(Some("z")), Some(Some("z")), None]);
    }

    #[test]
    fn what_was_passed_is_neither_kept_nor_stored() {
        let (mut store, mut versions) = (MemoryStore::default(), Versions::default());
        let history = |time| {
            let mut history = History::default();
            history.add(time, Some(b"x"), None, i64::MIN);
            history
        };
        versions.put(vec![((*b"a").into(), history(10)), ((*b"b").into(), history(20))]);
        assert!(versions.reach(19) && !versions.reach(20));
        versions.save(10, None, &mut store);
        assert_eq!(store.len(), 1);
        let mut restored = Versions::read(&store).expect("it is not damaged");
        assert!(restored.of(b"a").is_none() && restored.of(b"b") == Some(&history(20)) && restored.reach(19));
        restored.save(20, None, &mut store);
        assert!(store.is_empty() && !restored.reach(i64::MIN));
    }

    /// Goal: however many former rows a key has, each record fits. Method: ten rows with room for three, which are passed one by one.
    #[test]
    fn what_is_too_much_for_one_record_is_in_several() {
        let (mut store, mut versions, mut history) = (MemoryStore::default(), Versions::default(), History::default());
        assert!((1..=10).all(|time| history.add(time, Some(&[7; 10]), Some(&[9; 10]), 0)));
        versions.put(vec![((*b"a").into(), history)]);
        let bytes_max = 1 + PLACE_BYTES + 1 + 3 * (10 + FORMER_BYTES);
        for passed in 0..=10 {
            versions.save(passed, Some(bytes_max), &mut store);
            let records = (10 - passed as usize).div_ceil(3);
            assert_eq!(store.len(), records, "{passed}");
            let changes = store.seal().expect("they are few");
            let sizes = changes.keys.iter().zip(&changes.values);
            let sizes = sizes.map(|(key, value)| key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len));
            assert!(sizes.max().is_none_or(|most| most <= bytes_max));
            store.commit();
            let restored = Versions::read(&store).expect("it is not damaged");
            assert_eq!(restored.of(b"a"), versions.of(b"a"), "{passed}");
            versions = restored;
        }
    }
}
