//! Expressions over chunks: compiled once, evaluated a batch at a time, and row by row only to find
//! the rows that fail.
//!
//! An expression that fails for a row is NULL there, and the row's failure is reported; the other
//! rows do not notice. Semantics: ksqlDB's error handling.

use std::cell::Cell;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::physical_plan::PhysicalExpr;
use sqlparser::ast::ExprWithAlias;

use crate::config::Settings;
use crate::diagnostic::{Diagnostic, Span};
use crate::dialect::{self, Inside, within};
use crate::errors::widen;
use crate::errors::{diagnose, reason};
use crate::planner::continuous;
use crate::planner::rewrite::rewrite_expr;
use crate::sql::ast::Expr;
use crate::types::{SqlType, type_name};

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

/// Makes expressions over the columns of one schema.
pub struct Compiler<'a> {
    state: &'a SessionState,
    schema: SchemaRef,
    names: DFSchema,
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

/// What expressions of continuous queries are compiled with: the functions of the dialect and the settings' defaults.
pub fn expression_state() -> SessionState {
    continuous::state(&Settings::default())
}

impl<'a> Compiler<'a> {
    /// A compiler that knows the functions of `state` and the columns of `schema`.
    pub fn new(state: &'a SessionState, schema: SchemaRef) -> Result<Self, DataFusionError> {
        let names = DFSchema::try_from(schema.as_ref().clone())?;
        Ok(Self { state, schema, names })
    }

    /// The columns that expressions may name.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Compiles an expression, and gives the type of the dialect that it has. `text` is what it is
    /// called in reports; `span` is its place for what is wrong with it.
    pub fn compile(
        &self,
        expr: &Expr,
        text: &str,
        span: Option<Span>,
    ) -> Result<(Expression, SqlType), Vec<Diagnostic>> {
        let (physical, constant) = within(|| self.physical(expr, span));
        let physical = physical?;
        let found = physical.data_type(&self.schema).map_err(|e| diagnose(&e, span))?;
        let ty = SqlType::from_arrow(&found);
        let data_type = ty.as_ref().and_then(|ty| ty.to_arrow().ok());
        let (Some(ty), Some(data_type)) = (ty, data_type) else {
            let message = format!("the type of \"{text}\" is {}, which no column can have", type_name(&found));
            let hint = format!("Say which type it shall have: CAST({text} AS STRING).");
            return Err(vec![Diagnostic::new(crate::diagnostic::PLAN, message).at_maybe(span).hint(hint)]);
        };
        Ok((Expression { text: text.to_owned(), physical, data_type, constant }, ty))
    }

    fn physical(&self, written: &Expr, span: Option<Span>) -> Result<Arc<dyn PhysicalExpr>, Vec<Diagnostic>> {
        let mut expr = written.clone();
        let mut errors = Vec::new();
        rewrite_expr(&mut expr, &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        let narrow = |told: Diagnostic| if told.span == span { told } else { widen(told, written) };
        let refused = |error| diagnose(&error, span).into_iter().map(narrow).collect::<Vec<_>>();
        let context = SimplifyContext::builder()
            .with_schema(Arc::new(self.names.clone()))
            .with_config_options(self.state.config_options().clone())
            .build();
        let logical = self
            .state
            .create_logical_expr_from_sql_expr(ExprWithAlias { expr, alias: None }, &self.names)
            .and_then(|logical| dialect::lower(logical, &self.names))
            .and_then(|logical| dialect::simplified(logical, context))
            .map_err(refused)?;
        self.state.create_physical_expr(logical, &self.names).map_err(refused)
    }
}

impl Expression {
    /// Its value for every row; NULL for those it fails on, which are added to `failures`.
    pub fn evaluate(&self, rows: &RecordBatch, failures: &mut Vec<Failure>) -> ArrayRef {
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
