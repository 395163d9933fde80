//! Table functions: each row becomes as many as the longest of its arrays has elements.
//!
//! The arrays are zipped by position, the shorter ones filled up with NULL. A row whose arrays are all
//! NULL or empty goes. Semantics: ksqlDB's. What comes out may be far larger than what went in, so it comes in pieces.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use headwater_expression::Expression;

use crate::chunk::Chunk;
use crate::operator::{Context, Emitted, Operator, Pieces, Port};
use crate::size::{PIECE_BYTES_MAX, column_bytes, sum};

/// The operator.
#[derive(Clone, Debug)]
pub struct Explode {
    arrays: Vec<Expression>,
    /// Columns of the input that a later step reads, by index; only these are repeated.
    kept: Vec<usize>,
    schema: SchemaRef,
}

/// Rows that are on their way through the operator.
#[derive(Debug)]
struct Exploding {
    /// The rows that went in, with the columns that are kept.
    chunk: Chunk,
    arrays: Vec<ArrayRef>,
    schema: SchemaRef,
    /// How many rows each becomes.
    lengths: Vec<u32>,
    /// Bytes that each of a row's results has, roughly.
    bytes: Vec<usize>,
    /// The row that is next, and its element.
    row: usize,
    element: u32,
}

impl Explode {
    /// Adds to the columns of `input` that `is_kept` names one for the elements of each array. Nothing when an expression
    /// is no array.
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

    /// The columns of the rows that come out.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}

impl Operator for Explode {
    /// The results of the rows: each as often as its longest array is long.
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

    /// Those of the arrays.
    fn bytes(&self) -> usize {
        self.arrays.iter().map(sum).sum()
    }
}

impl Exploding {
    /// Goes on to the next row that has results left.
    fn skip(&mut self) {
        while self.row < self.lengths.len() && self.element >= self.lengths[self.row] {
            (self.row, self.element) = (self.row + 1, 0);
        }
    }

    /// The results that are one piece: those of whole rows, so that a commit can be made between two pieces, unless a
    /// row alone has too many.
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

/// Some results of one row: those of the elements from `start` to before `end`.
struct Run {
    row: usize,
    start: u32,
    end: u32,
}

impl Run {
    fn count(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Where the elements are among the values of a list; those beyond its end are NULL.
    fn elements(&self, list: &ListArray) -> impl Iterator<Item = Option<u32>> {
        let (first, there) = (list.value_offsets()[self.row] as u32, length(list, self.row));
        (self.start..self.end).map(move |at| (at < there).then_some(first + at))
    }
}

fn length(list: &ListArray, row: usize) -> u32 {
    if list.is_null(row) { 0 } else { list.value_length(row) as u32 }
}
