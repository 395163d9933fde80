//! A continuous query in the form that its rules and its lowering use: read once, with `*` expanded and every column
//! named.

use std::collections::BTreeSet;

use datafusion::execution::session_state::SessionState;
use headwater_expression::Compiler;
use headwater_expression::errors::diagnose;
use headwater_formats::decode::{WINDOWEND, WINDOWSTART};
use headwater_language::catalog::Catalog;
use headwater_language::config::Settings;
use headwater_language::definition::{ColumnRole, SourceDef, SourceKind};
use headwater_language::diagnostic::{Diagnostic, Span};
use headwater_language::sql::{ast, each_own_expr, place, print};
use headwater_language::topology::AggregateWindow;
use headwater_language::types::SqlType;
use sqlparser::ast::{Expr, GroupByExpr, Ident, LimitClause, Select, SelectItem, SetExpr, Spanned as _, Value};

use super::key::{self, Key};
use super::rules::{clauses, not_yet};
use super::scope::{Member, Scope, ident, span_of};
use super::window;
use crate::aggregate::Limits;
use crate::callee::{Callee, is_aggregate};
use crate::naming::FreeNames;
use crate::{naming, star};

/// What happens to the rows of a query.
#[derive(Clone, Copy, Debug)]
pub enum Purpose<'a> {
    /// They are shown as they arrive.
    Show,
    /// They are written to the stream or table that is created for them.
    Create(&'a ast::CreateAs),
    /// They are written to a stream that exists.
    Insert(&'a ast::InsertSelect),
}

impl<'a> Purpose<'a> {
    /// The name of the stream or table that is written to.
    pub fn sink(self) -> Option<&'a str> {
        match self {
            Self::Show => None,
            Self::Create(create) => Some(&create.name.value),
            Self::Insert(insert) => Some(&insert.target.value),
        }
    }

    /// The properties in WITH of the stream or table that is created.
    fn properties(self) -> &'a [ast::Property] {
        if let Self::Create(create) = self { &create.properties } else { &[] }
    }
}

/// A continuous query.
pub struct Streaming<'a> {
    /// The query as it was parsed.
    pub query: &'a ast::Query,
    /// What happens to its rows.
    pub purpose: Purpose<'a>,
    /// The state in which its expressions are planned.
    pub state: &'a SessionState,
    /// The maximum lengths of the arrays that its aggregates collect.
    pub limits: Limits,
    /// The sources in FROM; empty if one of them is unknown.
    pub scope: Scope,
    /// SELECT as it is written, with `*` expanded.
    pub select: Select,
    /// The columns of the result.
    pub items: Vec<Item>,
    /// Whether `*` was written, and not only `s.*`.
    pub selects_all: bool,
    /// The expressions of GROUP BY.
    pub groups: Vec<Expr>,
    /// Relations that do not exist, and `*` without columns.
    pub errors: Vec<Diagnostic>,
}

/// A column of the result.
#[derive(Clone, Debug)]
pub struct Item {
    /// The name of the column, given or generated.
    pub name: String,
    /// The expression of the column, as written.
    pub expr: Expr,
    /// The location of the expression, if it was written.
    pub span: Option<Span>,
}

impl<'a> Streaming<'a> {
    /// Reads a query. Fails if it is not a SELECT.
    pub fn read(
        query: &'a ast::Query,
        catalog: &Catalog,
        state: &'a SessionState,
        settings: &Settings,
        purpose: Purpose<'a>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut body = query.body.clone();
        let mut errors = star::expand(&mut body, catalog);
        let (SetExpr::Select(written), SetExpr::Select(select)) = (query.body.body.as_ref(), *body.body) else {
            clauses::of_any_query(query, &mut errors);
            errors.push(not_yet("a set operation in a continuous query", query.span));
            return Err(errors);
        };
        let scope = Scope::read(&select, catalog).unwrap_or_default();
        let has_star = written.projection.iter().any(is_star);
        let without_bounds = has_star && purpose.sink().is_some() && scope.members.len() == 1;
        let mut items = items(&select, &scope, catalog, without_bounds);
        if let Some(partition_by) = query.partition_by.as_ref().filter(|_| has_star) {
            add_key(&mut items, &partition_by.value, &scope);
        }
        let selects_all = written.projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_)));
        let groups = groups(&select);
        let (select, limits) = (*select, Limits::of(settings));
        let mut read = Self { query, purpose, state, limits, scope, select, items, selects_all, groups, errors };
        read.add_made_key();
        Ok(read)
    }

    /// `*` includes the key that a join creates because no column contains it, if the result is written to a topic.
    fn add_made_key(&mut self) {
        if !self.selects_all || self.purpose.sink().is_none() || !self.is_joined() {
            return;
        }
        let key = Key::of(self);
        if key.made.is_some() && key.parts.iter().all(|part| part.items.is_empty()) {
            let name = key::made_name(&self.scope);
            self.items.insert(0, Item { expr: Expr::Identifier(ident(&name)), name, span: None });
        }
    }

    /// The location of the whole query.
    pub fn span(&self) -> Span {
        self.query.span
    }

    /// The first source.
    pub fn first(&self) -> &Member {
        self.scope.members.first().expect("a query without a source was refused")
    }

    /// The only source, if there is only one.
    pub fn only_source(&self) -> Option<&SourceDef> {
        if let [only] = &self.scope.members[..] { Some(&only.source) } else { None }
    }

    /// Whether a source is a table.
    pub fn is_table(&self, member: usize) -> bool {
        self.scope.members[member].source.kind == SourceKind::Table
    }

    /// The key columns of a source.
    pub fn key_columns(&self, member: usize) -> impl Iterator<Item = &str> {
        self.scope.members[member].source.columns_of(&ColumnRole::Key).map(|column| column.name.as_str())
    }

    /// Whether all of its sources are tables, so that the rows that it reads are the changes of a table.
    pub fn reads_tables(&self) -> bool {
        (0..self.scope.members.len()).all(|member| self.is_table(member))
    }

    /// Whether the result of the query is a stream or a table.
    pub fn kind(&self) -> SourceKind {
        if self.is_grouped() || self.reads_tables() { SourceKind::Table } else { SourceKind::Stream }
    }

    /// Whether the query joins several sources.
    pub fn is_joined(&self) -> bool {
        self.select.from.len() > 1 || self.select.from.iter().any(|from| !from.joins.is_empty())
    }

    /// Whether the query groups or aggregates rows.
    pub fn is_grouped(&self) -> bool {
        self.has_aggregates() || !self.groups.is_empty() || self.select.having.is_some()
    }

    /// Whether GROUP BY was written, including `GROUP BY ALL`.
    pub fn has_group_by(&self) -> bool {
        !matches!(&self.select.group_by, GroupByExpr::Expressions(list, _) if list.is_empty())
    }

    /// Whether all rows are one group: aggregates are selected, and there is no GROUP BY.
    pub fn is_one_group(&self) -> bool {
        !self.has_group_by() && self.has_aggregates()
    }

    /// The windows of its groups, or their errors; `None` without WINDOW.
    pub fn windows(&self) -> Option<Result<AggregateWindow, Vec<Diagnostic>>> {
        let written = self.query.window.as_ref()?;
        Some(window::read(&written.value, self.is_final(), written.span))
    }

    /// Whether EMIT FINAL was written.
    pub fn is_final(&self) -> bool {
        self.query.emit.as_ref().is_some_and(|emit| emit.value == ast::Emit::Final)
    }

    /// The aggregates of SELECT.
    pub fn selected_aggregates(&self) -> Vec<Expr> {
        self.items.iter().flat_map(|item| self.aggregates_in(&item.expr)).collect()
    }

    /// The aggregates of SELECT and HAVING.
    pub fn aggregates(&self) -> Vec<Expr> {
        let having = self.select.having.iter().flat_map(|having| self.aggregates_in(having));
        self.selected_aggregates().into_iter().chain(having).collect()
    }

    /// Whether a column of the result has an aggregate.
    pub fn has_aggregates(&self) -> bool {
        !self.selected_aggregates().is_empty()
    }

    /// The aggregate calls in an expression.
    pub fn aggregates_in(&self, expr: &Expr) -> Vec<Expr> {
        let mut found = Vec::new();
        each_own_expr(expr, &mut |expr: &Expr| {
            if self.is_aggregate(expr) {
                found.push(expr.clone());
            }
        });
        found
    }

    /// Whether an expression is an aggregate call.
    pub fn is_aggregate(&self, expr: &Expr) -> bool {
        called(expr).is_some_and(|name| is_aggregate(&name, self.state))
    }

    /// The table function calls in an expression, with name and location.
    pub fn table_functions_in(&self, expr: &Expr) -> Vec<(String, Span)> {
        let mut found = Vec::new();
        each_own_expr(expr, &mut |expr: &Expr| {
            let makes_rows = |name: &String| Callee::of(name, self.state).is_some_and(Callee::makes_rows);
            found.extend(called(expr).filter(makes_rows).map(|name| (name, span_of(expr, self.span()))));
        });
        found
    }

    /// The type of an expression; errors in it are added to `errors`.
    pub fn ty(&self, expr: &Expr, errors: &mut Vec<Diagnostic>) -> Option<SqlType> {
        let span = Some(span_of(expr, self.span()));
        let compiled = Compiler::new(self.state, self.scope.schema())
            .map_err(|error| diagnose(&error, span))
            .and_then(|compiler| compiler.compile(&self.scope.lowered(expr), &self.scope.text(expr), span));
        compiled.map(|(_, ty)| ty).map_err(|found| errors.extend(found)).ok()
    }

    /// The value of a property in WITH, in upper case.
    pub fn property(&self, wanted: &str) -> Option<String> {
        let given = self.purpose.properties().iter().find(|p| p.name.eq_ignore_ascii_case(wanted))?;
        if let ast::Literal::String(text) = &given.value.value { Some(text.to_uppercase()) } else { None }
    }

    /// The row limit of LIMIT, or the location of the LIMIT if it is not an integer.
    pub fn limit(&self) -> Result<Option<u64>, Option<Span>> {
        limit(&self.query.body)
    }
}

/// The row limit of LIMIT in a continuous query, or its location if it is not an integer.
pub fn limit(body: &sqlparser::ast::Query) -> Result<Option<u64>, Option<Span>> {
    let Some(clause) = &body.limit_clause else { return Ok(None) };
    if let LimitClause::LimitOffset { limit: Some(Expr::Value(value)), offset: None, limit_by } = clause
        && limit_by.is_empty()
        && let Value::Number(digits, _) = &value.value
        && let Ok(limit) = digits.parse()
    {
        return Ok(Some(limit));
    }
    Err(place(clause.span()))
}

/// The name of the function that an expression calls, in upper case.
pub fn called(expr: &Expr) -> Option<String> {
    let Expr::Function(function) = expr else { return None };
    Some(function.name.to_string().to_uppercase())
}

/// The name, if the expression is a plain name.
pub fn identifier(expr: &Expr) -> Option<&str> {
    if let Expr::Identifier(name) = expr { Some(&name.value) } else { None }
}

fn is_star(item: &SelectItem) -> bool {
    matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
}

/// The columns that SELECT lists. When `*` is written to a topic, the window of a key stays in the key.
fn items(select: &Select, scope: &Scope, catalog: &Catalog, without_bounds: bool) -> Vec<Item> {
    let mut select = select.clone();
    select.projection.retain(|item| !(without_bounds && is_bound(item)));
    let written = select.projection.clone();
    if scope.members.len() == 1 {
        // The qualifier of the only source is removed, since it is not part of a column's name.
        select.projection.iter_mut().for_each(|item| unqualify(item, scope));
    }
    select.projection.iter_mut().for_each(|item| qualify(item, scope));
    naming::name_columns(&mut select, catalog);
    written.iter().zip(&select.projection).filter_map(|(written, named)| item(written, named)).collect()
}

/// Names a column after its source if another source has a column with the same name.
fn qualify(item: &mut SelectItem, scope: &Scope) {
    let SelectItem::UnnamedExpr(expr) = item else { return };
    let Some(column) = scope.column(expr) else { return };
    if scope.members.iter().filter(|member| member.has(&column.name)).count() > 1 {
        let alias = Ident::with_quote('`', scope.merged_name(&column));
        *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
    }
}

fn unqualify(item: &mut SelectItem, scope: &Scope) {
    if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
        *expr = scope.lowered(expr);
    }
}

/// An item as written, with its given or generated name.
fn item(written: &SelectItem, named: &SelectItem) -> Option<Item> {
    let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = written else { return None };
    let name = match named {
        SelectItem::ExprWithAlias { alias, .. } => alias.value.clone(),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => name.value.clone(),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => names.last()?.value.clone(),
        _ => return None,
    };
    Some(Item { name, expr: expr.clone(), span: place(written.span()).filter(|_| is_written(expr)) })
}

/// Whether an item is in the statement: the columns that `*` stands for have only the places of names in FROM.
fn is_written(expr: &Expr) -> bool {
    match expr {
        Expr::CompoundIdentifier(names) => names.last().is_some_and(|name| place(name.span).is_some()),
        _ => true,
    }
}

/// Whether an item is a window bound without an alias.
fn is_bound(item: &SelectItem) -> bool {
    let is_bound = |name: &Ident| [WINDOWSTART, WINDOWEND].contains(&name.value.as_str());
    match item {
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => is_bound(name),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => names.last().is_some_and(is_bound),
        _ => false,
    }
}

/// `*` beside PARTITION BY includes the new key, and has the columns of the former key last.
fn add_key(items: &mut Vec<Item>, partition_by: &[Expr], scope: &Scope) {
    let [only] = &scope.members[..] else { return };
    let former: BTreeSet<&str> = only.source.columns_of(&ColumnRole::Key).map(|c| c.name.as_str()).collect();
    items.sort_by_key(|item| match scope.lowered(&item.expr) {
        Expr::Identifier(name) => former.contains(name.value.as_str()) && item.name == name.value,
        _ => false,
    });
    let of_source = only.source.columns.iter().map(|column| &column.name);
    let mut names = FreeNames::beside(of_source.chain(items.iter().map(|item| &item.name)).cloned().collect());
    for expr in key::partition_by(partition_by, scope) {
        let lowered = scope.lowered(expr);
        let text = print::expr(&lowered);
        if !items.iter().any(|item| print::expr(&scope.lowered(&item.expr)) == text) {
            let name = identifier(&lowered).map_or_else(|| names.name(&lowered), str::to_owned);
            items.push(Item { name, expr: expr.clone(), span: place(expr.span()) });
        }
    }
}

/// The expressions of GROUP BY; a single list in parentheses is the same as without them.
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
