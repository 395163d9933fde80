//! Table functions: each row becomes as many as the longest of its arrays has elements.
//!
//! The arrays are zipped by position, the shorter ones filled up with NULL. A row whose arrays are all
//! NULL or empty goes. Semantics: ksqlDB's.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;

use super::chunk::Chunk;
use super::expression::{Expression, Failure};

/// The operator.
#[derive(Clone, Debug)]
pub struct Explode {
    arrays: Vec<Expression>,
    schema: SchemaRef,
}

impl Explode {
    /// Adds to the columns of `input` one for the elements of each array. Nothing when an expression is
    /// no array.
    pub fn new(arrays: Vec<(String, Expression)>, input: &SchemaRef) -> Option<Self> {
        let mut fields: Vec<Arc<Field>> = input.fields().iter().cloned().collect();
        for (name, array) in &arrays {
            let DataType::List(item) = array.data_type() else { return None };
            fields.push(Arc::new(Field::new(name, item.data_type().clone(), true)));
        }
        let arrays = arrays.into_iter().map(|(_, array)| array).collect();
        Some(Self { arrays, schema: Arc::new(Schema::new(fields)) })
    }

    /// The columns of the rows that come out.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows, each as often as its longest array is long.
    pub fn apply(&self, chunk: Chunk, failures: &mut Vec<Failure>) -> Result<Chunk, ArrowError> {
        let arrays: Vec<ArrayRef> = self.arrays.iter().map(|array| array.evaluate(&chunk.rows, failures)).collect();
        let lists: Vec<&ListArray> = arrays.iter().map(|array| array.as_list::<i32>()).collect();
        let length = |list: &ListArray, row: usize| if list.is_null(row) { 0 } else { list.value_length(row) as u32 };
        let lengths: Vec<u32> =
            (0..chunk.len()).map(|row| lists.iter().map(|list| length(list, row)).max().unwrap_or(0)).collect();
        let repeated = |(row, length): (usize, &u32)| std::iter::repeat_n(row as u32, *length as usize);
        let rows: UInt32Array = lengths.iter().enumerate().flat_map(repeated).collect::<Vec<u32>>().into();
        let chunk = chunk.take(&rows)?;
        let mut columns = chunk.rows.columns().to_vec();
        for list in lists {
            let element = |row: usize| {
                let (start, there) = (list.value_offsets()[row] as u32, length(list, row));
                (0..lengths[row]).map(move |at| (at < there).then_some(start + at))
            };
            let places: UInt32Array = (0..lengths.len()).flat_map(element).collect();
            columns.push(take(list.values(), &places, None)?);
        }
        let rows = RecordBatch::try_new(self.schema.clone(), columns)?;
        Ok(chunk.with_rows(rows))
    }
}
