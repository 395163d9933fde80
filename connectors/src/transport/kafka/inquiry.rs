//! Finds out what happened to offsets that the broker does not return: a separate client requests the ends of the log
//! and the topic's id, but only when a range cannot continue.
//!
//! It is the only place that distinguishes a log that starts later from one that ends earlier and from another topic's
//! log.

use headwater_formats::record::TopicPartition;
use rdkafka::consumer::Consumer;

use super::connection::{ANSWER_TIMEOUT, Connection, is_legal};
use super::properties::{Properties, Role};
use super::{errors, native};
use crate::transport::{Isolation, LossCause, Lost, TopicId, TransportError};

/// Why a range does not continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// The broker does not have the next offset.
    OutOfRange,
    /// The broker has different records before the next offset than those that were read.
    Diverged,
    /// The log ends before the range does.
    Short,
}

/// A range that does not continue.
pub(super) struct Halted {
    pub partition: TopicPartition,
    /// The id of the topic to read, if it is known.
    pub id: Option<TopicId>,
    /// The next offset to read.
    pub next: i64,
    /// The first offset that is not read; `None` for a range without an end.
    pub end: Option<i64>,
    pub halt: Halt,
}

/// Asks the cluster. Returns `None` when nothing is lost and the range can continue.
pub(super) fn inquire(properties: &Properties, halted: &Halted) -> Result<Option<Lost>, TransportError> {
    let TopicPartition { topic, partition } = &halted.partition;
    let connection = Connection::new(properties, &Role::Metadata(Isolation::ReadUncommitted))?;
    let doing = format!("{} could not be looked up", halted.partition);
    // Requested first, so that watermarks of a topic created in between are not mistaken for those of its predecessor.
    let id = topic_id(&connection, topic)?;
    let marks = connection.ask(&doing, |client| client.fetch_watermarks(topic, *partition, ANSWER_TIMEOUT))?;
    Ok(halted.judge(id, marks))
}

/// The id of a topic that exists; `None` if the cluster does not report ids.
pub(super) fn topic_id(connection: &Connection, topic: &str) -> Result<Option<TopicId>, TransportError> {
    let described = describe(connection, topic)?.ok_or_else(|| TransportError::unknown_topic(topic))?;
    Ok(id_of(&described))
}

/// A topic; `None` when it does not exist.
pub(super) fn describe(connection: &Connection, topic: &str) -> Result<Option<native::Described>, TransportError> {
    if !is_legal(topic) {
        return Ok(None);
    }
    let doing = format!("topic \"{topic}\" could not be looked up");
    let ask = |client: &rdkafka::consumer::BaseConsumer<_>| native::describe(client.client(), &[topic], ANSWER_TIMEOUT);
    let mut found = connection.ask(&doing, |client| ask(client).map_err(rdkafka::error::KafkaError::MetadataFetch))?;
    match found.remove(topic) {
        Some(Ok(described)) => Ok(Some(described)),
        Some(Err(code)) if errors::is_unknown_topic(code) => Ok(None),
        Some(Err(code)) => Err(errors::failed(&doing, code)),
        None => Ok(None),
    }
}

/// The id in a description.
pub(super) fn id_of(described: &native::Described) -> Option<TopicId> {
    (described.id != 0).then_some(TopicId(described.id))
}

impl Halted {
    fn judge(&self, id: Option<TopicId>, (start, end): (i64, i64)) -> Option<Lost> {
        let next = self.next;
        let lost = |cause, from, to| Some(Lost { partition: self.partition.clone(), cause, from, to });
        let is_other = self.id.zip(id).is_some_and(|(meant, found)| meant != found);
        let must_reach = self.end.unwrap_or(next);
        if is_other {
            lost(LossCause::Recreated, next, must_reach)
        } else if self.halt == Halt::Diverged {
            lost(LossCause::Truncated, next.min(end), next)
        } else if next < start {
            lost(LossCause::Deleted, next, self.end.unwrap_or(start).min(start))
        } else if end < must_reach {
            lost(LossCause::Truncated, end, must_reach)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn halted(end: Option<i64>, halt: Halt) -> Halted {
        Halted { partition: TopicPartition::new("t", 0), id: Some(TopicId(1)), next: 40, end, halt }
    }

    fn judged(halted: &Halted, id: u128, marks: (i64, i64)) -> Option<(LossCause, i64, i64)> {
        halted.judge(Some(TopicId(id)), marks).map(|lost| (lost.cause, lost.from, lost.to))
    }

    #[test]
    fn finds_out_what_happened_to_offsets() {
        use LossCause::{Deleted, Recreated, Truncated};

        let (bounded, unbounded) = (halted(Some(100), Halt::OutOfRange), halted(None, Halt::OutOfRange));
        assert_eq!(judged(&unbounded, 1, (60, 90)), Some((Deleted, 40, 60)));
        assert_eq!(judged(&bounded, 1, (60, 120)), Some((Deleted, 40, 60)));
        assert_eq!(judged(&bounded, 1, (110, 120)), Some((Deleted, 40, 100)), "no more than the range");
        assert_eq!(judged(&unbounded, 1, (0, 30)), Some((Truncated, 30, 40)));
        assert_eq!(judged(&bounded, 1, (0, 30)), Some((Truncated, 30, 100)));
        assert_eq!(judged(&bounded, 2, (0, 30)), Some((Recreated, 40, 100)));
        assert_eq!(judged(&unbounded, 2, (0, 300)), Some((Recreated, 40, 40)));
        assert_eq!(judged(&unbounded, 1, (0, 40)), None, "a temporary state");
        assert_eq!(judged(&halted(Some(100), Halt::Short), 1, (0, 80)), Some((Truncated, 80, 100)));
        assert_eq!(judged(&halted(Some(100), Halt::Short), 1, (0, 100)), None);
        assert_eq!(judged(&halted(None, Halt::Diverged), 1, (0, 70)), Some((Truncated, 40, 40)));
        let unknown = Halted { id: None, ..halted(None, Halt::OutOfRange) };
        assert_eq!(judged(&unknown, 2, (0, 40)), None);
    }
}
