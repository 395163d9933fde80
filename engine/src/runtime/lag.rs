//! How far a query is behind its input, and which open transactions hold records back from it.

use std::sync::Arc;
use std::time::Duration;

use headwater_connectors::record::{TopicPartition, Wanted};
use headwater_connectors::transport::{
    Isolation, ReadPlan, ReadRange, SourceEvent, TopicIds, Transport, TransportError, Watermarks,
};

use super::note::Note;
use crate::answer::Section;
use crate::catalog::QueryDef;

/// How long the first record behind an open transaction is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// The state of each partition of a query's input: what is committed under its group, and what is left. Records behind
/// an open transaction count: they are there, and nobody sees them before it ends. Blocks.
pub fn lag(transport: &dyn Transport, query: &QueryDef, group: &str) -> Result<Section, TransportError> {
    let (admin, topic) = (transport.admin(), query.topology.input.topic.as_str());
    let stable = admin.watermarks(topic, Isolation::ReadCommitted)?;
    let last = admin.watermarks(topic, Isolation::ReadUncommitted)?;
    let topic: Arc<str> = Arc::from(topic);
    let partitions: Vec<_> = (0..).zip(&stable).map(|(p, _)| TopicPartition::new(topic.clone(), p)).collect();
    let committed = admin.committed_offsets(group, &partitions)?;
    let row = |((partition, stable), last): ((&TopicPartition, &Watermarks), &Watermarks)| {
        let place = committed.get(partition).and_then(Option::as_ref);
        let (offset, lost) = (place.map(|place| place.offset), place.map_or(0, |place| Note::read(&place.note).lost));
        let lag = (last.end - offset.unwrap_or(stable.start)).max(0);
        let offset = offset.map_or("none".to_owned(), |offset| offset.to_string());
        let numbers = [i64::from(partition.partition), stable.start, last.end].map(|number| number.to_string());
        let held_back = held_back(transport, partition, stable.end, last.end);
        numbers.into_iter().chain([offset, lag.to_string(), lost.to_string(), held_back]).collect()
    };
    let rows = partitions.iter().zip(&stable).zip(&last).map(row).collect();
    let columns = ["Partition", "Start Offset", "End Offset", "Committed", "Lag", "Lost", "Open Transaction"];
    let title = format!("Consumer group {group} on {topic}");
    Ok(Section { title: Some(title), columns: columns.map(str::to_owned).to_vec(), rows, text: None })
}

/// What an open transaction holds back: nothing, or the offsets from its first record to the end, and since when.
fn held_back(transport: &dyn Transport, partition: &TopicPartition, stable_end: i64, end: i64) -> String {
    if stable_end >= end {
        return String::new();
    }
    let since = first_time(transport, partition, stable_end, end).and_then(chrono::DateTime::from_timestamp_millis);
    let since = since.map(|time| format!(" since {}", time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)));
    format!("holds back {} offsets from {stable_end}{}", end - stable_end, since.unwrap_or_default())
}

/// The timestamp of the first record of a range, in ms; none when it is not there in time.
fn first_time(transport: &dyn Transport, partition: &TopicPartition, start: i64, end: i64) -> Option<i64> {
    let range = ReadRange { partition: partition.clone(), start, end: Some(end) };
    let plan = ReadPlan {
        ranges: vec![range],
        wanted: Wanted::NOTHING,
        isolation: Isolation::ReadUncommitted,
        batch_records_max: 1,
        ids: TopicIds::new(),
    };
    let mut source = transport.open_sources(vec![plan]).ok()?.pop()?;
    match source.poll(PATIENCE).ok()? {
        SourceEvent::Batch(batch) => batch.timestamps_ms.first().copied(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use headwater_connectors::record::OutBatch;
    use headwater_connectors::transport::memory::MemoryTransport;
    use headwater_connectors::transport::{NewTopic, SinkOptions};

    use super::*;

    #[test]
    fn an_open_transaction_is_said_with_what_it_holds_back() {
        let cluster = MemoryTransport::new();
        let topic = NewTopic { name: "t".to_owned(), partitions: 1, replicas: None, settings: BTreeMap::new() };
        cluster.admin().create_topic(&topic).expect("a new topic");
        let options = SinkOptions { transactional_id: Some("id".to_owned()), ..SinkOptions::default() };
        let mut sink = cluster.open_sink(options).expect("a sink");
        sink.begin().expect("begins");
        let batch = OutBatch {
            topic: "t".into(),
            partitions: Some(vec![0, 0].into()),
            keys: vec![None::<&[u8]>, None].into(),
            values: vec![Some(&b"a"[..]), Some(b"b")].into(),
            timestamps_ms: Some(vec![60_000, 61_000].into()),
            headers: None,
        };
        sink.write(&batch).expect("writes");
        let partition = TopicPartition::new("t", 0);
        assert_eq!(held_back(&cluster, &partition, 0, 2), "holds back 2 offsets from 0 since 1970-01-01T00:01:00Z");
        assert_eq!(held_back(&cluster, &partition, 2, 2), "");
    }
}
