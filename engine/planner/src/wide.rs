//! SELECT lists with very many plain columns, such as `*` over a wide source.
//!
//! DataFusion compares each item of a SELECT list with all items before it, by names that it formats again each time:
//! 5,000 columns take seconds. So a long list of plain columns is planned with only its first item, and restored when
//! the plan is complete.

use std::collections::{HashMap, HashSet};

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result, plan_datafusion_err};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection};
use sqlparser::ast::{self, GroupByExpr, OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor};

/// The minimum number of items for which this is worthwhile.
const ITEMS_MIN: usize = 64;

/// Removes the items of a query's SELECT list, except the first one and those that ORDER BY uses, if it consists of
/// plain columns of one source. Returns the names of all its columns.
pub(super) fn take(query: &mut Query) -> Option<Vec<String>> {
    let ordered = ordered(query)?;
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    if select.projection.len() < ITEMS_MIN || !is_plain(select) {
        return None;
    }
    let names: Option<Vec<String>> = select.projection.iter().map(column).collect();
    let names = names?;
    let known: HashSet<&String> = names.iter().collect();
    if known.len() < names.len() || !ordered.iter().all(|name| known.contains(name)) {
        return None;
    }
    let mut at = 0..;
    select.projection.retain(|item| at.next() == Some(0) || column(item).is_some_and(|name| ordered.contains(&name)));
    Some(names)
}

/// The columns that ORDER BY uses; none if it has other items, or if the query has a WITH.
fn ordered(query: &Query) -> Option<HashSet<String>> {
    if query.with.is_some() {
        return None;
    }
    let Some(by) = &query.order_by else { return Some(HashSet::new()) };
    let OrderByKind::Expressions(items) = &by.kind else { return None };
    let name = |item: &ast::OrderByExpr| match &item.expr {
        ast::Expr::Identifier(name) => Some(name.value.clone()),
        ast::Expr::CompoundIdentifier(names) => names.last().map(|name| name.value.clone()),
        _ => None,
    };
    items.iter().map(name).collect()
}

/// Whether rows pass from one source through WHERE to the SELECT list.
fn is_plain(select: &Select) -> bool {
    let ungrouped =
        matches!(&select.group_by, GroupByExpr::Expressions(items, with) if items.is_empty() && with.is_empty());
    let one_source = match &select.from[..] {
        [from] => from.joins.is_empty() && matches!(from.relation, TableFactor::Table { args: None, .. }),
        _ => false,
    };
    let bare = select.distinct.is_none() && select.having.is_none() && select.qualify.is_none();
    ungrouped && one_source && bare && select.named_window.is_empty()
}

fn column(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(ast::Expr::CompoundIdentifier(names)) => match &names[..] {
            [_, column] => Some(column.value.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// Restores the columns in the plan's SELECT list.
pub(super) fn put_back(plan: LogicalPlan, names: &[String]) -> Result<LogicalPlan> {
    let placed = plan.transform_down(|node| {
        let LogicalPlan::Projection(projection) = node else { return Ok(Transformed::no(node)) };
        let whole = LogicalPlan::Projection(of_columns(projection, names)?);
        Ok(Transformed::new(whole, true, TreeNodeRecursion::Stop))
    })?;
    Ok(placed.data)
}

fn of_columns(projection: Projection, names: &[String]) -> Result<Projection> {
    let schema = projection.input.schema();
    let known: HashMap<&str, Column> = schema
        .iter()
        .map(|(qualifier, field)| (field.name().as_str(), Column::new(qualifier.cloned(), field.name())))
        .collect();
    let column = |name: &String| {
        let column = known.get(name.as_str()).cloned();
        column.map(Expr::Column).ok_or_else(|| plan_datafusion_err!("column \"{name}\" is missing from the plan"))
    };
    let columns = names.iter().map(column).collect::<Result<Vec<_>>>()?;
    Projection::try_new(columns, projection.input)
}
