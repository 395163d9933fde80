//! `*` and names of sources, settled before DataFusion sees the query.
//!
//! Every source has the address columns ROWTIME, ROWPARTITION and ROWOFFSET, which `SELECT *` leaves
//! out; DataFusion knows no such columns, so `*` over a source becomes the list of its visible
//! columns here. In a join they are called `ALIAS_COLUMN`, as ksqlDB calls them. A `*` over a
//! subquery stays: its columns are what it selects. NATURAL joins become USING for the same reason.
//!
//! Relations that are neither in the catalog nor a common table expression are reported here, with
//! their place in the text.

use std::ops::ControlFlow;
use std::sync::Arc;

use sqlparser::ast::{
    AccessExpr, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, Join,
    JoinConstraint, JoinOperator, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, Spanned as _,
    TableFactor, TableWithJoins, Value, VisitorMut, WildcardAdditionalOptions, With,
};

use super::types::resolve;
use crate::catalog::{Catalog, SourceDef};
use crate::diagnostic::{Diagnostic, NOT_SUPPORTED, UNKNOWN_COLUMN, UNKNOWN_SOURCE, nearest, other_case};
use crate::sql::expr_forms::{cast_ast, cast_type, struct_star};
use crate::sql::{ast::Spanned, walk_mut};
use crate::types::SqlType;

/// Settles every `*` and every relation of a query. Reports what does not exist.
pub fn expand(query: &mut Query, catalog: &Catalog) -> Vec<Diagnostic> {
    let mut expander = Expander { catalog, ctes: Vec::new(), withs: Vec::new(), errors: Vec::new() };
    walk_mut(query, &mut expander);
    expander.errors
}

/// Replaces the types that CREATE TYPE made in the CASTs of an expression. Reports what does not exist.
pub fn resolve_types(expr: &mut Expr, catalog: &Catalog, errors: &mut Vec<Diagnostic>) {
    let mut expander = Expander { catalog, ctes: Vec::new(), withs: Vec::new(), errors: Vec::new() };
    walk_mut(expr, &mut expander);
    errors.append(&mut expander.errors);
}

struct Expander<'a> {
    catalog: &'a Catalog,
    /// Names of the common table expressions in scope.
    ctes: Vec<String>,
    /// WITH clauses taken out while the query they belong to is visited, and how many names to keep after it.
    withs: Vec<(Option<With>, usize)>,
    errors: Vec<Diagnostic>,
}

/// A relation in FROM.
struct Relation {
    /// What its columns are qualified with.
    alias: Option<Ident>,
    /// What it is, when it is a source.
    source: Option<Arc<SourceDef>>,
    /// Columns that a USING merged into the relation before it.
    merged: Vec<String>,
}

impl VisitorMut for Expander<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let scope = self.ctes.len();
        let mut with = query.with.take();
        let recursive = with.as_ref().is_some_and(|w| w.recursive);
        for cte in with.iter_mut().flat_map(|w| &mut w.cte_tables) {
            let name = cte.alias.name.value.clone();
            if recursive {
                self.ctes.push(name.clone());
            }
            walk_mut(&mut cte.query, self);
            self.ctes.push(name);
        }
        self.withs.push((with, scope));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some((with, scope)) = self.withs.pop() {
            query.with = with;
            self.ctes.truncate(scope);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut relations = Vec::new();
        for from in &mut select.from {
            self.relations(from, &mut relations);
        }
        let items = std::mem::take(&mut select.projection);
        select.projection = items.into_iter().flat_map(|item| self.item(item, &relations)).collect();
        ControlFlow::Continue(())
    }

    /// A CAST may name a type that CREATE TYPE made.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let span = expr.span();
        if let Expr::Cast { data_type, .. } = expr
            && let Some(value) = cast_type(data_type)
        {
            let span = crate::sql::place(span).unwrap_or_default();
            match resolve(&Spanned { value, span }, self.catalog) {
                Ok(ty) => *data_type = cast_ast(&ty),
                Err(error) => self.errors.push(*error),
            }
        }
        ControlFlow::Continue(())
    }
}

impl Expander<'_> {
    fn relations(&mut self, from: &mut TableWithJoins, out: &mut Vec<Relation>) {
        let first = out.len();
        self.factor(&mut from.relation, out);
        for join in &mut from.joins {
            let right = out.len();
            self.factor(&mut join.relation, out);
            let (before, joined) = out[first..].split_at_mut(right - first);
            settle_natural(join, before, joined);
            merge(join, before, joined);
        }
    }

    /// The relations of one item of FROM: one, or those of a join in parentheses.
    fn factor(&mut self, factor: &mut TableFactor, out: &mut Vec<Relation>) {
        match factor {
            TableFactor::NestedJoin { table_with_joins, alias: None } => self.relations(table_with_joins, out),
            other => {
                let relation = self.relation(other);
                out.push(relation);
            }
        }
    }

    fn relation(&mut self, factor: &mut TableFactor) -> Relation {
        let named = |alias: Option<Ident>| Relation { alias, source: None, merged: Vec::new() };
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let source = self.source(name);
                let own = name.0.last().and_then(|part| part.as_ident().cloned());
                let alias = alias.as_ref().map(|a| a.name.clone()).or(own);
                Relation { alias, source, merged: Vec::new() }
            }
            TableFactor::Table { alias, .. }
            | TableFactor::Derived { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::TableFunction { alias, .. } => named(alias.as_ref().map(|a| a.name.clone())),
            _ => named(None),
        }
    }

    fn source(&mut self, name: &ObjectName) -> Option<Arc<SourceDef>> {
        let [part] = &name.0[..] else {
            self.unknown(name);
            return None;
        };
        let ident = part.as_ident()?;
        if self.ctes.contains(&ident.value) {
            return None;
        }
        let found = self.catalog.source(&ident.value).cloned();
        if found.is_none() {
            self.unknown(name);
        }
        found
    }

    fn unknown(&mut self, name: &ObjectName) {
        let text = name.0.iter().filter_map(|p| p.as_ident()).map(|i| i.value.as_str()).collect::<Vec<_>>().join(".");
        let span = name.0.first().and_then(|p| p.as_ident()).and_then(|i| crate::sql::place(i.span));
        let error = Diagnostic {
            span,
            ..Diagnostic::new(UNKNOWN_SOURCE, format!("stream or table \"{text}\" does not exist"))
        };
        let near = nearest(&text, self.catalog.sources().map(|s| s.name.as_str()));
        self.errors.push(match near {
            Some(near) if near.eq_ignore_ascii_case(&text) => error.hint(other_case(near)),
            Some(near) => error.hint(format!("Did you mean \"{near}\"?")),
            None => error.hint(
                "SHOW STREAMS; and SHOW TABLES; list what there is, SHOW TOPICS; the topics to declare one over.",
            ),
        });
    }

    fn item(&mut self, item: SelectItem, relations: &[Relation]) -> Vec<SelectItem> {
        match item {
            SelectItem::Wildcard(options) => {
                let prefixed = relations.len() > 1;
                let excluded = self.excluded(&options);
                self.check_excluded(&excluded, &relations.iter().collect::<Vec<_>>());
                let items: Vec<_> = relations.iter().flat_map(|r| columns(r, prefixed, &excluded, &options)).collect();
                if let Some(last) = excluded.last().filter(|_| items.is_empty()) {
                    let error = Diagnostic::new(UNKNOWN_COLUMN, "nothing is left of \"*\"");
                    self.errors.push(error.at_maybe(crate::sql::place(last.span)));
                }
                items
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                let alias = name.0.last().and_then(|p| p.as_ident()).map(|i| i.value.clone());
                let excluded = self.excluded(&options);
                let relation = relations.iter().find(|r| r.alias.as_ref().map(|a| &a.value) == alias.as_ref());
                if relation.is_none() && relations.iter().all(|relation| relation.alias.is_some()) {
                    self.unknown_alias(&name, relations);
                    return Vec::new();
                }
                match relation.filter(|r| r.source.is_some()) {
                    Some(relation) => {
                        self.check_excluded(&excluded, &[relation]);
                        columns(relation, relations.len() > 1, &excluded, &options)
                    }
                    None => {
                        vec![SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options)]
                    }
                }
            }
            other => match struct_star(&other) {
                Some(access) => self.struct_fields(access, relations),
                None => vec![other],
            },
        }
    }

    /// Reports `x.*` where nothing in FROM is called x.
    fn unknown_alias(&mut self, name: &ObjectName, relations: &[Relation]) {
        let ident = name.0.last().and_then(|part| part.as_ident());
        let alias = ident.map_or_else(|| name.to_string(), |ident| ident.value.clone());
        let names = relations.iter().filter_map(|r| r.alias.as_ref()).map(|a| a.value.as_str());
        let error = Diagnostic::new(UNKNOWN_COLUMN, format!("nothing in FROM is called \"{alias}\""))
            .at_maybe(ident.and_then(|ident| crate::sql::place(ident.span)));
        self.errors.push(error.nearest_of(&alias, names));
    }

    /// `s->*`: an item for each field of the struct, which must be a column of a source or a field in one.
    fn struct_fields(&mut self, access: &Expr, relations: &[Relation]) -> Vec<SelectItem> {
        if let Some(items) = struct_items(access, relations) {
            return items;
        }
        let error =
            Diagnostic::new(NOT_SUPPORTED, "\"->*\" is only supported behind a struct column of a stream or table");
        self.errors.push(error.at_maybe(crate::sql::place(access.span())).hint("Name the fields one by one."));
        Vec::new()
    }

    /// Reports what is to be left out of `*` and is not in it. Of what is no source DataFusion knows the columns.
    fn check_excluded(&mut self, excluded: &[Ident], relations: &[&Relation]) {
        if relations.iter().any(|relation| relation.source.is_none()) {
            return;
        }
        let shown: Vec<&str> =
            relations.iter().filter_map(|r| r.source.as_ref()).flat_map(|s| s.visible_columns()).collect();
        for name in excluded.iter().filter(|name| !shown.contains(&name.value.as_str())) {
            let message = format!("column \"{}\" is not among those of \"*\"", name.value);
            let error = Diagnostic::new(UNKNOWN_COLUMN, message).at_maybe(crate::sql::place(name.span));
            self.errors.push(error.nearest_of(&name.value, shown.iter().copied()));
        }
    }

    fn excluded(&mut self, options: &WildcardAdditionalOptions) -> Vec<Ident> {
        use sqlparser::ast::ExcludeSelectItem::{Multiple, Single};
        let unsupported = options.opt_ilike.is_some() || options.opt_replace.is_some() || options.opt_rename.is_some();
        if unsupported {
            let message = "ILIKE, REPLACE and RENAME after \"*\" are not supported yet";
            self.errors.push(
                Diagnostic::new(NOT_SUPPORTED, message).at_maybe(crate::sql::place(options.wildcard_token.0.span)),
            );
        }
        let last = |name: &ObjectName| name.0.last().and_then(|p| p.as_ident()).cloned();
        let excluded = match &options.opt_exclude {
            Some(Single(name)) => last(name).into_iter().collect(),
            Some(Multiple(names)) => names.iter().filter_map(last).collect(),
            None => Vec::new(),
        };
        let except =
            options.opt_except.iter().flat_map(|e| std::iter::once(&e.first_element).chain(&e.additional_elements));
        excluded.into_iter().chain(except.cloned()).collect()
    }
}

/// The columns that `*` shows of a relation.
fn columns(
    relation: &Relation,
    prefixed: bool,
    excluded: &[Ident],
    options: &WildcardAdditionalOptions,
) -> Vec<SelectItem> {
    let (Some(source), Some(alias)) = (&relation.source, &relation.alias) else {
        let kind =
            relation.alias.clone().map(|a| SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(vec![a])));
        return vec![match kind {
            Some(kind) => SelectItem::QualifiedWildcard(kind, options.clone()),
            None => SelectItem::Wildcard(options.clone()),
        }];
    };
    let shown = source.visible_columns();
    let shown = shown
        .into_iter()
        .filter(|c| !excluded.iter().any(|e| e.value == *c) && !relation.merged.iter().any(|m| m == c));
    shown.map(|column| column_item(alias, column, prefixed)).collect()
}

fn column_item(alias: &Ident, column: &str, prefixed: bool) -> SelectItem {
    let expr = Expr::CompoundIdentifier(vec![alias.clone(), Ident::new(column)]);
    match prefixed {
        true => SelectItem::ExprWithAlias { expr, alias: Ident::new(format!("{}_{column}", alias.value)) },
        false => SelectItem::UnnamedExpr(expr),
    }
}

fn constraint(join: &mut Join) -> Option<&mut JoinConstraint> {
    use JoinOperator::{FullOuter, Inner, Left, LeftOuter, Right, RightOuter};
    match &mut join.join_operator {
        JoinOperator::Join(c) | Inner(c) | Left(c) | LeftOuter(c) | Right(c) | RightOuter(c) | FullOuter(c) => Some(c),
        _ => None,
    }
}

/// A NATURAL join of sources is one USING their common visible columns: the address columns, which
/// all have in common, do not count. Without a common column it is a CROSS JOIN.
fn settle_natural(join: &mut Join, before: &[Relation], joined: &[Relation]) {
    if before.iter().chain(joined).any(|r| r.source.is_none()) {
        return;
    }
    let Some(constraint) = constraint(join).filter(|c| **c == JoinConstraint::Natural) else { return };
    let left = visible(before);
    let common: Vec<String> = visible(joined).into_iter().filter(|c| left.contains(c)).collect();
    if common.is_empty() {
        join.join_operator = JoinOperator::CrossJoin(JoinConstraint::None);
        return;
    }
    *constraint = JoinConstraint::Using(common.into_iter().map(|c| ObjectName::from(vec![Ident::new(c)])).collect());
}

fn visible(relations: &[Relation]) -> Vec<String> {
    let columns = relations.iter().flat_map(|r| r.source.iter()).flat_map(|s| s.visible_columns());
    columns.map(str::to_owned).collect()
}

/// Of the two columns of a USING the one stays in `*` that is never missing: the right one of a RIGHT
/// join, else the left one. A FULL join shows both.
fn merge(join: &mut Join, before: &mut [Relation], joined: &mut [Relation]) {
    let hidden = match join.join_operator {
        JoinOperator::FullOuter(_) => return,
        JoinOperator::Right(_) | JoinOperator::RightOuter(_) => before,
        _ => joined,
    };
    let columns = using_columns(join);
    hidden.iter_mut().for_each(|relation| relation.merged.extend(columns.iter().cloned()));
}

fn using_columns(join: &mut Join) -> Vec<String> {
    match constraint(join) {
        Some(JoinConstraint::Using(names)) => {
            names.iter().filter_map(|n| n.0.last()).filter_map(|p| p.as_ident()).map(|i| i.value.clone()).collect()
        }
        _ => Vec::new(),
    }
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
    let item = |field: crate::types::StructField| {
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

/// A call of a function of DataFusion.
pub fn call(name: &str, args: Vec<Expr>) -> Expr {
    let args = args.into_iter().map(|a| FunctionArg::Unnamed(FunctionArgExpr::Expr(a))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}
