//! A disk that is none: what stores move to it stays in memory. For tests and simulations.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::sync::Arc;

use arrow::array::{Array, BinaryArray};

use super::cold::{Cold, ColdError, ColdSnapshot, Disk, Piece, Run};

/// Keys of a piece of a scan; few, so that tests have several pieces.
const PIECE_KEYS: usize = 3;

/// Places in memory.
///
/// ```
/// use headwater_state::{MemoryDisk, MemoryStore, Storage};
///
/// // Every store moves everything as soon as it is committed.
/// let storage = Storage::new(1, MemoryDisk);
/// let store = MemoryStore::within(&storage);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryDisk;

type Entries = Arc<BTreeMap<Box<[u8]>, Box<[u8]>>>;

/// The place of one store.
#[derive(Debug, Default)]
struct MemoryCold {
    entries: Entries,
    /// The number of runs.
    written: u64,
}

#[derive(Debug)]
struct Snapshot(Entries);

impl Disk for MemoryDisk {
    fn open(&self) -> Result<Box<dyn Cold>, ColdError> {
        Ok(Box::<MemoryCold>::default())
    }
}

impl Cold for MemoryCold {
    fn write(&mut self, run: Run) -> Result<(), ColdError> {
        let entries = Arc::make_mut(&mut self.entries);
        let mut last: Option<Box<[u8]>> = None;
        for Piece { keys, values } in run {
            for row in 0..keys.len() {
                let key: Box<[u8]> = keys.value(row).into();
                assert!(last.is_none_or(|last| last < key), "keys are written in ascending order");
                match values.is_valid(row) {
                    true => drop(entries.insert(key.clone(), values.value(row).into())),
                    false => drop(entries.remove(&key)),
                }
                last = Some(key);
            }
        }
        self.written += 1;
        Ok(())
    }

    fn written(&self, _: u64) -> Result<u64, ColdError> {
        Ok(self.written)
    }

    fn forget(&mut self, windows: Range<u64>) -> Result<(), ColdError> {
        let first = |key: &[u8]| key.first_chunk().copied().map_or(0, u64::from_be_bytes);
        Arc::make_mut(&mut self.entries).retain(|key, _| !windows.contains(&first(key)));
        Ok(())
    }

    fn snapshot(&self) -> Arc<dyn ColdSnapshot> {
        Arc::new(Snapshot(self.entries.clone()))
    }
}

impl ColdSnapshot for Snapshot {
    fn get(&self, keys: &BinaryArray) -> Result<BinaryArray, ColdError> {
        assert!((1..keys.len()).all(|row| keys.value(row - 1) <= keys.value(row)), "keys are read in ascending order");
        Ok(keys.iter().map(|key| key.and_then(|key| self.0.get(key)).map(AsRef::as_ref)).collect())
    }

    fn scan(&self, keys: Range<Vec<u8>>) -> Box<dyn Iterator<Item = Result<Piece, ColdError>> + Send> {
        let (entries, mut next) = (self.0.clone(), keys.start);
        Box::new(std::iter::from_fn(move || {
            let range = (Bound::Included(&next[..]), Bound::Excluded(&keys.end[..]));
            let found: Vec<_> = entries.range::<[u8], _>(range).take(PIECE_KEYS).collect();
            let (last, _) = found.last()?;
            next = [&last[..], b"\0"].concat();
            let keys = BinaryArray::from_iter_values(found.iter().map(|(key, _)| key));
            Some(Ok(Piece { keys, values: BinaryArray::from_iter_values(found.iter().map(|(_, value)| value)) }))
        }))
    }
}
