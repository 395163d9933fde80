//! Records that would go round for ever: a query that reads what it writes, at once or through other queries.
//!
//! A dead-letter topic is no way round: whoever writes corrected records back means to.

use std::collections::{BTreeMap, VecDeque};

use headwater_language::catalog::{Catalog, QueryDef};
use headwater_language::diagnostic::{Code, Diagnostic, PROPERTY_VALUE, STREAMING, Span};
use headwater_language::topology::Topology;

/// Refuses a query that closes a circle. `replaced` is the query that it takes the place of.
pub fn check(
    topology: &Topology,
    catalog: &Catalog,
    replaced: Option<&QueryDef>,
    (span, code): (Span, Code),
) -> Result<(), Vec<Diagnostic>> {
    let (input, Some(output)) = (topology.source(), topology.sink()) else { return Ok(()) };
    if input.topic == output.topic {
        let message = format!("topic \"{}\" would be written by the query that reads it", input.topic);
        let detail = "Each of its records would come back as input, without an end.";
        let error = Diagnostic::new(code, message).at(span).detail(detail);
        return Err(vec![match code {
            PROPERTY_VALUE => error.hint("Write into another topic: WITH (KAFKA_TOPIC = '…')."),
            _ => error.hint("Insert into another stream."),
        }]);
    }
    let queries = catalog.queries().filter(|query| replaced.is_none_or(|replaced| replaced.id != query.id));
    let Some(way) = way_back(&output.topic, &input.topic, queries.map(AsRef::as_ref)) else { return Ok(()) };
    let between = way.iter().rev().skip(1).rev().map(|query| query.sink());
    let round = [input.name.as_str(), &output.name].into_iter().chain(between).chain([input.name.as_str()]);
    let round: Vec<String> = round.map(|name| format!("\"{name}\"")).collect();
    let message = format!("the query would close a circle: {}", round.join(" → "));
    let step = |query: &&QueryDef| format!("{} reads \"{}\" and writes \"{}\"", query.id, query.source(), query.sink());
    let steps: Vec<String> = way.iter().map(step).collect();
    let detail = format!(
        "This query reads \"{}\" and writes \"{}\"; {}. Each record would go round without an end.",
        input.name,
        output.name,
        steps.join("; ")
    );
    let hint =
        format!("TERMINATE {}; or write into another stream.", way.last().map_or("ALL", |query| query.id.as_str()));
    Err(vec![Diagnostic::new(STREAMING, message).at(span).detail(detail).hint(hint)])
}

/// The shortest run of queries through which records of one topic come into another.
fn way_back<'a>(from: &str, to: &str, queries: impl Iterator<Item = &'a QueryDef>) -> Option<Vec<&'a QueryDef>> {
    let mut readers: BTreeMap<&str, Vec<&QueryDef>> = BTreeMap::new();
    queries.for_each(|query| readers.entry(&query.topology.source().topic).or_default().push(query));
    let mut ways = VecDeque::from([(from, Vec::new())]);
    while let Some((topic, way)) = ways.pop_front() {
        if topic == to {
            return Some(way);
        }
        // Each topic is looked at once.
        for query in readers.remove(topic).unwrap_or_default() {
            if let Some(output) = query.topology.sink() {
                ways.push_back((&output.topic, way.iter().copied().chain([query]).collect()));
            }
        }
    }
    None
}
