//! The answers for right rows, in pieces of bounded size: many left rows can refer to one right row.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BinaryArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;

use super::shape::{Answers, Shape};
use crate::chunk::Chunk;
use crate::operator::{Emitted, Pieces};
use crate::operators::join::foreign::take_all;
use crate::size::{PIECE_BYTES_MAX, piece};

/// The answers that are left.
#[derive(Debug)]
pub struct Fan {
    shape: Arc<Shape>,
    /// The right rows.
    chunk: Chunk,
    /// The right row of each answer.
    causes: Vec<u32>,
    /// The left key of each answer.
    left_keys: BinaryArray,
    /// The left row of each answer, as it is stored.
    left_rows: BinaryArray,
    /// The size of each right row in bytes.
    right_bytes: Vec<usize>,
    /// The number of answers that were emitted.
    emitted: usize,
}

impl Fan {
    /// Answers for the left rows with these keys and stored values, each caused by a row of `chunk`.
    pub fn new(
        shape: Arc<Shape>,
        chunk: Chunk,
        causes: Vec<u32>,
        left_keys: BinaryArray,
        left_rows: BinaryArray,
    ) -> Result<Self, ArrowError> {
        if left_rows.null_count() > 0 {
            return Err(ArrowError::ComputeError("the index of a join has a row that is not in the state".to_owned()));
        }
        let right_bytes = chunk.row_bytes();
        Ok(Self { shape, chunk, causes, left_keys, left_rows, right_bytes, emitted: 0 })
    }

    /// The answers, at once if they are few.
    pub fn emit(mut self) -> Result<Emitted, ArrowError> {
        if self.bytes() > PIECE_BYTES_MAX {
            return Ok(Emitted::Pieces(Box::new(self)));
        }
        Ok(self.next_piece()?.map_or(Emitted::Nothing, Emitted::Rows))
    }

    fn answer_bytes(&self, at: usize) -> usize {
        let left = self.left_keys.value(at).len() + self.left_rows.value(at).len();
        left + self.right_bytes[self.causes[at] as usize]
    }
}

impl Pieces for Fan {
    fn next_piece(&mut self) -> Result<Option<Chunk>, ArrowError> {
        let (start, all) = (self.emitted, self.causes.len());
        if start == all {
            return Ok(None);
        }
        let count = piece((start..all).map(|at| self.answer_bytes(at)), PIECE_BYTES_MAX);
        self.emitted += count;
        let causes = UInt32Array::from(self.causes[start..start + count].to_vec());
        let foreign_key = take(self.chunk.rows.column(self.shape.right_key), &causes, None)?;
        let (keys, rows) = (self.left_keys.slice(start, count), self.left_rows.slice(start, count));
        let (left, versions, left_times) = self.shape.left_stored(&keys, &rows, foreign_key)?;
        let has_right = |row: &u32| self.chunk.valued.as_ref().is_none_or(|valued| valued.is_valid(*row as usize));
        let matched: UInt32Array = causes.values().iter().map(|row| has_right(row).then_some(*row)).collect();
        let right = take_all(self.chunk.rows.columns(), &matched)?;
        let right_times = take(&self.chunk.times_ms, &causes, None)?;
        let times = left_times.iter().zip(right_times.as_primitive::<Int64Type>()).map(|(left, right)| left.max(right));
        let times_ms = times.map(|time| time.unwrap_or_default()).collect();
        let keeps = self.shape.keeps_unmatched;
        let has_row = causes.values().iter().map(|row| Some(keeps || has_right(row))).collect();
        let answers = Answers { left, right, versions, times_ms, has_row };
        self.shape.chunk(&self.chunk, answers, &causes).map(Some)
    }

    fn position(&mut self) -> Option<(i64, bool)> {
        let cause = *self.causes.get(self.emitted)?;
        let is_begun = self.emitted > 0 && self.causes[self.emitted - 1] == cause;
        Some((self.chunk.offsets.value(cause as usize), is_begun))
    }

    fn bytes(&self) -> usize {
        (0..self.causes.len()).map(|at| self.answer_bytes(at)).sum()
    }
}
