//! A scan of a snapshot, in batches.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, BinaryArray, Int64Array};
use arrow::error::ArrowError;

use super::bytes::BytesBuilder;
use super::cold::{ColdError, ColdSnapshot, PREFIX_BYTES, Piece};
use super::hash::hash;
use super::table::Table;
use super::window::{Part, Window};

/// Bytes of keys and values after which a batch ends.
const BATCH_BYTES: usize = 8 << 20;

/// The keys of a snapshot that are left to be read. It keeps what is left in memory, and releases what it has passed.
#[derive(Debug)]
pub struct Scan {
    windows: VecDeque<(i64, Arc<Window>)>,
    disk: Option<Arc<dyn ColdSnapshot>>,
    /// The rest of the window that was begun: its start and its parts.
    parts: VecDeque<(i64, Part)>,
    /// The place in the table of the first part from which it is read on; `None` if all of it is read.
    place: Option<usize>,
    /// The same in its frozen table.
    frozen_place: Option<usize>,
    /// The keys of the first part on disk, once its table is read.
    on_disk: Option<OnDisk>,
    rows: usize,
}

/// Keys on disk that are being read.
struct OnDisk {
    pieces: Box<dyn Iterator<Item = Result<Piece, ColdError>> + Send>,
    piece: Option<Piece>,
    /// The next row in the piece.
    row: usize,
}

impl fmt::Debug for OnDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnDisk").field("row", &self.row).finish_non_exhaustive()
    }
}

/// Some keys of a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Scanned {
    /// The start of each key's window, in ms since the epoch.
    pub windows: Int64Array,
    /// The keys; never null.
    pub keys: BinaryArray,
    /// The values; never null.
    pub values: BinaryArray,
}

/// The batch that is being filled.
struct Batch {
    windows: Vec<i64>,
    keys: BytesBuilder,
    values: BytesBuilder,
    bytes: usize,
    rows_max: usize,
}

impl Batch {
    fn new(rows_max: usize) -> Self {
        let (keys, values) = (BytesBuilder::new(0, 0), BytesBuilder::new(0, 0));
        Self { windows: Vec::new(), keys, values, bytes: 0, rows_max }
    }

    fn is_full(&self) -> bool {
        self.windows.len() >= self.rows_max || self.bytes >= BATCH_BYTES
    }

    fn add(&mut self, start: i64, key: &[u8], value: &[u8]) -> Result<(), ArrowError> {
        self.bytes += key.len() + value.len();
        self.windows.push(start);
        self.keys.push(Some(key))?;
        self.values.push(Some(value))
    }
}

impl Scan {
    pub(crate) fn new(windows: VecDeque<(i64, Arc<Window>)>, disk: Option<Arc<dyn ColdSnapshot>>, rows: usize) -> Self {
        let (place, frozen_place) = (Some(0), Some(0));
        Self { windows, disk, parts: VecDeque::new(), place, frozen_place, on_disk: None, rows: rows.max(1) }
    }

    /// The part to be read next, with the start of its window.
    fn part(&mut self) -> Option<(i64, Part)> {
        while self.parts.is_empty() {
            let (start, window) = self.windows.pop_front()?;
            self.parts.extend(window.parts().into_iter().map(|part| (start, part)));
        }
        self.parts.front().cloned()
    }

    /// The next keys; `None` if there are none. Fails if the disk does, or if a single key and its value exceed 2 GiB.
    fn batch(&mut self) -> Result<Option<Scanned>, ArrowError> {
        let mut batch = Batch::new(self.rows);
        while !batch.is_full() {
            let Some((start, part)) = self.part() else { break };
            if self.on_disk.is_none() {
                self.read_table(start, &part.table, &mut batch)?;
                self.read_frozen(start, &part, &mut batch)?;
                if self.place.is_some() || self.frozen_place.is_some() {
                    break;
                }
            }
            if self.is_read(start, &part, &mut batch)? {
                (self.place, self.frozen_place, self.on_disk) = (Some(0), Some(0), None);
                self.parts.pop_front();
            }
        }
        let Batch { windows, keys, values, .. } = batch;
        let (windows, keys, values) = (Int64Array::from(windows), keys.finish(), values.finish());
        Ok((!windows.is_empty()).then_some(Scanned { windows, keys, values }))
    }

    /// Adds what is left of a table, as much as the batch takes.
    fn read_table(&mut self, start: i64, table: &Table, batch: &mut Batch) -> Result<(), ArrowError> {
        let Some(from) = self.place else { return Ok(()) };
        let mut places = table.places(from);
        loop {
            self.place = places.next();
            let Some(at) = self.place.filter(|_| !batch.is_full()) else { break };
            if let Some(value) = table.value(at) {
                batch.add(start, table.key(at), value)?;
            }
        }
        Ok(())
    }

    /// Adds what is left of a frozen table, as much as the batch takes, without the keys that have changed since.
    fn read_frozen(&mut self, start: i64, part: &Part, batch: &mut Batch) -> Result<(), ArrowError> {
        let (None, Some(from)) = (self.place, self.frozen_place) else { return Ok(()) };
        let Some(table) = part.frozen.as_deref() else {
            self.frozen_place = None;
            return Ok(());
        };
        let mut places = table.places(from);
        loop {
            self.frozen_place = places.next();
            let Some(at) = self.frozen_place.filter(|_| !batch.is_full()) else { break };
            let (key, value) = (table.key(at), table.value(at));
            let hash = hash(key);
            if let Some(value) = value.filter(|_| part.places.contain(hash) && part.table.find(hash, key).is_none()) {
                batch.add(start, key, value)?;
            }
        }
        Ok(())
    }

    /// Adds what is left of a part on disk, as much as the batch takes. Returns true if nothing is left.
    fn is_read(&mut self, start: i64, part: &Part, batch: &mut Batch) -> Result<bool, ArrowError> {
        let (Some(window), Some(disk)) = (part.cold, &self.disk) else { return Ok(true) };
        let open = || OnDisk { pieces: disk.scan(part.places.keys(window)), piece: None, row: 0 };
        let OnDisk { pieces, piece, row } = self.on_disk.get_or_insert_with(open);
        loop {
            let Some(Piece { keys, values }) = piece else {
                match pieces.next().transpose()? {
                    Some(next) => (*piece, *row) = (Some(next), 0),
                    None => return Ok(true),
                }
                continue;
            };
            while *row < keys.len() {
                if batch.is_full() {
                    return Ok(false);
                }
                let key = &keys.value(*row)[PREFIX_BYTES..];
                let is_above = |table: &Table| table.keys() > 0 && table.find(hash(key), key).is_some();
                if !is_above(&part.table) && !part.frozen.as_deref().is_some_and(is_above) {
                    batch.add(start, key, values.value(*row))?;
                }
                *row += 1;
            }
            *piece = None;
        }
    }
}

impl Iterator for Scan {
    type Item = Result<Scanned, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batch().transpose()
    }
}
