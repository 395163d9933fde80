//! SHOW TOPICS.

use headwater_engine::answer::TopicListing;

use crate::output::section::Section;

/// The list of topics, with the offsets if they were requested.
pub(super) fn sections(listed: &[TopicListing], extended: bool) -> Vec<Section> {
    let row = |topic: &TopicListing| {
        let shape = [topic.name.clone(), topic.partitions.to_string(), topic.replicas.to_string()];
        shape.into_iter().chain(topic.offsets.map(|offsets| offsets.to_string())).collect()
    };
    let columns = ["Kafka Topic", "Partitions", "Partition Replicas", "Offsets"];
    vec![Section::table(&columns[..if extended { 4 } else { 3 }], listed.iter().map(row))]
}
