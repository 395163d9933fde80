//! The rules of CREATE OR REPLACE for streams, tables and persistent queries.

use std::collections::BTreeSet;

use super::change::Refusal;
use super::query::QueryDef;
use crate::definition::{ColumnRole, SideDef, SourceDef};
use crate::topology::{Action, Projection, ResultColumn, Topology, names_in};

/// Whether `next` may replace `current`: columns may only be added at the end, and nothing else may differ. The
/// semantics are those of ksqlDB's CREATE OR REPLACE.
pub fn check_source(current: &SourceDef, next: &SourceDef) -> Result<(), Refusal> {
    let refuse = |what: &str| Err(Refusal::Incompatible(current.name.clone(), what.to_owned()));
    if current.kind != next.kind {
        return refuse(&format!("it is a {}", current.kind.word()));
    }
    if current.read_only || next.read_only {
        return refuse("it is read-only (SOURCE)");
    }
    if next.columns.len() < current.columns.len() || next.columns[..current.columns.len()] != current.columns[..] {
        return refuse("columns may only be added at the end");
    }
    if current.columns_of(&ColumnRole::Key).count() != next.columns_of(&ColumnRole::Key).count() {
        return refuse("the key may not change");
    }
    let laid_out = |side: &SideDef| (side.format.clone(), side.delimiter, side.presence);
    let same = current.topic == next.topic
        && laid_out(&current.key) == laid_out(&next.key)
        && laid_out(&current.value) == laid_out(&next.value)
        && (current.value.wrapped == next.value.wrapped || !current.value.format.starts_with("JSON"))
        && (&current.event_time, &current.window) == (&next.event_time, &next.window);
    if same { Ok(()) } else { refuse("topic, formats, timestamp and window may not change") }
}

/// Whether `next` may continue at the position of `current`: it must read the same input, have the same key, and keep the
/// same state. The semantics are those of ksqlDB's CREATE OR REPLACE.
pub fn check_query(current: &QueryDef, next: &QueryDef) -> Result<(), Refusal> {
    let refuse = |what: &str| Err(Refusal::Incompatible(current.sink().to_owned(), what.to_owned()));
    if !inputs(&current.topology).eq(inputs(&next.topology)) {
        let names: Vec<String> = current.sources().map(|name| format!("\"{name}\"")).collect();
        return refuse(&format!("its query reads {}", names.join(", ")));
    }
    let keys = |topology: &Topology| -> Vec<ResultColumn> {
        let columns = |p: &Projection| p.columns.iter().filter(|c| c.key).cloned().collect();
        topology.result().map(columns).unwrap_or_default()
    };
    if keys(&current.topology) != keys(&next.topology) {
        return refuse("the key of its query may not change");
    }
    check_state(&current.topology, &next.topology).or_else(|why| refuse(&why))?;
    if current.property("processing.guarantee") != next.property("processing.guarantee") {
        return refuse("the processing guarantee of its query may not change");
    }
    Ok(())
}

/// The name and the topic of each source.
fn inputs(topology: &Topology) -> impl Iterator<Item = (&str, &str)> {
    topology.sources().map(|source| (source.name.as_str(), source.topic.as_str()))
}

/// Checks that what one query has in its stores and topics is what the other would have there. Without state this holds for any
/// two; with state, all that happens before the last projection must be the same. Returns the reason why not.
fn check_state(current: &Topology, next: &Topology) -> Result<(), String> {
    let has_state = |topology: &Topology| topology.stores().next().is_some() || topology.exchanges().next().is_some();
    if !has_state(current) && !has_state(next) {
        return Ok(());
    }
    match (steps(current) == steps(next), kept_columns(current), kept_columns(next)) {
        (true, kept, others) if kept == others => Ok(()),
        (true, Some(kept), _) => {
            let names: Vec<String> = kept.iter().map(|name| format!("\"{name}\"")).collect();
            let names = names.join(", ");
            Err(format!("its query keeps the columns {names} of a table, and must continue to use exactly these"))
        }
        (false, Some(_), Some(_)) => {
            let fact = "its query keeps the rows of a table, so its WHERE may not change";
            Err(format!("{fact}: rows that were written would stay although it does not accept them"))
        }
        _ => Err("its query keeps state, so only the columns that it makes of its groups may change".to_owned()),
    }
}

/// The columns of a table that its store keeps: those that the query uses. `None` if no table is kept, or if its columns are
/// listed in a step because its rows go on to other stores.
fn kept_columns(topology: &Topology) -> Option<BTreeSet<String>> {
    let is_table = |action: &Action| matches!(action, Action::Table(_));
    let is_kept = topology.nodes().iter().any(|node| is_table(&node.action)) && topology.exchanges().next().is_none();
    let mut names = is_kept.then(|| names_in(topology.nodes()).ok()).flatten()?;
    names.retain(|name| topology.sources().any(|source| source.column(name).is_some()) || name == "ROWPARTITION");
    Some(names)
}

/// What happens between the sources and the last projection.
fn steps(topology: &Topology) -> Vec<&Action> {
    let actions = topology.nodes().iter().map(|node| &node.action);
    let mut steps: Vec<&Action> = actions.filter(|a| !matches!(a, Action::Source(_) | Action::Sink(_))).collect();
    steps.pop_if(|last| matches!(last, Action::Project(_)));
    steps
}
