//! SHOW TOPICS.

use headwater_engine::answer::TopicListing;

use crate::output::section::Section;

/// The list of topics, with the offsets and the formats if they were requested, and with a remark.
pub(super) fn sections(listed: &[TopicListing], extended: bool, remark: Option<&str>) -> Vec<Section> {
    let row = |topic: &TopicListing| {
        let shape = [topic.name.clone(), topic.partitions.to_string(), topic.replicas.to_string()];
        let offsets = topic.offsets.map(|offsets| offsets.to_string());
        shape.into_iter().chain(offsets).chain(topic.formats.clone().into_iter().flatten()).collect()
    };
    let columns = ["Kafka Topic", "Partitions", "Partition Replicas", "Offsets", "Key Format", "Value Format"];
    let table = Section::table(&columns[..if extended { 6 } else { 3 }], listed.iter().map(row));
    vec![Section { text: remark.map(str::to_owned), ..table }]
}
