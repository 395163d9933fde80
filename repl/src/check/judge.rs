//! The judge: when input ends, a stream or table written by a query must contain the result of the bounded query over the same
//! records.
//!
//! It needs no expected answer, so it finds errors that an accepted answer hides. A file with a reason to differ
//! contains `-- not judged: why`.

use headwater_engine::catalog::QueryDef;
use headwater_engine::config::Settings;
use headwater_engine::sql::ast::{Query, StatementKind};
use headwater_engine::topology::{Action, Aggregation, Topology};
use headwater_engine::{Engine, Session, sql};

use super::stage::answer;

/// Marks a file that is not judged.
pub(super) const NOT_JUDGED: &str = "-- not judged:";

/// One complaint for each stream or table that differs from the result of its bounded query. Streams written by several
/// queries are skipped.
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
        let bounded = Query { emit: None, partition_by: None, ..create.query };
        let (wanted, found) = match bounded.window.is_some() || !bounded.within.is_empty() {
            true => as_outermost(engine, &bounded, query.sink()).await,
            false => {
                let names: Vec<String> = result.columns.iter().map(|c| format!("`{}`", c.name)).collect();
                let (names, groups) = (names.join(", "), grouped(&query.topology));
                let wanted = format!("SELECT {names} FROM ({bounded}) AS judged{groups};");
                let found = format!("SELECT {names} FROM {};", written(query, &bounded.to_string()));
                (sorted(engine, &wanted).await, sorted(engine, &found).await)
            }
        };
        if wanted != found {
            let (wanted, found) = (wanted.join("\n"), found.join("\n"));
            let fact = format!("\"{}\" differs from the result of its bounded query", query.sink());
            complaints.push(format!("{fact}\n  bounded:\n{wanted}\n  continuous:\n{found}"));
        }
    }
    complaints
}

/// The rows of a bounded query with WINDOW or WITHIN, and those that the continuous query has written, both with the bounds of the
/// windows. These clauses are only allowed in the outermost query, so the columns are in the order of the bounded query.
async fn as_outermost(engine: &Engine, bounded: &Query, sink: &str) -> (Vec<String>, Vec<String>) {
    let bounded = if bounded.window.is_some() { sql::with_bounds(bounded) } else { bounded.clone() };
    let wanted = lines(engine, &format!("{bounded};")).await;
    let names: Vec<String> = header(&wanted).map(|name| format!("`{name}`")).collect();
    let found = sorted(engine, &format!("SELECT {} FROM `{sink}`;", names.join(", "))).await;
    (in_order(wanted), found)
}

/// The names of the columns of a result.
fn header(lines: &[String]) -> impl Iterator<Item = &str> {
    lines.get(1).into_iter().flat_map(|line| line.trim_matches('|').split('|').map(str::trim))
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
    in_order(lines(engine, statement).await)
}

fn in_order(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

/// The lines of a result, without how many records were rejected: a continuous query logs them.
async fn lines(engine: &Engine, statement: &str) -> Vec<String> {
    let mut session = Session::new(Settings::default());
    let (Ok(text) | Err(text)) = answer(engine, &mut session, statement).await;
    text.lines().filter(|line| !line.ends_with(" rejected")).map(str::to_owned).collect()
}
