//! Evaluation of constant expressions, such as those in INSERT VALUES.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;
use chrono::{DateTime, Utc};
use datafusion::common::DFSchema;
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::simplify::SimplifyContext;
use headwater_language::diagnostic::{Diagnostic, INSERT, Span, UNKNOWN_COLUMN};
use headwater_language::sql::ast;
use sqlparser::ast::ExprWithAlias;

use super::rewrite::rewrite_expr;
use crate::dialect;
use crate::errors::diagnose;

/// Evaluates constant expressions.
pub struct Evaluator {
    state: SessionState,
}

impl Evaluator {
    /// Creates an evaluator with the functions that `state` knows. `now` is the value of NOW().
    pub fn new(mut state: SessionState, now: DateTime<Utc>) -> Self {
        state.execution_props_mut().query_execution_start_time = Some(now);
        Self { state }
    }

    /// Evaluates an expression to an array of one element. Fails if the expression refers to a column.
    pub fn evaluate(&self, expr: &ast::Expr, span: Span) -> Result<ArrayRef, Vec<Diagnostic>> {
        let mut expr = expr.clone();
        let mut errors = Vec::new();
        rewrite_expr(&mut expr, &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        let refused = |error| diagnose(&error, Some(span)).into_iter().map(no_columns_here).collect::<Vec<_>>();
        let schema = DFSchema::empty();
        let logical = self
            .state
            .create_logical_expr_from_sql_expr(ExprWithAlias { expr, alias: None }, &schema)
            .and_then(|logical| dialect::lower(logical, &schema))
            .and_then(|logical| self.simplified(logical, &schema))
            .map_err(refused)?;
        let physical = self.state.create_physical_expr(logical, &schema).map_err(refused)?;
        let value = physical.evaluate(&one_row().map_err(|e| refused(e.into()))?).map_err(refused)?;
        value.into_array(1).map_err(refused)
    }

    /// Simplifies an expression; NOW() and similar functions get a value only this way.
    fn simplified(&self, expr: Expr, schema: &DFSchema) -> Result<Expr, DataFusionError> {
        let context = SimplifyContext::builder()
            .with_schema(Arc::new(schema.clone()))
            .with_config_options(self.state.config_options().clone())
            .with_query_execution_start_time(self.state.execution_props().query_execution_start_time)
            .build();
        dialect::simplified(expr, context)
    }
}

fn no_columns_here(error: Diagnostic) -> Diagnostic {
    if error.code != UNKNOWN_COLUMN {
        return error;
    }
    let hint = "Strings are written in single quotes.";
    Diagnostic { code: INSERT, message: "VALUES accepts only constants, not columns".to_owned(), detail: None, ..error }
        .hint(hint)
}

fn one_row() -> Result<RecordBatch, arrow::error::ArrowError> {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)
}
