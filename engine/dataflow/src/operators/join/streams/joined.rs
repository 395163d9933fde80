//! The rows that a batch emits, in pieces of bounded size: a row can match many.

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use crate::chunk::Chunk;
use crate::operator::{Emitted, Pieces};
use crate::size::{PIECE_BYTES_MAX, column_bytes, piece};

/// Joined rows.
#[derive(Debug)]
pub struct Joined {
    /// The batch without its columns, for the addresses of its rows.
    chunk: Chunk,
    schema: SchemaRef,
    left: Half,
    right: Half,
    /// The row of the batch that caused each.
    causes: Vec<u32>,
    /// The event time of each.
    times_ms: Vec<i64>,
    /// The number of rows that were emitted.
    emitted: usize,
    bytes: usize,
}

/// The part of joined rows that comes from one input.
#[derive(Debug)]
pub struct Half {
    columns: Vec<ArrayRef>,
    /// The size of each row of `columns`.
    bytes: Vec<usize>,
    /// The row of `columns` in each joined row; `None` if there is none.
    rows: Vec<Option<u32>>,
}

impl Half {
    /// The rows of an input at some indices.
    pub fn new(columns: Vec<ArrayRef>, rows: Vec<Option<u32>>) -> Self {
        let mut bytes = vec![0; columns.first().map_or(0, |column| column.len())];
        for column in &columns {
            bytes.iter_mut().zip(column_bytes(column)).for_each(|(row, more)| *row += more);
        }
        Self { columns, bytes, rows }
    }

    /// The size of the part in a joined row.
    fn row_bytes(&self, row: usize) -> usize {
        self.rows[row].map_or(0, |at| self.bytes[at as usize])
    }

    fn take(&self, start: usize, count: usize) -> Result<Vec<ArrayRef>, ArrowError> {
        let rows = UInt32Array::from(self.rows[start..start + count].to_vec());
        self.columns.iter().map(|column| take(column, &rows, None)).collect()
    }
}

impl Joined {
    /// Rows of which each was caused by a row of `chunk`.
    pub fn new(
        chunk: Chunk,
        schema: SchemaRef,
        [left, right]: [Half; 2],
        causes: Vec<u32>,
        times_ms: Vec<i64>,
    ) -> Result<Self, ArrowError> {
        let rows = chunk.rows.project(&[])?;
        let chunk = Chunk { rows, valued: None, windows: None, before: None, ..chunk };
        let mut joined = Self { chunk, schema, left, right, causes, times_ms, emitted: 0, bytes: 0 };
        joined.bytes = (0..joined.causes.len()).map(|row| joined.row_bytes(row)).sum();
        Ok(joined)
    }

    /// The rows, at once if they are few.
    pub fn emit(mut self) -> Result<Emitted, ArrowError> {
        if self.bytes > PIECE_BYTES_MAX {
            return Ok(Emitted::Pieces(Box::new(self)));
        }
        Ok(self.next_piece()?.map_or(Emitted::Nothing, Emitted::Rows))
    }

    fn row_bytes(&self, row: usize) -> usize {
        self.left.row_bytes(row) + self.right.row_bytes(row)
    }
}

impl Pieces for Joined {
    fn next_piece(&mut self) -> Result<Option<Chunk>, ArrowError> {
        let (start, all) = (self.emitted, self.causes.len());
        if start == all {
            return Ok(None);
        }
        let count = piece((start..all).map(|row| self.row_bytes(row)), PIECE_BYTES_MAX);
        self.emitted += count;
        let mut columns = self.left.take(start, count)?;
        columns.extend(self.right.take(start, count)?);
        let chunk = self.chunk.clone().take(&UInt32Array::from(self.causes[start..start + count].to_vec()))?;
        let times_ms = self.times_ms[start..start + count].to_vec().into();
        Ok(Some(Chunk { rows: RecordBatch::try_new(self.schema.clone(), columns)?, times_ms, ..chunk }))
    }

    fn position(&mut self) -> Option<(i64, bool)> {
        let cause = *self.causes.get(self.emitted)?;
        let is_begun = self.emitted > 0 && self.causes[self.emitted - 1] == cause;
        Some((self.chunk.offsets.value(cause as usize), is_begun))
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}
