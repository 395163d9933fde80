//! Table functions: each row becomes as many rows as its longest array has elements.
//!
//! The arrays are combined by position; shorter ones are padded with NULL. A row whose arrays are all NULL or empty is
//! dropped. Semantics: ksqlDB's. The output may be far larger than the input, so it is produced in pieces.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use headwater_expression::Expression;

use crate::chunk::Chunk;
use crate::operator::{Context, Emitted, Operator, Pieces, Port};
use crate::size::{PIECE_BYTES_MAX, column_bytes, sum};

/// The operator for table functions.
#[derive(Clone, Debug)]
pub struct Explode {
    arrays: Vec<Expression>,
    /// The indices of the input columns that a later step reads; only these are repeated.
    kept: Vec<usize>,
    schema: SchemaRef,
}

/// The rows that the operator is working on.
#[derive(Debug)]
struct Exploding {
    /// The input rows, with the columns that are kept.
    chunk: Chunk,
    arrays: Vec<ArrayRef>,
    schema: SchemaRef,
    /// The number of rows that each input row becomes.
    lengths: Vec<u32>,
    /// The approximate size in bytes of each output row of an input row.
    bytes: Vec<usize>,
    /// The next input row, and the next element in it.
    row: usize,
    element: u32,
}

impl Explode {
    /// Adds one column with the elements of each array to the columns of `input` that `is_kept` selects. Returns `None`
    /// if an expression is not an array.
    pub fn new(arrays: Vec<(String, Expression)>, input: &SchemaRef, is_kept: impl Fn(&str) -> bool) -> Option<Self> {
        let kept: Vec<usize> = (0..input.fields().len()).filter(|at| is_kept(input.field(*at).name())).collect();
        let mut fields: Vec<Arc<Field>> = kept.iter().map(|at| input.fields()[*at].clone()).collect();
        for (name, array) in &arrays {
            let DataType::List(item) = array.data_type() else { return None };
            fields.push(Arc::new(Field::new(name, item.data_type().clone(), true)));
        }
        let arrays = arrays.into_iter().map(|(_, array)| array).collect();
        Some(Self { arrays, kept, schema: Arc::new(Schema::new(fields)) })
    }

    /// The columns of the output rows.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}

impl Operator for Explode {
    /// Repeats each row as often as its longest array has elements.
    fn push(&mut self, _: Port, chunk: Chunk, cx: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        let arrays: Vec<ArrayRef> =
            self.arrays.iter().map(|array| array.evaluate(&chunk.rows, cx.now_ms, cx.failures)).collect();
        let lists: Vec<&ListArray> = arrays.iter().map(|array| array.as_list::<i32>()).collect();
        let longest = |row: usize| lists.iter().map(|list| length(list, row)).max().unwrap_or(0);
        let lengths: Vec<u32> = (0..chunk.len()).map(longest).collect();
        let rows = chunk.rows.project(&self.kept)?;
        let chunk = chunk.with_rows(rows);
        let mut bytes = chunk.row_bytes();
        for array in &arrays {
            let elements = column_bytes(array).into_iter().zip(&lengths);
            bytes.iter_mut().zip(elements).for_each(|(row, (bytes, length))| *row += bytes / (*length).max(1) as usize);
        }
        let schema = self.schema.clone();
        Ok(Emitted::Pieces(Box::new(Exploding { chunk, arrays, schema, lengths, bytes, row: 0, element: 0 })))
    }

    fn grows(&self) -> bool {
        true
    }

    fn fresh(&self) -> Box<dyn Operator> {
        Box::new(self.clone())
    }
}

impl Pieces for Exploding {
    fn next_piece(&mut self) -> Result<Option<Chunk>, ArrowError> {
        self.skip();
        let runs = self.runs();
        let rows: UInt32Array = runs.iter().flat_map(|run| std::iter::repeat_n(run.row as u32, run.count())).collect();
        if rows.is_empty() {
            return Ok(None);
        }
        let chunk = self.chunk.clone().take(&rows)?;
        let mut columns = chunk.rows.columns().to_vec();
        for array in &self.arrays {
            let list = array.as_list::<i32>();
            let elements: UInt32Array = runs.iter().flat_map(|run| run.elements(list)).collect();
            columns.push(take(list.values(), &elements, None)?);
        }
        if let Some(last) = runs.last() {
            (self.row, self.element) = (last.row, last.end);
        }
        let rows = RecordBatch::try_new(self.schema.clone(), columns)?;
        Ok(Some(chunk.with_rows(rows)))
    }

    fn position(&mut self) -> Option<(i64, bool)> {
        self.skip();
        (self.row < self.lengths.len()).then(|| (self.chunk.offsets.value(self.row), self.element > 0))
    }

    /// The size of the arrays in bytes.
    fn bytes(&self) -> usize {
        self.arrays.iter().map(sum).sum()
    }
}

impl Exploding {
    /// Moves to the next row that has elements left.
    fn skip(&mut self) {
        while self.row < self.lengths.len() && self.element >= self.lengths[self.row] {
            (self.row, self.element) = (self.row + 1, 0);
        }
    }

    /// The output rows of the next piece: those of whole input rows, so that a commit can happen between two pieces,
    /// unless a single row has too many.
    fn runs(&self) -> Vec<Run> {
        let (mut runs, mut left, mut start) = (Vec::new(), PIECE_BYTES_MAX, self.element);
        for row in self.row..self.lengths.len() {
            let fits = u32::try_from(left / self.bytes[row].max(1)).unwrap_or(u32::MAX);
            let wanted = self.lengths[row] - start.min(self.lengths[row]);
            if wanted > fits && !runs.is_empty() {
                break;
            }
            let end = start + wanted.min(fits.max(1));
            if end > start {
                runs.push(Run { row, start, end });
            }
            if end < self.lengths[row] {
                break;
            }
            left = left.saturating_sub(self.bytes[row].saturating_mul((end - start) as usize));
            start = 0;
        }
        runs
    }
}

/// Some output rows of one input row: those for the elements from `start` to before `end`.
struct Run {
    row: usize,
    start: u32,
    end: u32,
}

impl Run {
    fn count(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// The indices of the elements among the values of a list; elements beyond the end of the list are NULL.
    fn elements(&self, list: &ListArray) -> impl Iterator<Item = Option<u32>> {
        let (first, there) = (list.value_offsets()[self.row] as u32, length(list, self.row));
        (self.start..self.end).map(move |at| (at < there).then_some(first + at))
    }
}

fn length(list: &ListArray, row: usize) -> u32 {
    if list.is_null(row) { 0 } else { list.value_length(row) as u32 }
}
