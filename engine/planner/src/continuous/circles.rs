//! Cycles: a query whose output becomes its own input, directly or through other queries.
//!
//! A dead-letter topic does not count as output: whoever writes corrected records back does so on purpose.

use std::collections::{BTreeMap, VecDeque};

use headwater_language::catalog::{Catalog, QueryDef};
use headwater_language::definition::SourceDef;
use headwater_language::diagnostic::{Code, Diagnostic, PROPERTY_VALUE, STREAMING, Span};
use headwater_language::topology::Topology;

/// Rejects a query that closes a cycle. `replaced` is the query that it replaces.
pub fn check(
    topology: &Topology,
    catalog: &Catalog,
    replaced: Option<&QueryDef>,
    (span, code): (Span, Code),
) -> Result<(), Vec<Diagnostic>> {
    let Some(output) = topology.sink() else { return Ok(()) };
    let queries: Vec<&QueryDef> = catalog
        .queries()
        .map(AsRef::as_ref)
        .filter(|query| replaced.is_none_or(|replaced| replaced.id != query.id))
        .collect();
    topology.sources().try_for_each(|input| check_input(input, output, &queries, (span, code)))
}

/// Rejects a query that would read in `input` what it writes to `output`.
fn check_input(
    input: &SourceDef,
    output: &SourceDef,
    queries: &[&QueryDef],
    (span, code): (Span, Code),
) -> Result<(), Vec<Diagnostic>> {
    if input.topic == output.topic {
        let message = format!("topic \"{}\" would be written by the query that reads it", input.topic);
        let detail = "Each of its output records would become input again, without end.";
        let error = Diagnostic::new(code, message).at(span).detail(detail);
        return Err(vec![match code {
            PROPERTY_VALUE => error.hint("Write to another topic: WITH (KAFKA_TOPIC = '…')."),
            _ => error.hint("Insert into another stream."),
        }]);
    }
    let Some(way) = way_back(&output.topic, &input.topic, queries) else { return Ok(()) };
    let between = way.iter().rev().skip(1).rev().map(|query| query.sink());
    let round = [input.name.as_str(), &output.name].into_iter().chain(between).chain([input.name.as_str()]);
    let round: Vec<String> = round.map(|name| format!("\"{name}\"")).collect();
    let message = format!("the query would create a cycle: {}", round.join(" → "));
    let step = |query: &&QueryDef| {
        let read: Vec<String> = query.sources().map(|name| format!("\"{name}\"")).collect();
        format!("{} reads {} and writes \"{}\"", query.id, read.join(", "), query.sink())
    };
    let steps: Vec<String> = way.iter().map(step).collect();
    let detail = format!(
        "This query reads \"{}\" and writes \"{}\"; {}. Each record would be processed again, without end.",
        input.name,
        output.name,
        steps.join("; ")
    );
    let hint =
        format!("TERMINATE {}; or write to another stream.", way.last().map_or("ALL", |query| query.id.as_str()));
    Err(vec![Diagnostic::new(STREAMING, message).at(span).detail(detail).hint(hint)])
}

/// The shortest chain of queries through which records of one topic reach another.
fn way_back<'a>(from: &str, to: &str, queries: &[&'a QueryDef]) -> Option<Vec<&'a QueryDef>> {
    let mut readers: BTreeMap<&str, Vec<&QueryDef>> = BTreeMap::new();
    for query in queries {
        query.topology.sources().for_each(|source| readers.entry(&source.topic).or_default().push(query));
    }
    let mut ways = VecDeque::from([(from, Vec::new())]);
    while let Some((topic, way)) = ways.pop_front() {
        if topic == to {
            return Some(way);
        }
        // Each topic is visited once.
        for query in readers.remove(topic).unwrap_or_default() {
            if let Some(output) = query.topology.sink() {
                ways.push_back((&output.topic, way.iter().copied().chain([query]).collect()));
            }
        }
    }
    None
}
