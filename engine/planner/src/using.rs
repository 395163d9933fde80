//! The merged column of a USING: one name for a value that either side may provide.
//!
//! DataFusion always uses the left column, and reports the name as ambiguous in an operator. So unqualified uses of the
//! name are replaced before DataFusion sees the query, and the join becomes one with ON. `*` and NATURAL have been
//! rewritten already. What a merged column stands for is determined in [`super::merged`].

use std::ops::ControlFlow;

use headwater_language::catalog::Catalog;
use headwater_language::sql::{Tree, walk_mut};
use sqlparser::ast::{
    BinaryOperator, Expr, Ident, Join, JoinConstraint, OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor,
    TableWithJoins, VisitorMut,
};

use super::merged::{Compared, Joined, Merged, constraint_mut};
use super::relations::Namer;
use super::scope::{Scope, Scoped, enter, leave};

/// Replaces the columns of every USING in a query with their expressions.
pub(super) fn settle(query: &mut Query, catalog: &Catalog) {
    walk_mut(query, &mut Settler { scope: Scope::new(catalog) });
}

struct Settler<'a> {
    scope: Scope<'a>,
}

impl<'a> Scoped<'a> for Settler<'a> {
    fn scope(&mut self) -> &mut Scope<'a> {
        &mut self.scope
    }
}

impl VisitorMut for Settler<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        enter(self, query);
        let SetExpr::Select(select) = query.body.as_ref() else { return ControlFlow::Continue(()) };
        if let Some(OrderByKind::Expressions(order)) = query.order_by.as_mut().map(|order| &mut order.kind) {
            let merged = merged(&mut select.from.clone(), &self.scope.namer);
            let result = self.scope.namer.listed(select).filter(|_| !merged.is_empty()).unwrap_or_default();
            let is_of_result = |expr: &Expr| matches!(expr, Expr::Identifier(name) if result.contains(&name.value));
            for by in order.iter_mut().filter(|by| !is_of_result(&by.expr)) {
                replace(&mut by.expr, &merged, &self.scope.namer);
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        leave(self, query);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let merged = merged(&mut select.from, &self.scope.namer);
        if merged.is_empty() {
            return ControlFlow::Continue(());
        }
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr @ Expr::Identifier(_)) = item
                && let Expr::Identifier(name) = expr
                && merged.iter().any(|column| column.name == name.value)
            {
                let alias = name.clone();
                *item = SelectItem::ExprWithAlias { expr: Expr::Identifier(alias.clone()), alias };
            }
        }
        // FROM has been rewritten already, when it was read.
        let from = std::mem::take(&mut select.from);
        replace(select, &merged, &self.scope.namer);
        select.from = from;
        ControlFlow::Continue(())
    }
}

/// The merged columns of the USINGs in a FROM, whose joins are rewritten with ON.
fn merged(from: &mut [TableWithJoins], namer: &Namer<'_>) -> Vec<Merged> {
    let mut all = Joined::default();
    from.iter_mut().for_each(|from| all.beside(joined(from, namer)));
    all.merged
}

fn joined(from: &mut TableWithJoins, namer: &Namer<'_>) -> Joined {
    let mut joined = factor(&mut from.relation, namer);
    for join in &mut from.joins {
        if let TableFactor::Derived { lateral: true, subquery, .. } = &mut join.relation {
            replace(subquery.as_mut(), &joined.merged, namer);
        }
        let right = factor(&mut join.relation, namer);
        let compared = joined.join(&join.join_operator, right);
        settle_condition(join, compared, &joined.merged, namer);
    }
    joined
}

fn factor(factor: &mut TableFactor, namer: &Namer<'_>) -> Joined {
    match factor {
        TableFactor::NestedJoin { table_with_joins, alias: None } => joined(table_with_joins, namer),
        other => Joined { relations: namer.factor(other), merged: Vec::new() },
    }
}

/// If it is unknown which relation a column belongs to, DataFusion decides.
fn settle_condition(join: &mut Join, compared: Vec<Compared>, merged: &[Merged], namer: &Namer<'_>) {
    let Some(constraint) = constraint_mut(&mut join.join_operator) else { return };
    if let JoinConstraint::On(condition) = constraint {
        replace(condition, merged, namer);
    }
    let compared: Option<Vec<(Expr, Expr)>> = compared.into_iter().collect();
    let equal = compared.into_iter().flatten().map(|(left, right)| operation(left, BinaryOperator::Eq, right));
    if let Some(condition) = equal.reduce(|all, equal| operation(all, BinaryOperator::And, equal)) {
        *constraint = JoinConstraint::On(condition);
    }
}

pub(super) fn operation(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

/// Replaces the names in a tree, except where an inner definition hides them.
fn replace(tree: &mut impl Tree, merged: &[Merged], namer: &Namer<'_>) {
    walk_mut(tree, &mut Replacer { merged, namer, hidden: Vec::new() });
}

struct Replacer<'a, 'b> {
    merged: &'a [Merged],
    namer: &'a Namer<'b>,
    /// The names that enclosing subqueries and lambdas hide; all names if that is unknown.
    hidden: Vec<Vec<String>>,
}

impl Replacer<'_, '_> {
    fn all(&self) -> Vec<String> {
        self.merged.iter().map(|column| column.name.clone()).collect()
    }
}

impl VisitorMut for Replacer<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let mut namer = self.namer.clone();
        namer.name(query);
        let hidden = match query.body.as_ref() {
            SetExpr::Select(select) => {
                let relations = namer.relations(&select.from);
                let hides = |name: &String| {
                    let is_column = relations.iter().any(|relation| relation.has(name) != Some(false));
                    is_column || gives(select, name)
                };
                self.all().into_iter().filter(hides).collect()
            }
            _ => self.all(),
        };
        self.hidden.push(hidden);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.hidden.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Lambda(lambda) = expr {
            let params = lambda.params.iter().map(|param| param.name.value.clone());
            self.hidden.push(params.collect());
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if matches!(expr, Expr::Lambda(_)) {
            self.hidden.pop();
        }
        if let Expr::Identifier(name) = expr
            && !self.hidden.iter().flatten().any(|hidden| *hidden == name.value)
            && let Some(column) = self.merged.iter().find(|column| column.name == name.value)
        {
            let place = name.clone();
            *expr = column.value.clone();
            walk_mut(expr, &mut At(&place));
        }
        ControlFlow::Continue(())
    }
}

/// Whether a SELECT list gives this name to an item.
fn gives(select: &Select, name: &str) -> bool {
    select.projection.iter().any(|item| matches!(item, SelectItem::ExprWithAlias { alias, .. } if alias.value == name))
}

/// Moves columns to the location of a name in the statement.
struct At<'a>(&'a Ident);

impl VisitorMut for At<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(names) = expr {
            names.iter_mut().for_each(|name| name.span = self.0.span);
        }
        ControlFlow::Continue(())
    }
}
