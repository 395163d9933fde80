//! The columns that `*` shows for the relations in FROM.
//!
//! ```text
//! p JOIN q                      P_K, P_V, Q_K, Q_W    columns of sources, as ksqlDB calls them
//! p JOIN q USING (k)            P_K, P_V, Q_W
//! p JOIN (SELECT …) AS y        P_K, P_V, K, W        a subquery's columns keep their names
//! p JOIN (SELECT …) AS y USING (k)    K, P_V, W       so does a column merged with one of them
//! ```

use sqlparser::ast::{
    ExceptSelectItem, Expr, Ident, ObjectName, SelectItem, SelectItemQualifiedWildcardKind, WildcardAdditionalOptions,
};

use super::merged::{Joined, Shown};
use super::relations::Relation;

/// The items that `*` expands to. A relation whose columns are unknown keeps a `*` of its own.
pub(super) fn all(joined: &Joined, excluded: &[Ident], options: &WildcardAdditionalOptions) -> Vec<SelectItem> {
    shown(joined, excluded, options, joined.relations.len() > 1)
}

/// The items that `*` would expand to if columns of joined sources kept their names.
pub(super) fn by_own_names(joined: &Joined) -> Vec<SelectItem> {
    shown(joined, &[], &WildcardAdditionalOptions::default(), false)
}

fn shown(
    joined: &Joined,
    excluded: &[Ident],
    options: &WildcardAdditionalOptions,
    is_prefixed: bool,
) -> Vec<SelectItem> {
    let relations = joined.relations.iter().enumerate();
    let items = relations.map(|(at, relation)| match (&relation.source, &relation.alias, relation.visible()) {
        (Some(_), Some(alias), Some(columns)) => of_source_in_all(joined, at, alias, &columns, excluded, is_prefixed),
        (None, Some(alias), Some(columns)) => of_subquery(joined, at, alias, &columns, excluded),
        _ => vec![unknown(relation, options)],
    });
    items.collect::<Vec<_>>().concat()
}

/// The items that `x.*` expands to if x is a source.
pub(super) fn of_source(joined: &Joined, at: usize, excluded: &[Ident]) -> Option<Vec<SelectItem>> {
    let relation = &joined.relations[at];
    let (Some(source), Some(alias)) = (&relation.source, &relation.alias) else { return None };
    let is_prefixed = joined.relations.len() > 1;
    let shown = source.visible_columns().into_iter();
    let shown = shown.filter(|column| !is_in(excluded, column) && joined.shows_own(at, column));
    Some(shown.map(|column| column_item(alias, column, is_prefixed)).collect())
}

fn of_source_in_all(
    joined: &Joined,
    at: usize,
    alias: &Ident,
    columns: &[&str],
    excluded: &[Ident],
    is_prefixed: bool,
) -> Vec<SelectItem> {
    let columns = columns.iter().filter(|column| !is_in(excluded, column));
    let item = |column: &&str| match joined.shown(at, column, is_prefixed) {
        Shown::Own => Some(column_item(alias, column, is_prefixed)),
        Shown::Merged(value) => Some(merged_item(value, column)),
        Shown::No => None,
    };
    columns.filter_map(item).collect()
}

/// The items for a subquery. It may have two columns of the same name: columns that keep their names remain part of a
/// `*`.
fn of_subquery(joined: &Joined, at: usize, alias: &Ident, columns: &[&str], excluded: &[Ident]) -> Vec<SelectItem> {
    let mut items = Vec::new();
    let mut run = Vec::new();
    for column in columns.iter().filter(|column| !is_in(excluded, column)) {
        match joined.shown(at, column, true) {
            Shown::Own => run.push(*column),
            Shown::Merged(value) => {
                items.extend(star_of(alias, columns, &std::mem::take(&mut run)));
                items.push(merged_item(value, column));
            }
            Shown::No => {}
        }
    }
    items.extend(star_of(alias, columns, &run));
    items
}

/// A `*` over a subquery that shows only some of its columns; none if there are none to show.
fn star_of(alias: &Ident, columns: &[&str], shown: &[&str]) -> Option<SelectItem> {
    if shown.is_empty() {
        return None;
    }
    let mut others: Vec<Ident> = Vec::new();
    for column in columns.iter().filter(|column| !shown.contains(column)) {
        if !is_in(&others, column) {
            others.push(Ident::new(*column));
        }
    }
    let mut others = others.into_iter();
    let except =
        others.next().map(|first| ExceptSelectItem { first_element: first, additional_elements: others.collect() });
    Some(star(alias, WildcardAdditionalOptions { opt_except: except, ..WildcardAdditionalOptions::default() }))
}

fn star(alias: &Ident, options: WildcardAdditionalOptions) -> SelectItem {
    let name = ObjectName::from(vec![alias.clone()]);
    SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options)
}

fn unknown(relation: &Relation, options: &WildcardAdditionalOptions) -> SelectItem {
    match &relation.alias {
        Some(alias) => star(alias, options.clone()),
        None => SelectItem::Wildcard(options.clone()),
    }
}

/// The merged column of a USING under its own name. That of a FULL join is an expression, which needs an alias.
fn merged_item(value: &Expr, name: &str) -> SelectItem {
    match value {
        Expr::CompoundIdentifier(_) => SelectItem::UnnamedExpr(value.clone()),
        _ => SelectItem::ExprWithAlias { expr: value.clone(), alias: Ident::new(name) },
    }
}

fn column_item(alias: &Ident, column: &str, is_prefixed: bool) -> SelectItem {
    let expr = Expr::CompoundIdentifier(vec![alias.clone(), Ident::new(column)]);
    match is_prefixed {
        true => SelectItem::ExprWithAlias { expr, alias: Ident::new(format!("{}_{column}", alias.value)) },
        false => SelectItem::UnnamedExpr(expr),
    }
}

fn is_in(names: &[Ident], column: &str) -> bool {
    names.iter().any(|name| name.value == column)
}
