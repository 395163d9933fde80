//! Expands `*` and resolves the names of sources before DataFusion sees the query.
//!
//! Every source has the address columns ROWTIME, ROWPARTITION and ROWOFFSET, which `SELECT *` leaves out; DataFusion
//! does not have hidden columns, so `*` over a source is replaced here with the list of its visible columns
//! (`super::wildcard`). NATURAL joins become USING for the same reason.
//!
//! Relations that are neither in the catalog nor a common table expression are reported here, with their location in the
//! statement.

use std::ops::ControlFlow;

use headwater_language::catalog::Catalog;
use headwater_language::diagnostic::{Diagnostic, NOT_SUPPORTED, UNKNOWN_COLUMN, UNKNOWN_SOURCE, nearest, other_case};
use headwater_language::sql::expr_forms::{cast_ast, cast_type, struct_star};
use headwater_language::sql::{ast::Spanned, parse_expr, walk_mut};
use headwater_language::types::SqlType;
use sqlparser::ast::{
    AccessExpr, Expr, Ident, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    Spanned as _, TableAlias, TableFactor, TableWithJoins, Value, VisitorMut, WildcardAdditionalOptions,
};

use super::merged::{Joined, settle_natural};
use super::relations::{Relation, excluded};
use super::scope::{Scope, Scoped, enter, leave};
use super::types::resolve;
use super::{unnamed, wildcard};

/// Expands every `*` and resolves every relation of a query. Returns the errors for those that do not exist.
pub fn expand(query: &mut Query, catalog: &Catalog) -> Vec<Diagnostic> {
    let mut expander = Expander::new(catalog);
    walk_mut(query, &mut expander);
    expander.errors
}

/// Resolves the types created by CREATE TYPE in the CASTs of an expression. Reports those that do not exist.
pub fn resolve_types(expr: &mut Expr, catalog: &Catalog, errors: &mut Vec<Diagnostic>) {
    let mut expander = Expander::new(catalog);
    walk_mut(expr, &mut expander);
    errors.append(&mut expander.errors);
}

struct Expander<'a> {
    scope: Scope<'a>,
    /// The number of subqueries that were given a name.
    unnamed: usize,
    errors: Vec<Diagnostic>,
}

impl<'a> Expander<'a> {
    fn new(catalog: &'a Catalog) -> Self {
        Self { scope: Scope::new(catalog), unnamed: 0, errors: Vec::new() }
    }
}

impl<'a> Scoped<'a> for Expander<'a> {
    fn scope(&mut self) -> &mut Scope<'a> {
        &mut self.scope
    }
}

impl VisitorMut for Expander<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        enter(self, query);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        leave(self, query);
        ControlFlow::Continue(())
    }

    /// Rewrites `(p JOIN q …) AS z` as a subquery that selects what the join shows, under the same names.
    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::NestedJoin { table_with_joins, alias: Some(alias) } = factor {
            unnamed::name(table_with_joins, &mut self.unnamed);
            let joined = self.joined(table_with_joins);
            let shown = wildcard::by_own_names(&joined);
            let named = selected(shown, table_with_joins, alias);
            *factor = named.unwrap_or_else(|| factor.clone());
        }
        ControlFlow::Continue(())
    }

    /// Runs after the subqueries were visited, when their columns are known.
    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        select.from.iter_mut().for_each(|from| unnamed::name(from, &mut self.unnamed));
        let mut all = Joined::default();
        for from in &mut select.from {
            let joined = self.joined(from);
            all.beside(joined);
        }
        let items = std::mem::take(&mut select.projection);
        select.projection = items.into_iter().flat_map(|item| self.item(item, &all)).collect();
        ControlFlow::Continue(())
    }

    /// Resolves the type of a CAST, which CREATE TYPE may have created.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let span = expr.span();
        if let Expr::Cast { data_type, .. } = expr
            && let Some(value) = cast_type(data_type)
        {
            let span = headwater_language::sql::place(span).unwrap_or_default();
            match resolve(&Spanned { value, span }, self.scope.namer.catalog) {
                Ok(ty) => *data_type = cast_ast(&ty),
                Err(error) => self.errors.push(*error),
            }
        }
        ControlFlow::Continue(())
    }
}

impl Expander<'_> {
    fn joined(&mut self, from: &mut TableWithJoins) -> Joined {
        let mut joined = self.factor(&mut from.relation);
        for join in &mut from.joins {
            let right = self.factor(&mut join.relation);
            settle_natural(join, &joined, &right);
            joined.join(&join.join_operator, right);
        }
        joined
    }

    /// The relations of one item of FROM: one, or those of a join in parentheses.
    fn factor(&mut self, factor: &mut TableFactor) -> Joined {
        match factor {
            TableFactor::NestedJoin { table_with_joins, alias: None } => return self.joined(table_with_joins),
            TableFactor::Table { name, args: None, .. } => self.check_name(name),
            _ => {}
        }
        Joined { relations: self.scope.namer.factor(factor), merged: Vec::new() }
    }

    fn check_name(&mut self, name: &ObjectName) {
        let namer = &self.scope.namer;
        let is_known = match &name.0[..] {
            [part] => part.as_ident().is_none_or(|name| {
                namer.named.iter().any(|(named, _)| *named == name.value) || namer.catalog.source(&name.value).is_some()
            }),
            _ => false,
        };
        if !is_known {
            self.unknown(name);
        }
    }

    fn unknown(&mut self, name: &ObjectName) {
        let text = name.0.iter().filter_map(|p| p.as_ident()).map(|i| i.value.as_str()).collect::<Vec<_>>().join(".");
        let span = name.0.first().and_then(|p| p.as_ident()).and_then(|i| headwater_language::sql::place(i.span));
        let error = Diagnostic {
            span,
            ..Diagnostic::new(UNKNOWN_SOURCE, format!("stream or table \"{text}\" does not exist"))
        };
        let near = nearest(&text, self.scope.namer.catalog.sources().map(|s| s.name.as_str()));
        self.errors.push(match near {
            Some(near) if near.eq_ignore_ascii_case(&text) => error.hint(other_case(near)),
            Some(near) => error.hint(format!("Did you mean \"{near}\"?")),
            None => {
                error.hint("SHOW STREAMS; and SHOW TABLES; list the existing ones, and SHOW TOPICS; lists the topics.")
            }
        });
    }

    fn item(&mut self, item: SelectItem, joined: &Joined) -> Vec<SelectItem> {
        match item {
            SelectItem::Wildcard(options) => {
                let excluded = self.excluded(&options);
                self.check_excluded(&excluded, &joined.relations);
                let items = wildcard::all(joined, &excluded, &options);
                if let Some(last) = excluded.last().filter(|_| items.is_empty()) {
                    let error = Diagnostic::new(UNKNOWN_COLUMN, "EXCEPT leaves no column of \"*\"");
                    self.errors.push(error.at_maybe(headwater_language::sql::place(last.span)));
                }
                items
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                self.qualified(name, options, joined)
            }
            other => match struct_star(&other) {
                Some(access) => self.struct_fields(access, &joined.relations),
                None => vec![other],
            },
        }
    }

    /// Expands `x.*`.
    fn qualified(&mut self, name: ObjectName, options: WildcardAdditionalOptions, joined: &Joined) -> Vec<SelectItem> {
        let relations = &joined.relations;
        let alias = name.0.last().and_then(|p| p.as_ident()).map(|i| i.value.clone());
        let excluded = self.excluded(&options);
        let found = relations.iter().position(|r| r.alias.as_ref().map(|a| &a.value) == alias.as_ref());
        if found.is_none() && relations.iter().all(|relation| relation.alias.is_some()) {
            self.unknown_alias(&name, relations);
            return Vec::new();
        }
        if let Some(at) = found {
            self.check_excluded(&excluded, &relations[at..=at]);
            if let Some(items) = wildcard::of_source(joined, at, &excluded) {
                return items;
            }
        }
        vec![SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options)]
    }

    /// Reports `x.*` if no relation in FROM is called x.
    fn unknown_alias(&mut self, name: &ObjectName, relations: &[Relation]) {
        let ident = name.0.last().and_then(|part| part.as_ident());
        let alias = ident.map_or_else(|| name.to_string(), |ident| ident.value.clone());
        let names = relations.iter().filter_map(|r| r.alias.as_ref()).map(|a| a.value.as_str());
        let error = Diagnostic::new(UNKNOWN_COLUMN, format!("FROM has no relation \"{alias}\""))
            .at_maybe(ident.and_then(|ident| headwater_language::sql::place(ident.span)));
        self.errors.push(error.nearest_of(&alias, names));
    }

    /// Expands `s->*`: an item for each field of the struct, which must be a column of a source or a field of one.
    fn struct_fields(&mut self, access: &Expr, relations: &[Relation]) -> Vec<SelectItem> {
        if let Some(items) = struct_items(access, relations) {
            return items;
        }
        let error =
            Diagnostic::new(NOT_SUPPORTED, "\"->*\" is supported only after a struct column of a stream or table");
        self.errors
            .push(error.at_maybe(headwater_language::sql::place(access.span())).hint("List the fields instead."));
        Vec::new()
    }

    /// Reports columns to leave out of `*` that it does not contain, if the columns are known.
    fn check_excluded(&mut self, excluded: &[Ident], relations: &[Relation]) {
        let shown: Option<Vec<Vec<&str>>> = relations.iter().map(Relation::visible).collect();
        let Some(shown) = shown.map(|shown| shown.concat()) else { return };
        for name in excluded.iter().filter(|name| !shown.contains(&name.value.as_str())) {
            let message = format!("column \"{}\" is not part of \"*\"", name.value);
            let error = Diagnostic::new(UNKNOWN_COLUMN, message).at_maybe(headwater_language::sql::place(name.span));
            self.errors.push(error.nearest_of(&name.value, shown.iter().copied()));
        }
    }

    fn excluded(&mut self, options: &WildcardAdditionalOptions) -> Vec<Ident> {
        let unsupported = options.opt_ilike.is_some() || options.opt_replace.is_some() || options.opt_rename.is_some();
        if unsupported {
            let message = "ILIKE, REPLACE and RENAME after \"*\" are not supported yet";
            self.errors.push(
                Diagnostic::new(NOT_SUPPORTED, message)
                    .at_maybe(headwater_language::sql::place(options.wildcard_token.0.span)),
            );
        }
        excluded(options)
    }
}

/// Builds a subquery in FROM.
fn selected(items: Vec<SelectItem>, from: &TableWithJoins, alias: &TableAlias) -> Option<TableFactor> {
    let Ok(Expr::Subquery(mut subquery)) = parse_expr("(SELECT 1)") else { return None };
    let SetExpr::Select(select) = subquery.body.as_mut() else { return None };
    select.projection = items;
    select.from = vec![from.clone()];
    Some(TableFactor::Derived { lateral: false, subquery, alias: Some(alias.clone()), sample: None })
}

fn struct_items(access: &Expr, relations: &[Relation]) -> Option<Vec<SelectItem>> {
    let Expr::CompoundFieldAccess { root, access_chain } = access else { return None };
    let mut ty = column_type(root, relations)?;
    let links = access_chain.split_last()?.1;
    for link in links {
        ty = match (ty, link) {
            (SqlType::Struct(fields), AccessExpr::Dot(Expr::Value(name))) => {
                let name = name.value.clone().into_string()?;
                fields.into_iter().find(|f| f.name == name)?.ty
            }
            (SqlType::Array(item), AccessExpr::Subscript(_)) => *item,
            (SqlType::Map(_, value), AccessExpr::Subscript(_)) => *value,
            _ => return None,
        };
    }
    let SqlType::Struct(fields) = ty else { return None };
    let item = |field: headwater_language::types::StructField| {
        let name = Expr::value(Value::SingleQuotedString(field.name));
        let access_chain = links.iter().cloned().chain([AccessExpr::Dot(name)]).collect();
        SelectItem::UnnamedExpr(Expr::CompoundFieldAccess { root: root.clone(), access_chain })
    };
    Some(fields.into_iter().map(item).collect())
}

/// The type of a column of the sources, by its name.
fn column_type(expr: &Expr, relations: &[Relation]) -> Option<SqlType> {
    let (alias, name) = match expr {
        Expr::Identifier(name) => (None, name),
        Expr::CompoundIdentifier(names) => match &names[..] {
            [alias, name] => (Some(&alias.value), name),
            _ => return None,
        },
        _ => return None,
    };
    let named = |r: &&Relation| alias.is_none() || r.alias.as_ref().map(|a| &a.value) == alias;
    let mut sources = relations.iter().filter(named).filter_map(|r| r.source.as_ref());
    sources.find_map(|s| s.column(&name.value)).map(|c| c.ty.clone())
}
