//! The columns that the expressions of a topology use.

use std::collections::BTreeSet;

use arrow::datatypes::SchemaRef;
use headwater_formats::decode::{ROWOFFSET, ROWTIME, TopicSpec, WINDOWEND, WINDOWSTART};
use headwater_language::definition::{ColumnRole, SourceDef};
use headwater_language::diagnostic::Diagnostic;
use headwater_language::sql::{each_expr, parse_expr};
use headwater_language::topology::{Action, Node, Projection};

use super::exchange::Exchange;

/// The columns of an input that the nodes of a stage need, event time and offset included.
pub fn referenced<'a>(
    nodes: impl Iterator<Item = &'a Node>,
    spec: &TopicSpec,
    with_windows: bool,
    exchange: Option<&Exchange>,
) -> Result<Vec<usize>, Vec<Diagnostic>> {
    let schema = spec.schema();
    let mut names: BTreeSet<String> = [ROWTIME, ROWOFFSET].map(str::to_owned).into();
    if with_windows {
        names.extend([WINDOWSTART, WINDOWEND].map(str::to_owned));
    }
    names.extend(names_in(nodes)?);
    let needed = exchange.iter().flat_map(|exchange| exchange.needed(|name| names.contains(name)));
    let needed: Vec<String> = needed.map(str::to_owned).collect();
    names.extend(needed);
    Ok((0..schema.fields().len()).filter(|i| names.contains(schema.field(*i).name())).collect())
}

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
            _ => {}
        }
        for text in texts(node) {
            let expr = parse_expr(text).map_err(|e| vec![e])?;
            columns_of(&expr, &mut |name| {
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
        Action::Filter { predicate } => vec![predicate],
        Action::Explode { columns } => columns.iter().map(|c| c.expr.as_str()).collect(),
        Action::Project(Projection { columns, headers, .. }) => {
            columns.iter().map(|c| c.expr.as_str()).chain(headers.as_deref()).collect()
        }
    }
}

/// Calls `found` with each name in an expression that may be the name of a column.
fn columns_of(expr: &sqlparser::ast::Expr, found: &mut dyn FnMut(&str)) {
    use sqlparser::ast::Expr;
    each_expr(expr, &mut |expr| match expr {
        Expr::Identifier(name) => found(&name.value),
        Expr::CompoundIdentifier(names) => names.iter().for_each(|name| found(&name.value)),
        _ => {}
    });
}

/// Whether an expression uses an input column that is not part of the key, so that it has no meaning for a record
/// without a value. Semantics: ksqlDB's for PARTITION BY.
pub fn needs_value(expr: &str, input: &SourceDef, schema: &SchemaRef) -> Result<bool, Vec<Diagnostic>> {
    let is_key = |name: &str| input.column(name).is_some_and(|column| column.role == ColumnRole::Key);
    let mut needs = false;
    columns_of(&parse_expr(expr).map_err(|e| vec![e])?, &mut |name| {
        needs |= schema.index_of(name).is_ok() && !is_key(name);
    });
    Ok(needs)
}
