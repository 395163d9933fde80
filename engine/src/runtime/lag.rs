//! How far a query is behind its inputs, and which open transactions block it.

use std::sync::Arc;
use std::time::Duration;

use headwater_connectors::transport::{
    Isolation, ReadPlan, ReadRange, SourceEvent, TopicIds, Transport, TransportError, Watermarks,
};
use headwater_formats::record::{TopicPartition, Wanted};
use headwater_language::catalog::QueryDef;

use super::note::Note;
use crate::answer::{Lag, OpenTransaction, PartitionLag};

/// How long to wait for the first record of an open transaction.
const PATIENCE: Duration = Duration::from_secs(1);

/// The state of each partition of a query's inputs: what its group has committed, and what is left. Records after the
/// start of an open transaction are counted, although nobody can read them before it ends. Blocks.
pub fn lags(transport: &dyn Transport, query: &QueryDef, group: &str) -> Result<Vec<Lag>, TransportError> {
    query.topology.sources().map(|source| lag(transport, &source.topic, group)).collect()
}

/// The state of each partition of a topic.
fn lag(transport: &dyn Transport, topic: &str, group: &str) -> Result<Lag, TransportError> {
    let admin = transport.admin();
    let stable = admin.watermarks(topic, Isolation::ReadCommitted)?;
    let last = admin.watermarks(topic, Isolation::ReadUncommitted)?;
    let topic: Arc<str> = Arc::from(topic);
    let partitions: Vec<_> = (0..).zip(&stable).map(|(p, _)| TopicPartition::new(topic.clone(), p)).collect();
    let committed = admin.committed_offsets(group, &partitions)?;
    let lag = |((partition, stable), last): ((&TopicPartition, &Watermarks), &Watermarks)| {
        let position = committed.get(partition).and_then(Option::as_ref);
        let offset = position.map(|position| position.offset);
        let note = position.map(|position| Note::read(&position.note)).unwrap_or_default();
        PartitionLag {
            partition: partition.partition,
            start: stable.start,
            end: last.end,
            committed: offset,
            lag: (last.end - offset.unwrap_or(stable.start)).max(0),
            lost: note.lost,
            stream_time_ms: note.time_ms,
            stream_time_offset: note.time_offset,
            open_transaction: held_back(transport, partition, stable.end, last.end),
        }
    };
    let partitions = partitions.iter().zip(&stable).zip(&last).map(lag).collect();
    Ok(Lag { group: group.to_owned(), topic: topic.to_string(), partitions })
}

/// The open transaction that blocks readers, if there is one.
fn held_back(
    transport: &dyn Transport,
    partition: &TopicPartition,
    stable_end: i64,
    end: i64,
) -> Option<OpenTransaction> {
    let since_ms = || first_time(transport, partition, stable_end, end);
    (stable_end < end).then(|| OpenTransaction { start: stable_end, offsets: end - stable_end, since_ms: since_ms() })
}

/// The timestamp of the first record of a range, in ms; `None` if it does not arrive in time.
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
    use headwater_formats::record::OutBatch;

    use super::super::for_tests::{cluster_with, open_transaction};
    use super::*;

    #[test]
    fn an_open_transaction_is_reported_with_what_it_blocks() {
        let cluster = cluster_with("t");
        let batch = OutBatch {
            topic: "t".into(),
            partitions: Some(vec![0, 0].into()),
            keys: vec![None::<&[u8]>, None].into(),
            values: vec![Some(&b"a"[..]), Some(b"b")].into(),
            timestamps_ms: Some(vec![60_000, 61_000].into()),
            headers: None,
        };
        let _open = open_transaction(&cluster, &batch);
        let partition = TopicPartition::new("t", 0);
        let open = OpenTransaction { start: 0, offsets: 2, since_ms: Some(60_000) };
        assert_eq!(held_back(&cluster, &partition, 0, 2), Some(open));
        assert_eq!(held_back(&cluster, &partition, 2, 2), None);
    }
}
