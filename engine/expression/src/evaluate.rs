//! An expression over batches of rows, evaluated a batch at a time, and row by row only to find the rows that fail.
//!
//! An expression that fails for a row is NULL there, and the row's failure is reported; the other
//! rows do not notice. Semantics: ksqlDB's error handling.

use std::cell::Cell;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::PhysicalExpr;

use headwater_functions::clock;

use crate::dialect::{self, Inside, within};
use crate::errors::reason;

/// A row for which an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Index of the row in its chunk.
    pub row: usize,
    /// The expression, as it was written.
    pub expr: String,
    /// Why, in words for a user.
    pub reason: String,
}

/// An expression that is ready to be evaluated.
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
    physical: Arc<dyn PhysicalExpr>,
    /// The type its values are brought to.
    data_type: DataType,
    /// What failed of it that is the same for every row, and was computed when it was compiled.
    constant: Inside,
}

impl Expression {
    pub(super) fn new(text: &str, physical: Arc<dyn PhysicalExpr>, data_type: DataType, constant: Inside) -> Self {
        Self { text: text.to_owned(), physical, data_type, constant }
    }

    /// Its value for every row; NULL for those it fails on, which are added to `failures`. `now_ms` is what functions give
    /// that give the time, in ms since the epoch.
    pub fn evaluate(&self, rows: &RecordBatch, now_ms: i64, failures: &mut Vec<Failure>) -> ArrayRef {
        clock::at(now_ms, || self.values(rows, failures))
    }

    fn values(&self, rows: &RecordBatch, failures: &mut Vec<Failure>) -> ArrayRef {
        let mut failed = |row, error: &DataFusionError| failures.push(self.failure(row, reason(error)));
        let some_inside = Cell::new(self.constant.count > 0);
        let whole = |rows: &RecordBatch| {
            let (values, inside) = within(|| self.whole(rows));
            some_inside.set(some_inside.get() || inside.count > 0);
            values
        };
        let values = dialect::by_halves(rows, &self.data_type, &whole, &mut failed);
        if some_inside.get() {
            self.find_inside(rows, 0, failures);
        }
        values.expect("every part is cast to one type")
    }

    /// Adds the rows for which a part of the expression failed, as an argument of a function, which is NULL to it. `first` is
    /// the index of the first of `rows`.
    fn find_inside(&self, rows: &RecordBatch, first: usize, failures: &mut Vec<Failure>) {
        let (values, mut inside) = within(|| self.whole(rows));
        inside.count += self.constant.count;
        match rows.num_rows() {
            0 => {}
            _ if values.is_ok() && inside.count == 0 => {}
            // Where all of it fails it was told.
            1 if values.is_err() => {}
            1 => {
                let why = self.constant.first.clone().or(inside.first);
                failures.extend(why.map(|why| self.failure(first, why)));
            }
            several => {
                let middle = several / 2;
                self.find_inside(&rows.slice(0, middle), first, failures);
                self.find_inside(&rows.slice(middle, several - middle), first + middle, failures);
            }
        }
    }

    fn failure(&self, row: usize, reason: String) -> Failure {
        Failure { row, expr: self.text.clone(), reason }
    }

    /// The same with values of another type, to which they can be cast.
    pub fn into_type(self, data_type: DataType) -> Self {
        Self { data_type, ..self }
    }

    /// The type of its values.
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    fn whole(&self, rows: &RecordBatch) -> Result<ArrayRef, DataFusionError> {
        let values = self.physical.evaluate(rows)?.into_array(rows.num_rows())?;
        match values.data_type() == &self.data_type {
            true => Ok(values),
            false => Ok(cast(&values, &self.data_type)?),
        }
    }
}
