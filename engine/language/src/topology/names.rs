//! The names that the expressions of a topology use.

use std::collections::BTreeSet;

use sqlparser::ast::Expr;

use super::{Action, Node, Projection};
use crate::diagnostic::Diagnostic;
use crate::sql::{each_expr, parse_expr};

/// The names in some nodes that may be names of columns: those in their expressions, and those that they list.
pub fn names_in<'a>(nodes: impl IntoIterator<Item = &'a Node>) -> Result<BTreeSet<String>, Vec<Diagnostic>> {
    let mut names = BTreeSet::new();
    for node in nodes {
        match &node.action {
            Action::Aggregate(aggregation) => {
                let args = aggregation.calls.iter().flat_map(|call| &call.args);
                names.extend(aggregation.groups.iter().chain(args).cloned());
            }
            Action::Table(table) => names.extend(table.key.iter().cloned()),
            Action::Join(join) => names.extend([&join.left, &join.right].map(|side| side.key.clone())),
            Action::Subscribe(subscribe) => drop(names.insert(subscribe.foreign_key.clone())),
            Action::ForeignJoin(join) => {
                let own = [&join.foreign_key, &join.right_key, &join.version, &join.request];
                names.extend(own.into_iter().chain(&join.left_key).cloned());
            }
            Action::Latest(latest) => {
                names.extend([&latest.version, &latest.has_row].into_iter().chain(&latest.key).cloned());
            }
            _ => {}
        }
        for text in texts(node) {
            let expr = parse_expr(text).map_err(|e| vec![e])?;
            names_of(&expr, &mut |name| {
                names.insert(name.to_owned());
            });
        }
    }
    Ok(names)
}

/// The expressions of a node.
fn texts(node: &Node) -> Vec<&str> {
    match &node.action {
        Action::Source(_) | Action::Exchange(_) | Action::Sink(_) => Vec::new(),
        Action::Aggregate(_) | Action::Table(_) | Action::Join(_) => Vec::new(),
        Action::Subscribe(_) | Action::ForeignJoin(_) | Action::Latest(_) => Vec::new(),
        Action::Filter { predicate } => vec![predicate],
        Action::Explode { columns } => columns.iter().map(|c| c.expr.as_str()).collect(),
        Action::Project(Projection { columns, headers, window, .. }) => {
            let window = window.iter().flatten().map(String::as_str);
            columns.iter().map(|c| c.expr.as_str()).chain(headers.as_deref()).chain(window).collect()
        }
    }
}

/// Calls `found` with each name in an expression that may be the name of a column.
pub fn names_of(expr: &Expr, found: &mut dyn FnMut(&str)) {
    each_expr(expr, &mut |expr| match expr {
        Expr::Identifier(name) => found(&name.value),
        Expr::CompoundIdentifier(names) => names.iter().for_each(|name| found(&name.value)),
        _ => {}
    });
}
