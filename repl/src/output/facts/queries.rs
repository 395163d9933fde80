//! SHOW QUERIES.

use headwater_engine::answer::QueryListing;

use super::query::{failures, state};
use crate::output::section::Section;

/// The list of queries, and below it the reasons why some of them fail.
pub(super) fn sections(listed: &[QueryListing]) -> Vec<Section> {
    let row = |query: &QueryListing| {
        vec![
            query.id.clone(),
            "PERSISTENT".to_owned(),
            state(query.state),
            query.sink.clone(),
            query.sink_topic.clone().unwrap_or_default(),
            query.statement.clone(),
        ]
    };
    let columns = ["Query ID", "Query Type", "Status", "Sink Name", "Sink Kafka Topic", "Query String"];
    let list = Section::table(&columns, listed.iter().map(row));
    let failures = listed.iter().filter_map(|query| failures(&query.id, &query.failures));
    std::iter::once(list).chain(failures).collect()
}
