//! SELECT: computes the columns of the result for each row.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, ListArray, RecordBatch, RecordBatchOptions};
use arrow::compute::nullif;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use headwater_expression::Expression;

use crate::chunk::Chunk;
use crate::operator::{Context, Emitted, Operator, Port};

/// The operator for SELECT.
#[derive(Clone, Debug)]
pub struct Project {
    columns: Vec<Column>,
    headers: Option<Expression>,
    schema: SchemaRef,
}

/// A column of the result.
#[derive(Clone, Debug)]
pub struct Column {
    /// The name of the column.
    pub name: String,
    /// The expression that computes the column.
    pub expr: Expression,
    /// Whether the column is null for a record without a value, whatever the expression returns.
    pub needs_value: bool,
}

impl Project {
    /// Creates the operator for these columns. If `headers` is given, the expression replaces the headers of the
    /// records.
    pub fn new(columns: Vec<Column>, headers: Option<Expression>) -> Self {
        let field = |column: &Column| Field::new(&column.name, column.expr.data_type().clone(), true);
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        Self { columns, headers, schema }
    }

    /// The columns of the result, all nullable.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}

impl Operator for Project {
    /// Replaces the columns of the rows with those of the result.
    fn push(&mut self, _: Port, chunk: Chunk, cx: &mut Context<'_>) -> Result<Emitted, ArrowError> {
        let valueless = chunk.valued.as_ref().map(|valued| BooleanArray::new(!valued.inner(), None));
        let column = |column: &Column, cx: &mut Context<'_>| {
            let values = column.expr.evaluate(&chunk.rows, cx.now_ms, cx.failures);
            match &valueless {
                Some(valueless) if column.needs_value => nullif(&values, valueless),
                _ => Ok(values),
            }
        };
        let columns = self.columns.iter().map(|c| column(c, cx)).collect::<Result<Vec<ArrayRef>, ArrowError>>()?;
        let headers = match &self.headers {
            Some(expr) => Some(headers_of(expr, &chunk, cx)?),
            None => None,
        };
        let options = RecordBatchOptions::new().with_row_count(Some(chunk.len()));
        let rows = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        let chunk = chunk.with_rows(rows);
        Ok(Emitted::from(Chunk { headers: headers.or_else(|| chunk.headers.clone()), ..chunk }))
    }

    fn grows(&self) -> bool {
        true
    }

    fn fresh(&self) -> Box<dyn Operator> {
        Box::new(self.clone())
    }
}

/// The headers that an expression returns; its type was checked during planning.
fn headers_of(expr: &Expression, chunk: &Chunk, cx: &mut Context<'_>) -> Result<ListArray, ArrowError> {
    let values = expr.evaluate(&chunk.rows, cx.now_ms, cx.failures);
    let lists = headwater_expression::headers_of(&values).map_err(ArrowError::CastError)?;
    Ok(lists.as_list().clone())
}
