//! The columns that the expressions of a topology use.

use std::collections::BTreeSet;

use arrow::datatypes::SchemaRef;
use headwater_formats::decode::{ROWOFFSET, ROWTIME, TopicSpec, WINDOWEND, WINDOWSTART};
use headwater_language::definition::{ColumnRole, SourceDef};
use headwater_language::diagnostic::Diagnostic;
use headwater_language::sql::parse_expr;
use headwater_language::topology::{Node, names_in, names_of};

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

/// Whether an expression uses an input column that is not part of the key, so that it has no meaning for a record
/// without a value. Semantics: ksqlDB's for PARTITION BY.
pub fn needs_value(expr: &str, input: &SourceDef, schema: &SchemaRef) -> Result<bool, Vec<Diagnostic>> {
    let is_key = |name: &str| input.column(name).is_some_and(|column| column.role == ColumnRole::Key);
    let mut needs = false;
    names_of(&parse_expr(expr).map_err(|e| vec![e])?, &mut |name| {
        needs |= schema.index_of(name).is_ok() && !is_key(name);
    });
    Ok(needs)
}
