//! Queries that hold state: joins, groups and windows. None of them runs continuously yet, but what is wrong with one is
//! told all the same, so that a query that is only refused as not built is right.
//!
//! One rule a function; joins are in `joins`, their key in `join_key`, grouping in `grouping`, windows in `windows`.
//! Semantics: ksqlDB's.

mod grouping;
mod join_key;
mod joins;
mod windows;

use datafusion::execution::session_state::SessionState;
use sqlparser::ast::{Expr, GroupByExpr, Select, SelectItem, SetExpr};

use super::lowering::Use;
use super::scope::{Scope, span_of};
use super::shape::Item;
use crate::callee::{Callee, Caller, is_aggregate as is_aggregate_name};
use crate::{naming, star};
use headwater_expression::Compiler;
use headwater_expression::errors::diagnose;
use headwater_language::catalog::Catalog;
use headwater_language::definition::SourceKind;
use headwater_language::diagnostic::{Diagnostic, STREAMING, Span};
use headwater_language::sql::{ast, each_own_expr};
use headwater_language::topology::ResultColumn;
use headwater_language::types::SqlType;

/// A query that holds state, as its rules see it.
struct Stateful<'a> {
    query: &'a ast::Query,
    scope: Scope,
    /// SELECT with `*` spelt out and every column named.
    select: Select,
    items: Vec<Item>,
    /// `*` was said by itself.
    has_star: bool,
    groups: Vec<Expr>,
    purpose: Use<'a>,
    /// Properties in WITH of what is made.
    properties: &'a [ast::Property],
    state: &'a SessionState,
}

/// What is known of the result of a query that holds state.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Its columns, where they can be told: those of joins.
    pub columns: Option<Vec<ResultColumn>>,
    /// What it gives, where that can be told.
    pub kind: Option<SourceKind>,
    /// Topics of the sources whose partitions must be as many, each with the source's name.
    pub together: Vec<(String, String)>,
    /// What is wrong with the query.
    pub errors: Vec<Diagnostic>,
}

/// Whether a query holds state.
pub fn is_stateful(query: &ast::Query, state: &SessionState) -> bool {
    let SetExpr::Select(select) = query.body.body.as_ref() else { return false };
    let joins = select.from.len() > 1 || select.from.iter().any(|from| !from.joins.is_empty());
    joins || query.window.is_some() || select.having.is_some() || is_grouped(select) || {
        let mut found = false;
        each_own_expr(&select.projection, &mut |expr: &Expr| found |= is_aggregate(expr, state));
        found
    }
}

/// Looks for everything that is wrong with a query that holds state.
pub fn check(
    query: &ast::Query,
    catalog: &Catalog,
    state: &SessionState,
    purpose: Use<'_>,
    properties: &[ast::Property],
) -> Outcome {
    let mut body = query.body.clone();
    let has_star = matches!(body.body.as_ref(), SetExpr::Select(s) if s.projection.iter().any(is_star));
    let errors = star::expand(&mut body, catalog);
    let SetExpr::Select(select) = body.body.as_mut() else { return Outcome { errors, ..Outcome::default() } };
    let scope = Scope::read(select, catalog);
    let (Some(scope), true) = (scope, errors.is_empty()) else { return Outcome { errors, ..Outcome::default() } };
    let groups = groups(select);
    naming::name_columns(select, catalog);
    let items = select.projection.iter().filter_map(super::shape::item).collect();
    let select = select.as_ref().clone();
    Stateful { query, scope, select, items, has_star, groups, purpose, properties, state }.check()
}

fn is_star(item: &SelectItem) -> bool {
    matches!(item, SelectItem::Wildcard(_))
}

fn is_grouped(select: &Select) -> bool {
    match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(list, _) => !list.is_empty(),
    }
}

/// The expressions of GROUP BY; a list that stands alone in brackets is the same as without them.
fn groups(select: &Select) -> Vec<Expr> {
    match &select.group_by {
        GroupByExpr::Expressions(list, _) => match &list[..] {
            [Expr::Tuple(list)] => list.clone(),
            [Expr::Nested(inner)] => vec![inner.as_ref().clone()],
            list => list.to_vec(),
        },
        GroupByExpr::All(_) => Vec::new(),
    }
}

/// The name of the function that an expression calls, in capitals.
fn called(expr: &Expr) -> Option<String> {
    let Expr::Function(function) = expr else { return None };
    Some(function.name.to_string().to_uppercase())
}

/// Whether an expression is a call of an aggregate.
fn is_aggregate(expr: &Expr, state: &SessionState) -> bool {
    called(expr).is_some_and(|name| is_aggregate_name(&name, state))
}

impl Stateful<'_> {
    fn check(&self) -> Outcome {
        let mut errors = Vec::new();
        self.names(&mut errors);
        self.functions(&mut errors);
        self.windows(&mut errors);
        let joins = self.joins(&mut errors);
        let grouped = self.has_aggregates() || !self.groups.is_empty() || self.select.having.is_some();
        let tables = (0..self.scope.members.len()).all(|member| self.is_table(member));
        let kind = Some(if grouped || tables { SourceKind::Table } else { SourceKind::Stream });
        let together = if joins.iter().any(|join| join.is_foreign) { Vec::new() } else { self.topics() };
        let mut columns = None;
        if grouped {
            self.grouping(&mut errors);
        } else if errors.is_empty() {
            let keys = self.join_keys(&joins, &mut errors);
            columns = if errors.is_empty() { self.columns(&keys, &mut errors) } else { None };
        }
        Outcome { columns, kind, together, errors }
    }

    fn topics(&self) -> Vec<(String, String)> {
        self.scope.members.iter().map(|m| (m.source.name.clone(), m.source.topic.clone())).collect()
    }

    /// Every name is one of a column.
    fn names(&self, errors: &mut Vec<Diagnostic>) {
        let key = self.synthetic_key();
        let grouped = self.has_aggregates() || !self.groups.is_empty();
        // Bounds of a windowed aggregation are told by their own rule; over a join there are none.
        let bounds = grouped && self.query.window.is_some() && self.scope.members.len() == 1;
        let others: &[&str] = if bounds { &windows::BOUNDS } else { &[] };
        let selected: Vec<&str> = others.iter().copied().chain([key.as_str()]).collect();
        for item in &self.items {
            self.scope.check("SELECT", &item.expr, &selected, errors);
        }
        if let Some(filter) = &self.select.selection {
            self.scope.check("WHERE", filter, others, errors);
        }
        self.groups.iter().for_each(|group| self.scope.check("GROUP BY", group, others, errors));
        if let Some(having) = &self.select.having {
            self.scope.check("HAVING", having, others, errors);
        }
    }

    /// Every function exists.
    fn functions(&self, errors: &mut Vec<Diagnostic>) {
        let having = self.select.having.iter();
        let all = self.items.iter().map(|item| &item.expr).chain(&self.select.selection).chain(&self.groups);
        for expr in all.chain(having) {
            each_own_expr(expr, &mut |expr: &Expr| {
                if let Some(name) = called(expr).filter(|name| !self.is_function(name)) {
                    errors.push(Caller::Continuous(self.state).unknown(&name).at(span_of(expr, self.query.span)));
                }
            });
        }
    }

    fn is_function(&self, name: &str) -> bool {
        Callee::of(name, self.state).is_some_and(Callee::is_continuous)
    }

    fn has_aggregates(&self) -> bool {
        self.items.iter().any(|item| !self.aggregates_in(&item.expr).is_empty())
    }

    /// The calls of aggregates in an expression.
    fn aggregates_in(&self, expr: &Expr) -> Vec<Expr> {
        let mut found = Vec::new();
        each_own_expr(expr, &mut |expr: &Expr| {
            if is_aggregate(expr, self.state) {
                found.push(expr.clone());
            }
        });
        found
    }

    /// The type of an expression; what is wrong with it is told.
    fn ty(&self, expr: &Expr, errors: &mut Vec<Diagnostic>) -> Option<SqlType> {
        let span = Some(span_of(expr, self.query.span));
        let compiler = match Compiler::new(self.state, self.scope.schema()) {
            Ok(compiler) => compiler,
            Err(error) => {
                errors.extend(diagnose(&error, span));
                return None;
            }
        };
        match compiler.compile(&self.scope.merged(expr), &self.scope.text(expr), span) {
            Ok((_, ty)) => Some(ty),
            Err(found) => {
                errors.extend(found);
                None
            }
        }
    }

    /// The columns of a result; those of the key first.
    fn columns(&self, keys: &[join_key::Key], errors: &mut Vec<Diagnostic>) -> Option<Vec<ResultColumn>> {
        let mut columns = Vec::new();
        for item in &self.items {
            let key = keys.iter().any(|key| key.selected.as_deref() == Some(item.name.as_str()));
            let ty = match keys.iter().find(|key| key.synthetic.as_deref() == self.identifier(&item.expr)) {
                Some(synthetic) if synthetic.synthetic.is_some() => synthetic.ty.clone(),
                _ => self.ty(&item.expr, errors)?,
            };
            columns.push(ResultColumn { name: item.name.clone(), expr: self.scope.text(&item.expr), ty, key });
        }
        columns.sort_by_key(|column| !column.key);
        Some(columns)
    }

    fn identifier<'e>(&self, expr: &'e Expr) -> Option<&'e str> {
        if let Expr::Identifier(name) = expr { Some(&name.value) } else { None }
    }

    /// A property in WITH, in capitals.
    fn property(&self, wanted: &str) -> Option<String> {
        let said = self.properties.iter().find(|p| p.name.eq_ignore_ascii_case(wanted))?;
        if let ast::Literal::String(text) = &said.value.value { Some(text.to_uppercase()) } else { None }
    }

    fn span(&self) -> Span {
        self.query.span
    }

    /// Formats of values that can be read record by record only.
    fn values_fit(&self, clause: &str, errors: &mut Vec<Diagnostic>) {
        let kafka = self.scope.members.iter().filter(|m| m.source.value.format == "KAFKA");
        let names: Vec<String> = kafka.map(|m| format!("\"{}\"", m.source.name)).collect();
        if !names.is_empty() {
            let message = format!("values in format KAFKA cannot be used with {clause}: {}", names.join(", "));
            let hint = "Copy them into another format first: CREATE STREAM … WITH (VALUE_FORMAT='JSON') AS SELECT *.";
            errors.push(Diagnostic::new(STREAMING, message).at(self.span()).hint(hint));
        }
    }

    fn is_table(&self, member: usize) -> bool {
        self.scope.members[member].source.kind == SourceKind::Table
    }
}
