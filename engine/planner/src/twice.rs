//! Ambiguous names: names that two columns of a subquery have.
//!
//! In `SELECT z.k FROM (SELECT * FROM (SELECT k FROM p) AS x, (SELECT k FROM q) AS y) AS z` it is not clear which K is
//! meant, and DataFusion uses the left one. A query that only shows both, such as `SELECT * FROM … AS z`, is fine.

use std::ops::ControlFlow;

use headwater_language::catalog::Catalog;
use headwater_language::diagnostic::{AMBIGUOUS_COLUMN, Diagnostic};
use headwater_language::sql::{place, walk_mut};
use sqlparser::ast::{Expr, Ident, Query, Select, SetExpr, TableFactor, TableWithJoins, VisitorMut};

use super::merged::using;
use super::relations::Relation;
use super::scope::{Scope, Scoped, enter, leave};

/// Reports every such name that a query uses. Every `*` has been expanded already. The query is unchanged afterwards.
pub(super) fn check(query: &mut Query, catalog: &Catalog) -> Vec<Diagnostic> {
    let mut twice = Twice { scope: Scope::new(catalog), frames: Vec::new(), errors: Vec::new() };
    walk_mut(query, &mut twice);
    twice.errors
}

struct Twice<'a> {
    scope: Scope<'a>,
    /// What names can refer to, with the innermost query last.
    frames: Vec<Frame>,
    errors: Vec<Diagnostic>,
}

/// What names can refer to in a SELECT, or in the ORDER BY after it.
#[derive(Default)]
struct Frame {
    relations: Vec<Relation>,
    /// The columns of the result, which ORDER BY looks at first.
    result: Vec<String>,
}

impl<'a> Scoped<'a> for Twice<'a> {
    fn scope(&mut self) -> &mut Scope<'a> {
        &mut self.scope
    }
}

impl VisitorMut for Twice<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        enter(self, query);
        let namer = &self.scope.namer;
        self.frames.push(match (query.body.as_ref(), &query.order_by) {
            (SetExpr::Select(select), Some(_)) => {
                Frame { relations: namer.relations(&select.from), result: namer.listed(select).unwrap_or_default() }
            }
            _ => Frame::default(),
        });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        leave(self, query);
        self.frames.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let relations = self.scope.namer.relations(&select.from);
        for name in select.from.iter().flat_map(names) {
            self.errors.extend(relations.iter().find_map(|relation| two(relation, &name)));
        }
        self.frames.push(Frame { relations, result: Vec::new() });
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &mut Select) -> ControlFlow<()> {
        self.frames.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let error = match expr {
            Expr::Identifier(name) => self.column(name),
            Expr::CompoundIdentifier(names) => match &names[..] {
                [relation, name] => self.column_of(relation, name),
                _ => None,
            },
            _ => None,
        };
        self.errors.extend(error);
        ControlFlow::Continue(())
    }
}

impl Twice<'_> {
    /// The error for an unqualified name, which refers to the innermost column of that name.
    fn column(&self, name: &Ident) -> Option<Diagnostic> {
        let may_mean = |frame: &&Frame| {
            let may_have = |relation: &Relation| relation.has(&name.value) != Some(false);
            frame.result.contains(&name.value) || frame.relations.iter().any(may_have)
        };
        let frame = self.frames.iter().rev().find(may_mean)?;
        if frame.result.contains(&name.value) {
            return None;
        }
        frame.relations.iter().find_map(|relation| two(relation, name))
    }

    fn column_of(&self, qualifier: &Ident, name: &Ident) -> Option<Diagnostic> {
        let is_it = |relation: &&Relation| relation.alias.as_ref().is_some_and(|alias| alias.value == qualifier.value);
        let relation = self.frames.iter().rev().find_map(|frame| frame.relations.iter().find(is_it))?;
        two(relation, name)
    }
}

/// The names in the USINGs of an item of FROM.
fn names(from: &TableWithJoins) -> Vec<Ident> {
    let factors = std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation));
    let nested = factors.flat_map(|factor| match factor {
        TableFactor::NestedJoin { table_with_joins, alias: None } => names(table_with_joins),
        _ => Vec::new(),
    });
    nested.chain(from.joins.iter().flat_map(|join| using(&join.join_operator))).collect()
}

/// The error for a name that two columns of a relation have.
fn two(relation: &Relation, name: &Ident) -> Option<Diagnostic> {
    let alias = relation.alias.as_ref().filter(|_| relation.has_twice(&name.value))?;
    let message = format!("column \"{}\" appears twice in \"{}\"", name.value, alias.value);
    let error = Diagnostic::new(AMBIGUOUS_COLUMN, message).at_maybe(place(name.span).or(place(alias.span)));
    Some(error.hint("Give one of them another name with AS in the subquery."))
}
