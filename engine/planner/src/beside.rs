//! Aliased expressions beside columns of the same name: `SELECT w + 1 AS k FROM q ORDER BY q.k`, and the column of a
//! FULL JOIN … USING beside other columns that `*` shows.
//!
//! DataFusion does not allow `K` beside `Q.K` in one list, and columns named only in ORDER BY are part of the list,
//! too. So such an expression has a temporary name until the plan is complete.

use std::collections::HashMap;

use datafusion::common::{Column, Result, TableReference};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use headwater_expression::dialect::EITHER;
use headwater_language::sql::each_expr;
use sqlparser::ast::{self, GroupByExpr, Ident, OrderByExpr, OrderByKind, Query, Select, SelectItem, SetExpr};

/// The temporary names, mapped to the original ones.
pub(super) type Names = HashMap<String, String>;

/// Gives such expressions in the SELECT list of a query temporary names.
pub(super) fn take(query: &mut Query) -> Names {
    let SetExpr::Select(select) = query.body.as_mut() else { return Names::new() };
    let mut none = Vec::new();
    let order = match query.order_by.as_mut().map(|order| &mut order.kind) {
        Some(OrderByKind::Expressions(order)) => order,
        _ => &mut none,
    };
    if !is_plain(select) {
        return Names::new();
    }
    let (columns, has_star) = (columns(select, order), select.projection.iter().any(is_star));
    let mut names = Names::new();
    for item in &mut select.projection {
        let SelectItem::ExprWithAlias { expr, alias } = item else { continue };
        if columns.contains(&alias.value) || has_star && is_either(expr) {
            let other = Ident::with_quote('`', format!("{} here", alias.value));
            let name = std::mem::replace(alias, other.clone());
            order.iter_mut().for_each(|by| rename(by, &name.value, &other));
            names.insert(other.value, name.value);
        }
    }
    names
}

/// The names of the columns that the list and ORDER BY qualify with their relation.
fn columns(select: &Select, order: &[OrderByExpr]) -> Vec<String> {
    let mut columns = Vec::new();
    let mut see = |expr: &ast::Expr| {
        if let ast::Expr::CompoundIdentifier(names) = expr {
            columns.extend(names.last().map(|name| name.value.clone()));
        }
    };
    order.iter().for_each(|by| each_expr(&by.expr, &mut see));
    for item in &select.projection {
        if let SelectItem::UnnamedExpr(expr) = item {
            see(expr);
        }
    }
    columns
}

/// Whether a SELECT has neither grouping nor DISTINCT.
fn is_plain(select: &Select) -> bool {
    let is_ungrouped =
        matches!(&select.group_by, GroupByExpr::Expressions(items, with) if items.is_empty() && with.is_empty());
    is_ungrouped && select.distinct.is_none() && select.having.is_none() && select.qualify.is_none()
}

fn is_star(item: &SelectItem) -> bool {
    matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
}

fn is_either(expr: &ast::Expr) -> bool {
    matches!(expr, ast::Expr::Function(call) if call.name.to_string() == EITHER)
}

fn rename(by: &mut OrderByExpr, name: &str, other: &Ident) {
    if matches!(&by.expr, ast::Expr::Identifier(ident) if ident.value == name) {
        by.expr = ast::Expr::Identifier(other.clone());
    }
}

/// Restores the names of the columns of a plan.
pub(super) fn put_back(plan: LogicalPlan, names: &Names) -> Result<LogicalPlan> {
    if names.is_empty() {
        return Ok(plan);
    }
    let named = |column: Column| match names.get(&column.name) {
        // Next to a column of the same name it needs a relation as qualifier.
        Some(name) => Expr::Column(column).alias_qualified(Some(TableReference::bare("here")), name),
        None => Expr::Column(column),
    };
    let columns: Vec<Expr> = plan.schema().columns().into_iter().map(named).collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}
