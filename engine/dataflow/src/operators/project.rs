//! SELECT: each row becomes another one.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, ListArray, RecordBatch, RecordBatchOptions};
use arrow::compute::nullif;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use headwater_expression::Expression;

use crate::chunk::Chunk;
use crate::operator::{Context, Emitted, Operator, Port};

/// The operator.
#[derive(Clone, Debug)]
pub struct Project {
    columns: Vec<Column>,
    headers: Option<Expression>,
    schema: SchemaRef,
}

/// A column of the result.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it is made of.
    pub expr: Expression,
    /// It is null in the row of a record without a value, whatever the expression makes of nothing.
    pub needs_value: bool,
}

impl Project {
    /// Makes these columns, and with `headers`, a headers column, those of the record.
    pub fn new(columns: Vec<Column>, headers: Option<Expression>) -> Self {
        let field = |column: &Column| Field::new(&column.name, column.expr.data_type().clone(), true);
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        Self { columns, headers, schema }
    }

    /// The columns of the result; all may be null.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}

impl Operator for Project {
    /// The same rows with the columns of the result.
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

/// The headers that an expression gives; planning has checked that its type can be that.
fn headers_of(expr: &Expression, chunk: &Chunk, cx: &mut Context<'_>) -> Result<ListArray, ArrowError> {
    let values = expr.evaluate(&chunk.rows, cx.now_ms, cx.failures);
    let lists = headwater_expression::headers_of(&values).map_err(ArrowError::CastError)?;
    Ok(lists.as_list().clone())
}
