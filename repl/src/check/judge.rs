//! The judge: when input ends, a stream written by a query must contain the result of the bounded query over the same
//! records.
//!
//! It needs no expected answer, so it finds errors that an accepted answer hides. A file with a reason to differ
//! contains `-- not judged: why`.

use headwater_engine::catalog::QueryDef;
use headwater_engine::config::Settings;
use headwater_engine::definition::WindowDef;
use headwater_engine::sql::ast::{Query, StatementKind};
use headwater_engine::topology::{Action, AggregateWindow, Aggregation, Topology};
use headwater_engine::{Engine, Session, sql};

use super::stage::answer;

/// Marks a file that is not judged.
pub(super) const NOT_JUDGED: &str = "-- not judged:";

/// One complaint for each stream that differs from the result of its bounded query. Streams written by several queries
/// are skipped.
pub(super) async fn judge(engine: &Engine) -> Vec<String> {
    let catalog = match engine.catalog().await {
        Ok(catalog) => catalog,
        Err(errors) => return vec![format!("the catalog could not be read: {errors:?}")],
    };
    let mut complaints = Vec::new();
    for query in catalog
        .queries()
        .filter(|q| q.owns_sink && catalog.queries_of(q.sink()).filter(|o| o.sink() == q.sink()).count() == 1)
    {
        let parsed = sql::parse(&query.statement);
        let statement = parsed.statements.into_iter().next().map(|s| s.kind);
        let (Some(StatementKind::CreateAs(create)), Some(result)) = (statement, query.topology.result()) else {
            continue;
        };
        let bounded = bounded(Query { emit: None, partition_by: None, ..create.query }, &query.topology);
        let names: Vec<String> = result.columns.iter().map(|c| format!("`{}`", c.name)).collect();
        let names = names.join(", ");
        let groups = grouped(&query.topology);
        let wanted = sorted(engine, &format!("SELECT {names} FROM ({bounded}) AS judged{groups};")).await;
        let found = sorted(engine, &format!("SELECT {names} FROM {};", written(query, &bounded.to_string()))).await;
        if wanted != found {
            let (wanted, found) = (wanted.join("\n"), found.join("\n"));
            let fact = format!("\"{}\" differs from the result of its bounded query", query.sink());
            complaints.push(format!("{fact}\n  bounded:\n{wanted}\n  continuous:\n{found}"));
        }
    }
    complaints
}

/// The bounded query for the judge: a tumbling window becomes a time bucket.
fn bounded(query: Query, topology: &Topology) -> Query {
    match aggregation(topology).and_then(|aggregation| aggregation.window) {
        Some(AggregateWindow { def: WindowDef::Tumbling(size_ms), .. }) => sql::in_buckets(&query, size_ms),
        _ => query,
    }
}

/// The rows that a query has written, as a relation. Groups of a table that have lost all their rows are left out: the bounded
/// query has none.
fn written(query: &QueryDef, bounded: &str) -> String {
    let sink = format!("`{}`", query.sink());
    match grouped(&query.topology).is_empty() || !query.topology.reads_table(&query.topology.source().topic) {
        true => sink,
        false => {
            let keys = keys(&query.topology).join(", ");
            format!("{sink} JOIN (SELECT {keys} FROM ({bounded}) AS judged) AS filled USING ({keys})")
        }
    }
}

/// The key columns of the result.
fn keys(topology: &Topology) -> Vec<String> {
    let columns = topology.result().into_iter().flat_map(|result| &result.columns).filter(|column| column.key);
    columns.map(|column| format!("`{}`", column.name)).collect()
}

/// The condition that leaves out groups with a NULL, which a continuous query does not have.
fn grouped(topology: &Topology) -> String {
    let present: Vec<String> = keys(topology).iter().map(|key| format!("{key} IS NOT NULL")).collect();
    if aggregation(topology).is_some() { format!(" WHERE {}", present.join(" AND ")) } else { String::new() }
}

fn aggregation(topology: &Topology) -> Option<&Aggregation> {
    topology.nodes().iter().find_map(|node| match &node.action {
        Action::Aggregate(aggregation) => Some(aggregation),
        _ => None,
    })
}

/// The lines of a result, sorted.
async fn sorted(engine: &Engine, statement: &str) -> Vec<String> {
    let mut session = Session::new(Settings::default());
    let (Ok(text) | Err(text)) = answer(engine, &mut session, statement).await;
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}
