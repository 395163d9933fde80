//! The names and columns of the relations in FROM, as far as the statement and the catalog determine them.

use std::sync::Arc;

use headwater_formats::decode::{ROWOFFSET, ROWPARTITION, ROWTIME};
use headwater_language::catalog::Catalog;
use headwater_language::definition::SourceDef;
use sqlparser::ast::{
    Cte, ExcludeSelectItem, Expr, Ident, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind,
    SetExpr, TableAlias, TableFactor, TableWithJoins, WildcardAdditionalOptions,
};

use super::naming::name_columns;

/// The names defined by WITH, and the columns of each; none if they are unknown.
pub(super) type Named = Vec<(String, Option<Vec<String>>)>;

/// A relation in FROM.
#[derive(Clone, Debug)]
pub(super) struct Relation {
    /// The name that qualifies its columns; none if it has no name.
    pub alias: Option<Ident>,
    /// Its columns, if they are known. A subquery may have two of the same name.
    pub columns: Option<Vec<String>>,
    /// The definition, if the relation is a source.
    pub source: Option<Arc<SourceDef>>,
}

impl Relation {
    fn of(alias: Option<Ident>, columns: Option<Vec<String>>) -> Self {
        Self { alias, columns, source: None }
    }

    /// Whether it has a column of this name; none if that is unknown.
    pub fn has(&self, column: &str) -> Option<bool> {
        self.columns.as_ref().map(|columns| columns.iter().any(|name| name == column))
    }

    /// Whether it has two columns of this name.
    pub fn has_twice(&self, column: &str) -> bool {
        self.columns.iter().flatten().filter(|name| *name == column).count() > 1
    }

    /// The columns that `*` shows: address columns of a source are left out.
    pub fn visible(&self) -> Option<Vec<&str>> {
        match &self.source {
            Some(source) => Some(source.visible_columns()),
            None => self.columns.as_ref().map(|columns| columns.iter().map(String::as_str).collect()),
        }
    }
}

/// Resolves relations, given the names defined by WITH.
#[derive(Clone)]
pub(super) struct Namer<'a> {
    pub catalog: &'a Catalog,
    pub named: Named,
}

impl Namer<'_> {
    /// Adds the names that a query defines by WITH.
    pub fn name(&mut self, query: &Query) {
        query.with.iter().flat_map(|with| &with.cte_tables).for_each(|cte| self.name_one(cte));
    }

    /// Adds one of these names.
    pub fn name_one(&mut self, cte: &Cte) {
        let columns = renamed(|| self.columns_of(&cte.query), Some(&cte.alias));
        self.named.push((cte.alias.name.value.clone(), columns));
    }

    /// The relations of a FROM.
    pub fn relations(&self, from: &[TableWithJoins]) -> Vec<Relation> {
        let factors = from
            .iter()
            .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)));
        factors.flat_map(|factor| self.factor(factor)).collect()
    }

    /// The relations of one item of FROM: one, or those of a join in parentheses.
    pub fn factor(&self, factor: &TableFactor) -> Vec<Relation> {
        match factor {
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                self.relations(std::slice::from_ref(table_with_joins))
            }
            TableFactor::Table { name, alias, args: None, .. } => vec![self.table(name, alias.as_ref())],
            TableFactor::Derived { subquery, alias, .. } => {
                let columns = renamed(|| self.columns_of(subquery), alias.as_ref());
                vec![Relation::of(alias.as_ref().map(|alias| alias.name.clone()), columns)]
            }
            TableFactor::Table { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::TableFunction { alias, .. } => {
                let columns = renamed(|| None, alias.as_ref());
                vec![Relation::of(alias.as_ref().map(|alias| alias.name.clone()), columns)]
            }
            _ => vec![Relation::of(None, None)],
        }
    }

    fn table(&self, name: &ObjectName, alias: Option<&TableAlias>) -> Relation {
        let own = name.0.last().and_then(|part| part.as_ident());
        let called = alias.map(|alias| alias.name.clone()).or(own.cloned());
        let Some(own) = own else { return Relation::of(called, None) };
        if let Some(columns) = self.named(&own.value) {
            return Relation::of(called, renamed(|| columns.clone(), alias));
        }
        let source = self.source(&own.value).cloned();
        let columns = || {
            let visible = source.as_ref()?.visible_columns();
            Some(visible.into_iter().chain([ROWTIME, ROWPARTITION, ROWOFFSET]).map(str::to_owned).collect())
        };
        let columns = renamed(columns, alias);
        // With column aliases it is treated as a subquery.
        let source = source.clone().filter(|_| alias.is_none_or(|alias| alias.columns.is_empty()));
        Relation { alias: called, columns, source }
    }

    /// The columns of a relation that WITH defines under this name, if it does.
    fn named(&self, name: &str) -> Option<&Option<Vec<String>>> {
        self.named.iter().rev().find(|(named, _)| named == name).map(|(_, columns)| columns)
    }

    /// The source of this name, unless WITH defines the name.
    pub fn source(&self, name: &str) -> Option<&Arc<SourceDef>> {
        self.catalog.source(name).filter(|_| self.named(name).is_none())
    }

    /// The columns of a query, if they are known. Every `*` over a source has been expanded already.
    pub fn columns_of(&self, query: &Query) -> Option<Vec<String>> {
        if query.with.is_some() {
            let mut inner = self.clone();
            inner.name(query);
            return inner.columns_of_body(&query.body);
        }
        self.columns_of_body(&query.body)
    }

    fn columns_of_body(&self, body: &SetExpr) -> Option<Vec<String>> {
        match body {
            SetExpr::Select(select) => self.listed(select),
            SetExpr::Query(query) => self.columns_of(query),
            SetExpr::SetOperation { left, .. } => self.columns_of_body(left),
            SetExpr::Values(values) => {
                let columns = values.rows.first()?.content.len();
                Some((1..=columns).map(|number| format!("column{number}")).collect())
            }
            _ => None,
        }
    }

    /// The names of the columns in a SELECT list, including those that will be generated.
    pub fn listed(&self, select: &Select) -> Option<Vec<String>> {
        let has_name = |item: &SelectItem| !matches!(item, SelectItem::UnnamedExpr(expr) if !is_name(expr));
        let mut named = None;
        if !select.projection.iter().all(has_name) {
            let select = named.insert(select.clone());
            name_columns(select, self.catalog);
        }
        let select = named.as_ref().unwrap_or(select);
        // Resolved once for all items: the time it takes grows with the depth of the subqueries.
        let is_star = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
        let has_star = select.projection.iter().any(is_star);
        let relations = if has_star { self.relations(&select.from) } else { Vec::new() };
        let names: Option<Vec<_>> = select.projection.iter().map(|item| names_of(item, &relations)).collect();
        names.map(|names| names.concat())
    }
}

/// The names of the columns of an item of a SELECT list.
fn names_of(item: &SelectItem, relations: &[Relation]) -> Option<Vec<String>> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(vec![alias.value.clone()]),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(vec![name.value.clone()]),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => Some(vec![names.last()?.value.clone()]),
        SelectItem::Wildcard(options) => shown(relations, options),
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
            let called = &name.0.last()?.as_ident()?.value;
            let is_it = |relation: &&Relation| relation.alias.as_ref().is_some_and(|alias| alias.value == *called);
            shown(std::slice::from_ref(relations.iter().find(is_it)?), options)
        }
        _ => None,
    }
}

/// Whether an expression always has its own name. The name of `x.k` may be generated if another column is called K.
fn is_name(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(_))
}

/// The columns that `*` shows for these relations.
fn shown(relations: &[Relation], options: &WildcardAdditionalOptions) -> Option<Vec<String>> {
    let excluded = excluded(options);
    let is_shown = |name: &&str| !excluded.iter().any(|excluded| excluded.value == **name);
    let mut names = Vec::new();
    for relation in relations {
        names.extend(relation.visible()?.into_iter().filter(is_shown).map(str::to_owned));
    }
    Some(names)
}

/// The names that a `*` leaves out.
pub(super) fn excluded(options: &WildcardAdditionalOptions) -> Vec<Ident> {
    let last = |name: &ObjectName| name.0.last().and_then(|part| part.as_ident()).cloned();
    let excluded = match &options.opt_exclude {
        Some(ExcludeSelectItem::Single(name)) => last(name).into_iter().collect(),
        Some(ExcludeSelectItem::Multiple(names)) => names.iter().filter_map(last).collect(),
        None => Vec::new(),
    };
    let except = options.opt_except.iter();
    let except = except.flat_map(|except| std::iter::once(&except.first_element).chain(&except.additional_elements));
    excluded.into_iter().chain(except.cloned()).collect()
}

/// The column names that an alias gives, or else the columns themselves.
fn renamed(columns: impl FnOnce() -> Option<Vec<String>>, alias: Option<&TableAlias>) -> Option<Vec<String>> {
    match alias {
        Some(alias) if !alias.columns.is_empty() => {
            Some(alias.columns.iter().map(|column| column.name.value.clone()).collect())
        }
        _ => columns(),
    }
}
