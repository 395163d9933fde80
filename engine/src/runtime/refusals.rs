//! What a query has learned about records that a topic refuses, kept from one attempt to the next.
//!
//! ```text
//! refused once      → try again: the topic's limits are read again, and most records that exceed them are left out
//! refused again     → try records in separate transactions, to find out which ones are refused (`probe`)
//! found             → leave them out and report them; topics of Headwater itself are no longer written
//! committed         → forget
//! ```
//!
//! A cluster may refuse a record for reasons that no setting reveals, such as how well a batch compresses or a policy of
//! its own. One record must not stop a query, so the records that are still refused are found by trying.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{BooleanArray, Int64Array};
use headwater_connectors::transport::{Position, TransportError, TransportErrorKind};
use headwater_dataflow::Addresses;
use headwater_formats::record::TopicPartition;
use parking_lot::Mutex;

/// Most records to remember. With more, the query pauses as it does for an outage.
const RECORDS_MAX: usize = 10_000;

/// What was learned about refused records.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<Learned>);

#[derive(Debug, Default)]
struct Learned {
    /// Attempts that ended in a refusal since the last commit.
    attempts: u32,
    /// The last of them learned something new.
    is_new: bool,
    /// The reason for each input record whose result is refused.
    records: BTreeMap<(TopicPartition, i64), String>,
    /// Topics of Headwater itself that refuse records and are no longer written.
    silent: BTreeSet<String>,
    /// By input partition and output topic: the offset below which all results were tried.
    tried: BTreeMap<(TopicPartition, String), i64>,
}

/// What the records of an output batch were made from.
#[derive(Clone, Debug)]
pub(super) enum MadeOf {
    /// From input records: their partition, and the offset of each.
    Records(TopicPartition, Int64Array),
    /// From rows of an exchange that were not read from its topic: the records of the query's input that they came from.
    Rows(Box<Addresses>),
    /// From complaints.
    Complaints,
    /// From what changed in a store.
    State,
}

impl Refusals {
    /// Records that an attempt failed. Returns true if the next one should begin at once, because it will act differently.
    pub fn failed(&self, error: &TransportError) -> bool {
        let mut learned = self.0.lock();
        if error.kind != TransportErrorKind::Refused {
            return false;
        }
        learned.attempts += 1;
        let is_new = std::mem::take(&mut learned.is_new);
        learned.attempts <= 2 || (is_new && learned.records.len() <= RECORDS_MAX)
    }

    /// Records a commit of these offsets.
    pub(super) fn committed(&self, offsets: &BTreeMap<TopicPartition, Position>) {
        let mut learned = self.0.lock();
        learned.attempts = 0;
        learned.tried.clear();
        if !learned.records.is_empty() {
            learned.records.retain(|(origin, offset), _| offsets.get(origin).is_none_or(|next| *offset >= next.offset));
        }
    }

    /// Whether records must be tried before they are written.
    pub(super) fn isolates(&self) -> bool {
        self.0.lock().attempts >= 2
    }

    /// The first row of a batch for `topic` that has not been tried yet.
    pub(super) fn untried(&self, topic: &str, made: &MadeOf) -> usize {
        let MadeOf::Records(origin, offsets) = made else { return 0 };
        let tried = self.0.lock().tried.get(&(origin.clone(), topic.to_owned())).copied().unwrap_or(i64::MIN);
        offsets.values().partition_point(|offset| *offset < tried)
    }

    /// Records that the rows of a batch for `topic` below `row` were tried. If that splits the results of one input record,
    /// all of them are tried again.
    pub(super) fn tried(&self, topic: &str, made: &MadeOf, row: usize) {
        let MadeOf::Records(origin, offsets) = made else { return };
        let next = match offsets.values().get(row) {
            Some(offset) => Some(*offset),
            None => offsets.values().last().map(|last| last + 1),
        };
        if let Some(next) = next {
            let mut learned = self.0.lock();
            let before = learned.tried.insert((origin.clone(), topic.to_owned()), next);
            learned.is_new |= before.is_none_or(|before| before < next);
        }
    }

    /// Records that the record at `row` of a batch for `topic` is refused.
    pub(super) fn learn(&self, topic: &str, made: &MadeOf, row: usize, error: &TransportError) {
        let mut learned = self.0.lock();
        learned.is_new |= match made {
            // State cannot be left out: the query waits until the topic accepts it.
            MadeOf::State => false,
            MadeOf::Complaints => learned.silent.insert(topic.to_owned()),
            MadeOf::Records(origin, offsets) => {
                let address = (origin.clone(), offsets.value(row));
                let reason = format!("topic \"{topic}\" refuses the record: {}", error.message);
                learned.records.insert(address, reason).is_none()
            }
            MadeOf::Rows(addresses) => {
                let reason = format!("topic \"{topic}\" refuses the record: {}", error.message);
                learned.records.insert(addresses.record(row), reason).is_none()
            }
        };
    }

    /// Which of the records at these offsets have results that must be left out: row, offset, and reason.
    pub(super) fn of(&self, origin: &TopicPartition, offsets: &[i64]) -> Vec<(usize, i64, String)> {
        let learned = self.0.lock();
        if learned.records.is_empty() {
            return Vec::new();
        }
        let reason = |(row, offset): (usize, &i64)| {
            learned.records.get(&(origin.clone(), *offset)).map(|reason| (row, *offset, reason.clone()))
        };
        offsets.iter().enumerate().filter_map(reason).collect()
    }

    /// Which rows have results that must be left out because of the records that they came from: row, offset, and reason.
    pub(super) fn of_rows(&self, addresses: &Addresses) -> Vec<(usize, i64, String)> {
        let learned = self.0.lock();
        if learned.records.is_empty() {
            return Vec::new();
        }
        let reason = |row: usize| {
            let address = addresses.record(row);
            learned.records.get(&address).map(|reason| (row, address.1, reason.clone()))
        };
        (0..addresses.offsets.len()).filter_map(reason).collect()
    }

    /// Whether a topic of Headwater itself is no longer written.
    pub(super) fn is_silent(&self, topic: &str) -> bool {
        self.0.lock().silent.contains(topic)
    }
}

/// A filter of `len` rows that keeps all but the given ones.
pub(super) fn all_but(len: usize, rows: impl Iterator<Item = usize>) -> BooleanArray {
    let mut keep = vec![true; len];
    rows.for_each(|row| keep[row] = false);
    keep.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> TransportError {
        TransportError::refused("too large")
    }

    #[test]
    fn a_refused_record_is_remembered_until_it_is_committed() {
        let (refusals, origin) = (Refusals::default(), TopicPartition::new("in", 3));
        assert!(refusals.failed(&refused()) && !refusals.isolates());
        assert!(refusals.failed(&refused()) && refusals.isolates());
        refusals.learn("out", &MadeOf::Records(origin.clone(), vec![7, 9].into()), 1, &refused());
        assert!(refusals.failed(&refused()));
        assert!(!refusals.failed(&refused()), "nothing new was learned");
        let found = refusals.of(&origin, &[8, 9]);
        assert_eq!(found, [(1, 9, "topic \"out\" refuses the record: too large".to_owned())]);
        refusals.committed(&BTreeMap::from([(origin.clone(), 9.into())]));
        assert!(!refusals.isolates() && refusals.of(&origin, &[9]).len() == 1);
        refusals.committed(&BTreeMap::from([(origin.clone(), 10.into())]));
        assert!(refusals.of(&origin, &[9]).is_empty());
    }

    #[test]
    fn an_own_topic_that_refuses_is_no_longer_written() {
        let refusals = Refusals::default();
        refusals.learn("log", &MadeOf::Complaints, 0, &refused());
        assert!(refusals.is_silent("log") && !refusals.is_silent("out"));
        let outage = TransportError::unreachable("too large");
        assert!(!refusals.failed(&outage));
    }
}
