//! Rows on their way through a query, each with its event time and the offset of its record.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int32Array, Int64Array, ListArray, RecordBatch, RecordBatchOptions,
    UInt32Array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{filter, take};
use arrow::error::ArrowError;

use super::clocks::SourcePartition;
use super::size::{bytes_of, column_bytes, row_bytes, sum};

/// Rows of one partition, in the order of their records.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// The columns at this step of the query.
    pub rows: RecordBatch,
    /// The event time of each row in ms since the epoch; never null.
    pub times_ms: Int64Array,
    /// The offset of the record that each row comes from; never null.
    pub offsets: Int64Array,
    /// The headers of each record, if they are written to the output.
    pub headers: Option<ListArray>,
    /// Which rows come from a record with a value; `None` if all do. This does not change as a row is processed.
    pub valued: Option<NullBuffer>,
    /// Start and end of the window in each row's key, in ms, if it is written to the output.
    pub windows: Option<[Int64Array; 2]>,
    /// The rows of a table before they changed, if a later operator needs them.
    pub before: Option<Before>,
    /// The records of the query's input that the rows came from, if `offsets` are those of an exchange.
    pub origins: Option<Origins>,
    /// The stream time of each row's source partition at that row, in ms since the epoch, if the rows came through an exchange;
    /// never null.
    pub clocks_ms: Option<Int64Array>,
}

/// The rows of a table before they changed.
#[derive(Clone, Debug)]
pub struct Before {
    /// The columns, as those of [`Chunk::rows`].
    pub rows: RecordBatch,
    /// Which keys had a row; `None` when all had one.
    pub valued: Option<NullBuffer>,
}

/// The addresses of records of the query's input, one for each row; never null.
#[derive(Clone, Debug)]
pub struct Origins {
    /// The index of the source among those of the topology.
    pub sources: Int32Array,
    /// The partition of its topic.
    pub partitions: Int32Array,
    /// The offset in it.
    pub offsets: Int64Array,
}

impl Chunk {
    /// Rows as they are in a state.
    pub fn of_state(rows: RecordBatch, times_ms: Int64Array, offsets: Int64Array) -> Self {
        let (headers, valued, windows, before, origins, clocks_ms) = (None, None, None, None, None, None);
        Self { rows, times_ms, offsets, headers, valued, windows, before, origins, clocks_ms }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// The size of all rows in bytes, including headers, which every row made from a row inherits.
    pub fn bytes(&self) -> usize {
        let headers = self.headers.as_ref().map_or(0, |headers| sum(&(Arc::new(headers.clone()) as ArrayRef)));
        bytes_of(&self.rows) + headers
    }

    /// The size of each row in bytes, including headers.
    pub fn row_bytes(&self) -> Vec<usize> {
        let mut bytes = row_bytes(&self.rows);
        if let Some(headers) = &self.headers {
            let headers = column_bytes(&(Arc::new(headers.clone()) as ArrayRef));
            bytes.iter_mut().zip(headers).for_each(|(row, headers)| *row += headers);
        }
        bytes
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same rows with different columns.
    pub fn with_rows(self, rows: RecordBatch) -> Self {
        debug_assert_eq!(rows.num_rows(), self.len(), "a projection keeps every row");
        Self { rows, ..self }
    }

    /// The rows for which `keep` is true. Fails only if the lengths differ.
    pub fn filter(self, keep: &BooleanArray) -> Result<Self, ArrowError> {
        if keep.true_count() == self.len() {
            return Ok(self);
        }
        self.with_each(|column| filter(column, keep))
    }

    /// The rows at the given positions, in that order; a row may occur several times. Fails only if a position is out
    /// of range.
    pub fn take(self, rows: &UInt32Array) -> Result<Self, ArrowError> {
        self.with_each(|column| take(column, rows, None))
    }

    /// A range of consecutive rows.
    pub fn slice(&self, start: usize, length: usize) -> Self {
        Self {
            rows: self.rows.slice(start, length),
            times_ms: self.times_ms.slice(start, length),
            offsets: self.offsets.slice(start, length),
            headers: self.headers.as_ref().map(|headers| headers.slice(start, length)),
            valued: self.valued.as_ref().map(|valued| valued.slice(start, length)),
            windows: self.windows.as_ref().map(|windows| windows.each_ref().map(|times| times.slice(start, length))),
            before: self.before.as_ref().map(|before| before.slice(start, length)),
            origins: self.origins.as_ref().map(|origins| origins.slice(start, length)),
            clocks_ms: self.clocks_ms.as_ref().map(|clocks| clocks.slice(start, length)),
        }
    }

    /// Applies `change` to every column; all results must have the same length.
    fn with_each(self, change: impl Fn(&dyn Array) -> Result<ArrayRef, ArrowError>) -> Result<Self, ArrowError> {
        let integers = |column: &Int64Array| change(column).map(|changed| changed.as_primitive().clone());
        let times_ms = integers(&self.times_ms)?;
        let headers = self.headers.as_ref().map(|headers| change(headers)).transpose()?;
        let windows = self.windows.map(|[start, end]| Ok::<_, ArrowError>([integers(&start)?, integers(&end)?]));
        let before = self.before.map(|before| {
            let rows = changed(&before.rows, times_ms.len(), &change)?;
            Ok::<_, ArrowError>(Before { rows, valued: marks(before.valued, &change)? })
        });
        let origins = self.origins.map(|Origins { sources, partitions, offsets }| {
            let [sources, partitions] = [sources, partitions].map(|column| change(&column));
            let (sources, partitions) = (sources?.as_primitive().clone(), partitions?.as_primitive().clone());
            Ok::<_, ArrowError>(Origins { sources, partitions, offsets: integers(&offsets)? })
        });
        let clocks_ms = self.clocks_ms.as_ref().map(integers);
        Ok(Self {
            rows: changed(&self.rows, times_ms.len(), &change)?,
            offsets: integers(&self.offsets)?,
            headers: headers.map(|headers| headers.as_list().clone()),
            valued: marks(self.valued, &change)?,
            windows: windows.transpose()?,
            before: before.transpose()?,
            origins: origins.transpose()?,
            clocks_ms: clocks_ms.transpose()?,
            times_ms,
        })
    }
}

impl Before {
    fn slice(&self, start: usize, length: usize) -> Self {
        let valued = self.valued.as_ref().map(|valued| valued.slice(start, length));
        Self { rows: self.rows.slice(start, length), valued }
    }
}

impl Origins {
    /// Those of rows that are records of a source partition themselves.
    pub fn own(source: SourcePartition, offsets: &Int64Array) -> Self {
        let [sources, partitions] = [source.source, source.partition].map(|number| vec![number; offsets.len()].into());
        Self { sources, partitions, offsets: offsets.clone() }
    }

    /// The source partition of a row.
    pub fn source(&self, row: usize) -> SourcePartition {
        SourcePartition { source: self.sources.value(row), partition: self.partitions.value(row) }
    }

    fn slice(&self, start: usize, length: usize) -> Self {
        let [sources, partitions] = [&self.sources, &self.partitions].map(|column| column.slice(start, length));
        Self { sources, partitions, offsets: self.offsets.slice(start, length) }
    }
}

/// Applies `change` to each column of some rows, which yields `len` rows.
fn changed(
    rows: &RecordBatch,
    len: usize,
    change: impl Fn(&dyn Array) -> Result<ArrayRef, ArrowError>,
) -> Result<RecordBatch, ArrowError> {
    let columns = rows.columns().iter().map(|column| change(column)).collect::<Result<_, _>>()?;
    RecordBatch::try_new_with_options(rows.schema(), columns, &RecordBatchOptions::new().with_row_count(Some(len)))
}

/// Applies `change` to the marks of some rows; `None` if all rows that result are marked.
fn marks(
    valued: Option<NullBuffer>,
    change: impl Fn(&dyn Array) -> Result<ArrayRef, ArrowError>,
) -> Result<Option<NullBuffer>, ArrowError> {
    let Some(valued) = valued else { return Ok(None) };
    let kept = change(&BooleanArray::new(valued.into_inner(), None))?;
    Ok(Some(NullBuffer::new(kept.as_boolean().values().clone())).filter(|valued| valued.null_count() > 0))
}
