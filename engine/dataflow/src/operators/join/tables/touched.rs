//! The keys that changed in an epoch, each with the record that changed it last. A store has nothing for a key that was removed.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, BinaryArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;
use arrow::error::ArrowError;

use crate::chunk::{Chunk, Origins};
use crate::clocks::SourcePartition;

/// The keys that changed.
#[derive(Clone, Debug, Default)]
pub struct Touched {
    last: BTreeMap<Box<[u8]>, Touch>,
    /// The number of rows so far.
    rows: u64,
}

/// The row that changed a key last.
#[derive(Clone, Copy, Debug)]
struct Touch {
    /// Its number among the rows of the epoch.
    number: u64,
    time_ms: i64,
    offset: i64,
    /// The record of the query's input that it came from, if it is not that one itself.
    origin: Option<(SourcePartition, i64)>,
}

/// Keys in the order of the rows that changed them last, and those rows without columns.
pub struct InOrder {
    pub keys: BinaryArray,
    pub rows: Chunk,
}

impl Touched {
    /// Whether no key changed.
    pub fn is_empty(&self) -> bool {
        self.last.is_empty()
    }

    /// Remembers the rows of a chunk, each with the number of its key among `keys`.
    pub fn touch(&mut self, keys: &BinaryArray, numbers: &[u32], chunk: &Chunk) {
        let mut lasts = vec![0; keys.len()];
        numbers.iter().enumerate().for_each(|(row, number)| lasts[*number as usize] = row);
        for (number, row) in lasts.into_iter().enumerate() {
            let touch = Touch {
                number: self.rows + row as u64,
                time_ms: chunk.times_ms.value(row),
                offset: chunk.offsets.value(row),
                origin: chunk.origins.as_ref().map(|origins| (origins.source(row), origins.offsets.value(row))),
            };
            self.last.insert(keys.value(number).into(), touch);
        }
        self.rows += chunk.len() as u64;
    }

    /// All of them, in the order of the rows.
    pub fn in_order(&self) -> Result<InOrder, ArrowError> {
        let mut all: Vec<(&[u8], &Touch)> = self.last.iter().map(|(key, touch)| (&**key, touch)).collect();
        all.sort_by_key(|(_, touch)| touch.number);
        let origins: Option<Vec<(SourcePartition, i64)>> = all.iter().map(|(_, touch)| touch.origin).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(all.len()));
        let origins = origins.map(|origins| Origins {
            sources: origins.iter().map(|(source, _)| source.source).collect(),
            partitions: origins.iter().map(|(source, _)| source.partition).collect(),
            offsets: origins.iter().map(|(_, offset)| *offset).collect(),
        });
        let none = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)?;
        let times_ms = all.iter().map(|(_, touch)| touch.time_ms).collect();
        let offsets = all.iter().map(|(_, touch)| touch.offset).collect();
        let rows = Chunk { origins, ..Chunk::of_state(none, times_ms, offsets) };
        Ok(InOrder { keys: BinaryArray::from_iter_values(all.iter().map(|(key, _)| key)), rows })
    }
}
