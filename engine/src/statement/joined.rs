//! The topics that a query joins, which must have the same number of partitions, except for a foreign-key join. Semantics:
//! ksqlDB's.

use headwater_connectors::transport::Admin;
use headwater_language::definition::SourceDef;
use headwater_language::diagnostic::{Diagnostic, STREAMING, Span};
use headwater_language::topology::{Action, Topology};

use super::Context;
use crate::runtime::{blocking, refused, topics};

/// Checks that the sources of a query at `span` have the same number of partitions, unless it has a foreign-key join, whose rows
/// never were where their matches are.
pub(super) async fn check(topology: &Topology, span: Span, context: &Context<'_>) -> Result<(), Vec<Diagnostic>> {
    let joined: Vec<SourceDef> = topology.sources().cloned().collect();
    let is_foreign = topology.nodes().iter().any(|node| matches!(node.action, Action::Subscribe(_)));
    if joined.len() < 2 || is_foreign {
        return Ok(());
    }
    let transport = context.process.transport().clone();
    blocking(move || compare(transport.admin(), &joined, span)).await?
}

/// Blocks.
fn compare(admin: &dyn Admin, joined: &[SourceDef], span: Span) -> Result<(), Vec<Diagnostic>> {
    let count = |source: &SourceDef| topics::partitions_of(admin, &source.topic).map_err(refused);
    let counted = joined.iter().map(|source| Ok((&source.name, count(source)?)));
    let counted = counted.collect::<Result<Vec<_>, Vec<Diagnostic>>>()?;
    let Some((first, count)) = counted.first() else { return Ok(()) };
    let Some((other, others)) = counted.iter().find(|(_, others)| others != count) else { return Ok(()) };
    let message = format!("\"{first}\" cannot be joined to \"{other}\": their numbers of partitions differ");
    let detail = format!("\"{first}\" has {count} partitions, \"{other}\" has {others}.");
    let hint = format!("Copy one: CREATE STREAM … WITH (PARTITIONS={count}) AS SELECT * FROM {other};");
    Err(vec![Diagnostic::new(STREAMING, message).at(span).detail(detail).hint(hint)])
}
