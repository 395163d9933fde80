//! Reports all unknown columns of a query at once, as far as they can be found without planning it.
//!
//! DataFusion stops at the first. Names are resolved here if a SELECT reads only sources of the catalog; subqueries,
//! lambdas and the like introduce names of their own and are left to DataFusion.

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;

use headwater_expression::errors::unknown_column_of;
use headwater_language::catalog::Catalog;
use headwater_language::diagnostic::{Diagnostic, UNKNOWN_COLUMN};
use headwater_language::sql::walk;
use sqlparser::ast::{
    Expr, GroupByExpr, Ident, OrderByKind, Query, Select, SelectItem, SetExpr, Spanned as _, TableFactor,
    TableWithJoins, Visitor,
};

use super::naming::name_columns;

/// The columns that do not exist, by position; empty if names cannot be resolved here. Every `*` has been expanded
/// already.
pub fn unknown(query: &Query, catalog: &Catalog) -> Vec<Diagnostic> {
    let (SetExpr::Select(select), None) = (query.body.as_ref(), &query.with) else { return Vec::new() };
    let Some(sources) = sources(select, catalog) else { return Vec::new() };
    let mut names = Names { sources, aliases: aliases(select, catalog), told: BTreeSet::new(), errors: Vec::new() };
    if !walk(select.as_ref(), &mut Foreign) || !walk(&query.order_by, &mut Foreign) {
        return Vec::new();
    }
    names.look(select, query);
    names.errors
}

/// A source in FROM, under the name that qualifies its columns.
struct Source {
    alias: String,
    columns: Vec<String>,
    /// The same columns for lookup: a source may have thousands.
    known: HashSet<String>,
}

fn sources(select: &Select, catalog: &Catalog) -> Option<Vec<Source>> {
    let factors = select.from.iter().flat_map(|TableWithJoins { relation, joins }| {
        std::iter::once(relation).chain(joins.iter().map(|join| &join.relation))
    });
    let sources: Option<Vec<Source>> = factors.map(|factor| source(factor, catalog)).collect();
    sources.filter(|sources| !sources.is_empty())
}

fn source(factor: &TableFactor, catalog: &Catalog) -> Option<Source> {
    let TableFactor::Table { name, alias, args: None, .. } = factor else { return None };
    let [part] = &name.0[..] else { return None };
    let name = &part.as_ident()?.value;
    if alias.as_ref().is_some_and(|alias| !alias.columns.is_empty()) {
        return None;
    }
    let spec = catalog.source(name)?.topic_spec().ok()?;
    let schema = spec.schema();
    let columns: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let known = columns.iter().cloned().collect();
    Some(Source { alias: alias.as_ref().map_or(name, |alias| &alias.name.value).clone(), columns, known })
}

/// The names of the result's columns.
fn aliases(select: &Select, catalog: &Catalog) -> HashSet<String> {
    let mut select = select.clone();
    name_columns(&mut select, catalog);
    let alias = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
        _ => None,
    };
    select.projection.iter().filter_map(alias).collect()
}

/// Stops the visit at expressions that introduce names of their own.
struct Foreign;

impl Visitor for Foreign {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Lambda(_) | Expr::Interval(_) | Expr::Extract { .. } => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}

struct Names {
    sources: Vec<Source>,
    /// Names that GROUP BY, HAVING and ORDER BY may also use.
    aliases: HashSet<String>,
    /// The names reported already.
    told: BTreeSet<String>,
    errors: Vec<Diagnostic>,
}

impl Names {
    fn look(&mut self, select: &Select, query: &Query) {
        let aliases = std::mem::take(&mut self.aliases);
        walk(&select.projection, self);
        walk(&select.selection, self);
        self.aliases = aliases;
        if let GroupByExpr::Expressions(expressions, _) = &select.group_by {
            walk(expressions, self);
        }
        walk(&select.having, self);
        if let Some(OrderByKind::Expressions(expressions)) = query.order_by.as_ref().map(|order| &order.kind) {
            walk(expressions, self);
        }
    }

    fn check(&mut self, qualifier: Option<&Ident>, name: &Ident, expr: &Expr) {
        let of_qualifier = |source: &&Source| qualifier.is_none_or(|qualifier| qualifier.value == source.alias);
        let is_alias = qualifier.is_none() && self.aliases.contains(&name.value);
        if is_alias || self.sources.iter().filter(of_qualifier).any(|source| source.known.contains(&name.value)) {
            return;
        }
        let text = expr.to_string();
        if self.told.contains(&text) {
            return;
        }
        let columns: Vec<&str> =
            self.sources.iter().filter(of_qualifier).flat_map(|s| &s.columns).map(String::as_str).collect();
        let error = match qualifier {
            Some(qualifier) if columns.is_empty() => self.unknown_source(&qualifier.value),
            _ => unknown_column_of(&name.value, columns),
        };
        self.errors.push(error.at_maybe(headwater_language::sql::place(expr.span())));
        self.told.insert(text);
    }

    fn unknown_source(&self, qualifier: &str) -> Diagnostic {
        let names: Vec<&str> = self.sources.iter().map(|source| source.alias.as_str()).collect();
        let listed: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
        let error = Diagnostic::new(UNKNOWN_COLUMN, format!("FROM has no relation \"{qualifier}\""))
            .detail(format!("FROM has {}.", listed.join(", ")));
        error.nearest_of(qualifier, names)
    }
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(name) => self.check(None, name, expr),
            Expr::CompoundIdentifier(names) => {
                if let [qualifier, name] = &names[..] {
                    self.check(Some(qualifier), name, expr);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
