//! A scan of a snapshot, in batches.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{BinaryArray, Int64Array};
use arrow::error::ArrowError;

use super::bytes::BytesBuilder;
use super::table::Table;
use super::window::Window;

/// Bytes of keys and values after which a batch ends.
const BATCH_BYTES: usize = 8 << 20;

/// The keys of a snapshot that are left to be read. It keeps what is left in memory, and releases what it has passed.
#[derive(Debug)]
pub struct Scan {
    windows: VecDeque<(i64, Arc<Window>)>,
    /// The rest of the window that was begun: its start and its tables.
    tables: VecDeque<(i64, Arc<Table>)>,
    /// The next place in the first table.
    place: u32,
    rows: usize,
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

impl Scan {
    pub(crate) fn new(windows: VecDeque<(i64, Arc<Window>)>, rows: usize) -> Self {
        Self { windows, tables: VecDeque::new(), place: 0, rows: rows.max(1) }
    }

    /// The table to be read next, with the start of its window.
    fn table(&mut self) -> Option<(i64, Arc<Table>)> {
        while self.tables.is_empty() {
            let (start, window) = self.windows.pop_front()?;
            self.tables.extend(window.tables().map(|table| (start, table.clone())));
        }
        self.tables.front().cloned()
    }

    /// The next keys; `None` if there are none. Fails only if a single key and its value exceed 2 GiB.
    fn batch(&mut self) -> Result<Option<Scanned>, ArrowError> {
        let (mut windows, mut keys, mut values) = (Vec::new(), BytesBuilder::new(0, 0), BytesBuilder::new(0, 0));
        let mut bytes = 0;
        while windows.len() < self.rows && bytes < BATCH_BYTES {
            let Some((start, table)) = self.table() else { break };
            while self.place < table.places() && windows.len() < self.rows && bytes < BATCH_BYTES {
                let at = self.place;
                self.place += 1;
                let Some(value) = table.value(at) else { continue };
                bytes += table.key(at).len() + value.len();
                windows.push(start);
                keys.push(Some(table.key(at)))?;
                values.push(Some(value))?;
            }
            if self.place == table.places() {
                self.place = 0;
                self.tables.pop_front();
            }
        }
        let (windows, keys, values) = (Int64Array::from(windows), keys.finish(), values.finish());
        Ok((!windows.is_empty()).then_some(Scanned { windows, keys, values }))
    }
}

impl Iterator for Scan {
    type Item = Result<Scanned, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batch().transpose()
    }
}
