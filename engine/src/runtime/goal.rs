//! When a query is up to date: everything that was in its input at one moment is committed, by whichever processes own
//! the partitions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use headwater_connectors::transport::{
    Isolation, Member, ReadPlan, ReadRange, SourceEvent, TopicIds, Transport, TransportError,
};
use headwater_dataflow::InputTopic;
use headwater_formats::record::{TopicPartition, Wanted};

/// How often to check the committed offsets, in ms.
const LOOK_MS: i64 = 250;
/// How long to wait for records that are left.
const PATIENCE: Duration = Duration::from_secs(1);

/// The ends of a query's input at one moment, and then those of its exchanges.
pub struct Goal {
    ends: BTreeMap<TopicPartition, i64>,
    /// The exchanges that must be committed after that, the next one last.
    exchanges: Vec<Arc<str>>,
    looked_at_ms: i64,
}

impl Goal {
    /// The goal to commit everything that is in the input topics of a query now, and the exchanged rows that result.
    pub fn now(transport: &dyn Transport, inputs: &[InputTopic<'_>]) -> Result<Self, TransportError> {
        let topics = |is_exchange: bool| inputs.iter().filter(move |input| input.is_exchange == is_exchange);
        let mut ends = BTreeMap::new();
        for input in topics(false) {
            ends.extend(ends_of(transport, input.topic, Isolation::ReadCommitted)?);
        }
        let exchanges = topics(true).rev().map(|input| input.topic.clone()).collect();
        Ok(Self { ends, exchanges, looked_at_ms: i64::MIN })
    }

    /// The end of a partition; `None` for one that did not exist, and for an exchange.
    pub fn end(&self, partition: &TopicPartition) -> Option<i64> {
        self.ends.get(partition).copied()
    }

    /// Whether everything is committed. Checks at most every [`LOOK_MS`] and returns false in between.
    pub fn is_reached(
        &mut self,
        transport: &dyn Transport,
        member: &dyn Member,
        now_ms: i64,
    ) -> Result<bool, TransportError> {
        if now_ms < self.looked_at_ms.saturating_add(LOOK_MS) {
            return Ok(false);
        }
        self.looked_at_ms = now_ms;
        let partitions: Vec<TopicPartition> = self.ends.keys().cloned().collect();
        let committed = member.committed(&partitions)?;
        let left = |(partition, end): (&TopicPartition, &i64)| {
            let start = committed.get(partition).and_then(Option::as_ref).map_or(0, |place| place.offset);
            (start < *end).then(|| ReadRange { partition: partition.clone(), start, end: Some(*end) })
        };
        let left: Vec<ReadRange> = self.ends.iter().filter_map(left).collect();
        if !left.is_empty() && !is_empty(transport, left)? {
            return Ok(false);
        }
        let Some(exchange) = self.exchanges.pop() else { return Ok(true) };
        // The marker of a commit may be missing there although its offsets are visible.
        self.ends = ends_of(transport, &exchange, Isolation::ReadUncommitted)?;
        self.looked_at_ms = i64::MIN;
        Ok(false)
    }
}

fn ends_of(
    transport: &dyn Transport,
    topic: &Arc<str>,
    isolation: Isolation,
) -> Result<BTreeMap<TopicPartition, i64>, TransportError> {
    let marks = transport.admin().watermarks(topic, isolation)?;
    Ok((0..).zip(&marks).map(|(p, marks)| (TopicPartition::new(topic.clone(), p), marks.end)).collect())
}

/// Whether these ranges contain no record, but only transaction markers or compacted offsets.
fn is_empty(transport: &dyn Transport, ranges: Vec<ReadRange>) -> Result<bool, TransportError> {
    let mut open = ranges.len();
    let (wanted, isolation) = (Wanted::NOTHING, Isolation::ReadCommitted);
    let plan = ReadPlan { ranges, wanted, isolation, batch_records_max: 1, ids: TopicIds::new() };
    for mut source in transport.open_sources(vec![plan])? {
        while open > 0 {
            match source.poll(PATIENCE)? {
                SourceEvent::Finished(_) => open -= 1,
                SourceEvent::Lost(lost) if lost.ends_range() => return Err(lost.into()),
                SourceEvent::Lost(_) | SourceEvent::Passed(..) => {}
                SourceEvent::Batch(_) | SourceEvent::Idle => return Ok(false),
            }
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use headwater_connectors::transport::{GroupPlan, Membership};
    use headwater_dataflow::Port;

    use super::super::for_tests::{cluster_with, open_transaction, record_of};
    use super::*;

    /// Goal: a query is not up to date before a commit to its exchange is finished and its rows are processed. Method: a
    /// transaction that is open at first.
    #[test]
    fn an_exchange_ends_after_a_transaction_that_is_not_finished() {
        let (cluster, topic) = (cluster_with("e"), Arc::<str>::from("e"));
        let mut sink = open_transaction(&cluster, &record_of("e"));
        let mut member =
            cluster.join_group(GroupPlan { group: "q".into(), topics: vec![topic.clone()] }).expect("a member");
        let input = InputTopic { topic: &topic, stage: 1, port: Port(0), is_exchange: true, is_table: false };
        let mut goal = Goal::now(&cluster, &[input]).expect("a goal");
        let mut is_reached =
            |member: &dyn Member, now_ms| goal.is_reached(&cluster, member, now_ms).expect("an answer");
        assert!(!is_reached(&*member, 0), "the exchange comes next");
        assert!(!is_reached(&*member, 1_000), "the transaction is open");
        sink.commit(&Membership::outside("g"), &BTreeMap::new(), Duration::ZERO).expect("a commit");
        assert!(!is_reached(&*member, 2_000), "its record is not processed");
        member.poll(Duration::ZERO).expect("partitions");
        member.commit(&BTreeMap::from([(TopicPartition::new("e", 0), 1.into())])).expect("a commit");
        assert!(is_reached(&*member, 3_000));
    }
}
