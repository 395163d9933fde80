//! Rows on their way through a query, each with its event time and the record it came from.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::compute::{filter, filter_record_batch};
use arrow::error::ArrowError;

/// Some rows of one partition, in the order of their records.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// The columns, whatever they are at this step.
    pub rows: RecordBatch,
    /// Event time of each row in ms since the epoch; never null.
    pub times_ms: Int64Array,
    /// Offset of the record that each row came from; never null.
    pub offsets: Int64Array,
    /// Headers of the record, where they go on to the output.
    pub headers: Option<ListArray>,
    /// Which rows come from a record with a value; `None` when all do. A row without one stays without one.
    pub valued: Option<NullBuffer>,
    /// Start and end of the window that each row's key carries, in ms, where it goes on to the output.
    pub windows: Option<[Int64Array; 2]>,
}

impl Chunk {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// True when there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same rows with other columns.
    pub fn with_rows(self, rows: RecordBatch) -> Self {
        debug_assert_eq!(rows.num_rows(), self.len(), "a projection keeps every row");
        Self { rows, ..self }
    }

    /// The rows for which `keep` is true. Fails only when the lengths differ.
    pub fn filter(self, keep: &BooleanArray) -> Result<Self, ArrowError> {
        if keep.true_count() == self.len() {
            return Ok(self);
        }
        let kept = |column: &dyn Array| filter(column, keep);
        let headers = self.headers.as_ref().map(|h| kept(h).map(|h: ArrayRef| h.as_list().clone())).transpose()?;
        let valued = self.valued.as_ref().map(|valued| kept(&BooleanArray::new(valued.inner().clone(), None)));
        let valued = valued.transpose()?.map(|valued| NullBuffer::new(valued.as_boolean().values().clone()));
        let window = |bound: &Int64Array| kept(bound).map(|bound| bound.as_primitive().clone());
        let windows = match &self.windows {
            Some([start, end]) => Some([window(start)?, window(end)?]),
            None => None,
        };
        Ok(Self {
            windows,
            rows: filter_record_batch(&self.rows, keep)?,
            times_ms: kept(&self.times_ms)?.as_primitive().clone(),
            offsets: kept(&self.offsets)?.as_primitive().clone(),
            headers,
            valued: valued.filter(|valued| valued.null_count() > 0),
        })
    }
}
