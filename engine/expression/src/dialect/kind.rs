//! The type of an expression as the dialect sees it.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::{Expr, ExprSchemable};
use headwater_language::types::{SqlType, type_name};

/// The type of an expression: a type of the dialect, an untyped NULL, or a type that only DataFusion knows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// NULL without a type: the literal, or a column that contains only such NULLs.
    Null,
    /// A type of the dialect.
    Of(SqlType),
    /// A type that is available only in bounded queries, such as INTERVAL.
    Foreign(DataType),
}

impl Kind {
    /// The kind of an expression over `schema`.
    pub fn of(expr: &Expr, schema: &DFSchema) -> Result<Self> {
        Ok(Self::of_arrow(&expr.get_type(schema)?))
    }

    /// The kind of an Arrow type.
    pub fn of_arrow(ty: &DataType) -> Self {
        match (ty, SqlType::from_arrow(ty)) {
            (DataType::Null, _) => Self::Null,
            (_, Some(ty)) => Self::Of(ty),
            (other, None) => Self::Foreign(other.clone()),
        }
    }

    /// The type of the dialect, if it is one.
    pub fn known(&self) -> Option<&SqlType> {
        match self {
            Self::Of(ty) => Some(ty),
            _ => None,
        }
    }

    /// The name of the type in messages.
    pub fn name(&self) -> String {
        match self {
            Self::Null => "NULL".to_owned(),
            Self::Of(ty) => ty.to_string(),
            Self::Foreign(ty) => type_name(ty),
        }
    }
}

/// Whether an expression is the literal NULL without a type.
pub(super) fn is_null(expr: &Expr) -> bool {
    matches!(unaliased(expr), Expr::Literal(ScalarValue::Null, _))
}

/// The expression without its alias; a function called by another of its names gets one.
pub(super) fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}

/// The Arrow type of a type of the dialect. Custom types have been resolved when the statement was read.
pub(super) fn arrow_type(ty: &SqlType) -> Result<DataType> {
    ty.to_arrow().map_err(|name| datafusion::common::plan_datafusion_err!("type \"{name}\" does not exist"))
}
