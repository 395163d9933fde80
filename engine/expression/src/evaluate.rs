//! Evaluates an expression over batches of rows: a whole batch at a time, and row by row only to find rows that fail.
//!
//! An expression that fails for a row is NULL for that row, and the failure is reported; other rows are not affected.
//! Semantics: ksqlDB's error handling.

use std::cell::Cell;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNode;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::Volatility;
use datafusion::physical_expr::ScalarFunctionExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::PhysicalExpr;

use headwater_functions::clock;

use crate::dialect::{self, InnerFailures, within};
use crate::errors::reason;

/// A row for which an expression could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Index of the row in its chunk.
    pub row: usize,
    /// The text of the expression.
    pub expr: String,
    /// The reason, in words for a user.
    pub reason: String,
}

/// A compiled expression, ready to be evaluated.
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
    physical: Arc<dyn PhysicalExpr>,
    /// The type that its values are converted to.
    data_type: DataType,
    /// Failures inside the expression that are the same for every row, found when it was compiled.
    constant: InnerFailures,
}

impl Expression {
    pub(super) fn new(
        text: &str,
        physical: Arc<dyn PhysicalExpr>,
        data_type: DataType,
        constant: InnerFailures,
    ) -> Self {
        Self { text: text.to_owned(), physical, data_type, constant }
    }

    /// Whether it always returns the same value for the same row. Other expressions depend on the time, or on chance.
    pub fn is_immutable(&self) -> bool {
        let depends = self.physical.exists(|node| {
            let function = node.downcast_ref::<ScalarFunctionExpr>();
            Ok(function.is_some_and(|call| call.fun().signature().volatility != Volatility::Immutable))
        });
        !depends.unwrap_or(true)
    }

    /// The expression as SQL.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is a column, without a conversion.
    pub fn is_column(&self) -> bool {
        self.physical.downcast_ref::<Column>().is_some()
    }

    /// Evaluates the expression for every row. Rows that fail are NULL and are added to `failures`. `now_ms` is the
    /// current time for functions such as NOW(), in ms since the epoch.
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
        values.expect("every part is cast to the same type")
    }

    /// Adds the rows for which an inner part of the expression failed, such as a function's argument, which is then
    /// NULL. `first` is the index of the first of `rows`.
    fn find_inside(&self, rows: &RecordBatch, first: usize, failures: &mut Vec<Failure>) {
        let (values, mut inside) = within(|| self.whole(rows));
        inside.count += self.constant.count;
        match rows.num_rows() {
            0 => {}
            _ if values.is_ok() && inside.count == 0 => {}
            // The expression failed as a whole, which has been reported already.
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

    /// The same expression with its values converted to another type, to which they can be cast.
    pub fn into_type(self, data_type: DataType) -> Self {
        Self { data_type, ..self }
    }

    /// The type of the expression's values.
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
