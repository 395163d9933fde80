//! Compiles an expression of the dialect into an [`Expression`] that is ready to be evaluated.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::DFSchema;
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::physical_plan::PhysicalExpr;
use headwater_language::diagnostic::{Diagnostic, PLAN, Span};
use headwater_language::sql::ast::Expr;
use headwater_language::types::{SqlType, type_name};
use sqlparser::ast::ExprWithAlias;

use super::evaluate::Expression;
use super::rewrite::rewrite_expr;
use crate::dialect::{self, within};
use crate::errors::{diagnose, widen};

/// Compiles expressions over the columns of one schema.
pub struct Compiler<'a> {
    state: &'a SessionState,
    schema: SchemaRef,
    names: DFSchema,
}

impl<'a> Compiler<'a> {
    /// Creates a compiler that knows the functions of `state` and the columns of `schema`.
    pub fn new(state: &'a SessionState, schema: SchemaRef) -> Result<Self, DataFusionError> {
        let names = DFSchema::try_from(schema.as_ref().clone())?;
        Ok(Self { state, schema, names })
    }

    /// The columns that expressions may refer to.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Compiles an expression and returns it with its type in the dialect. `text` names the expression in reports of
    /// failures; `span` is its location in the statement, for errors.
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
            let message = format!("the type of \"{text}\" is {}, which a column cannot have", type_name(&found));
            let hint = format!("Give it a type: CAST({text} AS STRING).");
            return Err(vec![Diagnostic::new(PLAN, message).at_maybe(span).hint(hint)]);
        };
        Ok((Expression::new(text, physical, data_type, constant), ty))
    }

    fn physical(&self, written: &Expr, span: Option<Span>) -> Result<Arc<dyn PhysicalExpr>, Vec<Diagnostic>> {
        let mut expr = written.clone();
        let mut errors = Vec::new();
        rewrite_expr(&mut expr, &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        let narrow = |error: Diagnostic| if error.span == span { error } else { widen(error, written) };
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
