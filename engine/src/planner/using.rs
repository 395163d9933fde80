//! The column of a USING: one name for a value that either side may have.
//!
//! ```text
//! l JOIN r USING (s), LEFT JOIN     s is l.s
//! l RIGHT JOIN r USING (s)          s is r.s
//! l FULL JOIN r USING (s)           s is that of l.s and r.s which is there
//! ```
//!
//! DataFusion takes the left one in every case, and finds it ambiguous in an operator. So the name is replaced where it
//! stands without a relation, before DataFusion sees the query. `*` is settled already.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, Ident, Join, JoinConstraint, JoinOperator, OrderByKind, Query, Select, SelectItem, SetExpr,
    TableWithJoins, VisitorMut,
};

use super::relations::{Namer, Relation, listed};
use super::star::call;
use crate::catalog::Catalog;
use crate::dialect;
use crate::sql::walk_mut;

/// Replaces the columns of every USING in a query by what they are.
pub(super) fn settle(query: &mut Query, catalog: &Catalog) {
    walk_mut(query, &mut Settler { namer: Namer { catalog, named: Vec::new() }, scopes: Vec::new() });
}

struct Settler<'a> {
    namer: Namer<'a>,
    /// How many names of WITH there were before each query around.
    scopes: Vec<usize>,
}

impl VisitorMut for Settler<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.scopes.push(self.namer.named.len());
        self.namer.name(query);
        if let SetExpr::Select(select) = query.body.as_mut() {
            let merged = merged(select, &self.namer);
            let order = query.order_by.as_mut().map(|order| &mut order.kind);
            if let (Some(OrderByKind::Expressions(order)), false) = (order, merged.is_empty()) {
                let result = listed(select).unwrap_or_default();
                let is_of_result = |expr: &Expr| matches!(expr, Expr::Identifier(name) if result.contains(&name.value));
                for by in order.iter_mut().filter(|by| !is_of_result(&by.expr)) {
                    replace(&mut by.expr, &merged, &self.namer);
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        if let Some(names) = self.scopes.pop() {
            self.namer.named.truncate(names);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let merged = merged(select, &self.namer);
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
        rejoin(select, &merged);
        replace(select, &merged, &self.namer);
        ControlFlow::Continue(())
    }
}

/// The column of a USING.
#[derive(Clone, Debug)]
struct Merged {
    name: String,
    /// What it is.
    value: Expr,
    /// The joins that say so, by their place among those of their item of FROM.
    joins: Vec<(usize, Expr)>,
    item: usize,
}

fn merged(select: &Select, namer: &Namer<'_>) -> Vec<Merged> {
    let items = select.from.iter().enumerate();
    items.flat_map(|(item, from)| merged_in(from, item, namer)).collect()
}

/// The columns of the USINGs of one item of FROM. Where it cannot be told whose a column is, DataFusion decides.
fn merged_in(from: &TableWithJoins, item: usize, namer: &Namer<'_>) -> Vec<Merged> {
    let mut found: Vec<Merged> = Vec::new();
    let mut before = namer.factor(&from.relation);
    for (at, join) in from.joins.iter().enumerate() {
        let joined = namer.factor(&join.relation);
        for name in using(join) {
            let known = found.iter().position(|column| column.name == name);
            let left = known.map(|at| found[at].value.clone()).or_else(|| column_of(&before, &name));
            let (Some(left), Some(right)) = (left, column_of(&joined, &name)) else { continue };
            let value = either(&join.join_operator, left.clone(), right.clone());
            match known {
                Some(known) => {
                    let on = equal(left, right);
                    found[known].joins.push((at, on));
                    found[known].value = value;
                }
                None => found.push(Merged { name, value, joins: Vec::new(), item }),
            }
        }
        before.extend(joined);
    }
    found
}

fn using(join: &Join) -> Vec<String> {
    match constraint(&join.join_operator) {
        Some(JoinConstraint::Using(names)) => {
            names.iter().filter_map(|name| Some(name.0.last()?.as_ident()?.value.clone())).collect()
        }
        _ => Vec::new(),
    }
}

fn constraint(join: &JoinOperator) -> Option<&JoinConstraint> {
    use JoinOperator::{FullOuter, Inner, Left, LeftOuter, Right, RightOuter};
    match join {
        JoinOperator::Join(c) | Inner(c) | Left(c) | LeftOuter(c) | Right(c) | RightOuter(c) | FullOuter(c) => Some(c),
        _ => None,
    }
}

/// The column of this name of the one relation that has it.
fn column_of(relations: &[Relation], name: &str) -> Option<Expr> {
    let with: Vec<&Relation> = relations.iter().filter(|relation| relation.has(name) != Some(false)).collect();
    let [one] = with[..] else { return None };
    Some(Expr::CompoundIdentifier(vec![one.alias.clone()?, Ident::new(name)]))
}

fn either(join: &JoinOperator, left: Expr, right: Expr) -> Expr {
    match join {
        JoinOperator::Right(_) | JoinOperator::RightOuter(_) => right,
        JoinOperator::FullOuter(_) => call(dialect::EITHER, vec![left, right]),
        _ => left,
    }
}

fn equal(left: Expr, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::Eq, right: Box::new(right) }
}

/// A join USING a column that joins before it have merged joins by what that column is.
fn rejoin(select: &mut Select, merged: &[Merged]) {
    for column in merged {
        for (at, on) in &column.joins {
            let join = &mut select.from[column.item].joins[*at];
            // With more columns than this one it is left to DataFusion.
            let alone = using(join).len() == 1;
            if let Some(constraint) = constraint_mut(&mut join.join_operator).filter(|_| alone) {
                *constraint = JoinConstraint::On(on.clone());
            }
        }
    }
}

fn constraint_mut(join: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    use JoinOperator::{FullOuter, Inner, Left, LeftOuter, Right, RightOuter};
    match join {
        JoinOperator::Join(c) | Inner(c) | Left(c) | LeftOuter(c) | Right(c) | RightOuter(c) | FullOuter(c) => Some(c),
        _ => None,
    }
}

/// Replaces the names in a tree, where nothing between hides them.
fn replace(tree: &mut impl sqlparser::ast::VisitMut, merged: &[Merged], namer: &Namer<'_>) {
    walk_mut(tree, &mut Replacer { merged, namer, hidden: Vec::new() });
}

struct Replacer<'a, 'b> {
    merged: &'a [Merged],
    namer: &'a Namer<'b>,
    /// Names that the subqueries and lambdas around hide; all of them where that cannot be told.
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
        let hidden = match (query.body.as_ref(), &query.with) {
            (SetExpr::Select(select), None) => {
                let relations = self.namer.relations(&select.from);
                let hides = |name: &String| relations.iter().any(|relation| relation.has(name) != Some(false));
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
            *expr = column.value.clone();
        }
        ControlFlow::Continue(())
    }
}
