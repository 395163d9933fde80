//! SELECT: each row becomes another one.

use std::sync::Arc;

use arrow::array::{AsArray, ListArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;

use super::chunk::Chunk;
use super::expression::{Expression, Failure};
use super::headers;

/// The operator.
#[derive(Clone, Debug)]
pub struct Project {
    columns: Vec<Expression>,
    headers: Option<Expression>,
    schema: SchemaRef,
}

impl Project {
    /// Makes the columns of these names, and with `headers`, a headers column, those of the record.
    pub fn new(columns: Vec<(String, Expression)>, headers: Option<Expression>) -> Self {
        let field = |(name, expr): &(String, Expression)| Field::new(name, expr.data_type().clone(), true);
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        Self { columns: columns.into_iter().map(|(_, expr)| expr).collect(), headers, schema }
    }

    /// The columns of the result; all may be null.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The same rows with the columns of the result.
    pub fn apply(&self, chunk: Chunk, failures: &mut Vec<Failure>) -> Result<Chunk, ArrowError> {
        let columns = self.columns.iter().map(|expr| expr.evaluate(&chunk.rows, failures)).collect();
        let headers = match &self.headers {
            Some(expr) => Some(headers_of(expr, &chunk, failures)?),
            None => None,
        };
        let options = RecordBatchOptions::new().with_row_count(Some(chunk.len()));
        let rows = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        let chunk = chunk.with_rows(rows);
        Ok(Chunk { headers: headers.or_else(|| chunk.headers.clone()), ..chunk })
    }
}

/// The headers that an expression gives; planning has checked that its type can be that.
fn headers_of(expr: &Expression, chunk: &Chunk, failures: &mut Vec<Failure>) -> Result<ListArray, ArrowError> {
    let values = expr.evaluate(&chunk.rows, failures);
    let lists = headers::from_value(&values).map_err(ArrowError::CastError)?;
    Ok(lists.as_list().clone())
}
