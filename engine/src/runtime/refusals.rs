//! What a query has learned of records that a topic refuses, kept from one attempt to the next.
//!
//! ```text
//! refused once      → try again: what the topic takes is read again, and most of what does not fit is left out
//! refused again     → try records in transactions of their own, to learn which ones they are (`probe`)
//! which are known   → leave them out and complain; own topics are written no more
//! committed         → forget
//! ```
//!
//! A cluster refuses a record for reasons that no setting tells: how well a batch compresses, a rule of its own. One record
//! must not end a query, so what remains refused is found by trying.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{BooleanArray, Int64Array};
use headwater_connectors::transport::{Position, TransportError, TransportErrorKind};
use headwater_formats::record::TopicPartition;
use parking_lot::Mutex;

/// Records that are remembered, at most; with more the query waits as it does for an outage.
const RECORDS_MAX: usize = 10_000;

/// What was learned.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<Learned>);

#[derive(Debug, Default)]
struct Learned {
    /// Attempts that ended in a refusal since the last commit.
    attempts: u32,
    /// Something was learned by the last of them.
    is_new: bool,
    /// For each record of the input whose result is refused, why.
    records: BTreeMap<(TopicPartition, i64), String>,
    /// Topics of our own that refuse what is written to them.
    silent: BTreeSet<String>,
    /// The results of records of the input below these offsets were tried, by where they go.
    tried: BTreeMap<(TopicPartition, String), i64>,
}

/// What records of a batch were made of.
#[derive(Clone, Debug)]
pub(super) enum Made {
    /// Of records of the input: the partition and the offset of each.
    Of(TopicPartition, Int64Array),
    /// Of complaints.
    OfComplaints,
}

impl Refusals {
    /// An attempt ended with an error. True when another one should begin at once, for it will do otherwise.
    pub fn failed(&self, error: &TransportError) -> bool {
        let mut learned = self.0.lock();
        if error.kind != TransportErrorKind::Refused {
            return false;
        }
        learned.attempts += 1;
        let is_new = std::mem::take(&mut learned.is_new);
        learned.attempts <= 2 || (is_new && learned.records.len() <= RECORDS_MAX)
    }

    /// Notes a commit up to these offsets.
    pub(super) fn committed(&self, offsets: &BTreeMap<TopicPartition, Position>) {
        let mut learned = self.0.lock();
        learned.attempts = 0;
        learned.tried.clear();
        if !learned.records.is_empty() {
            learned.records.retain(|(origin, offset), _| offsets.get(origin).is_none_or(|next| *offset >= next.offset));
        }
    }

    /// Whether records are to be tried before they are written.
    pub(super) fn isolates(&self) -> bool {
        self.0.lock().attempts >= 2
    }

    /// The first row of a batch for `topic` that was not tried yet.
    pub(super) fn untried(&self, topic: &str, made: &Made) -> usize {
        let Made::Of(origin, offsets) = made else { return 0 };
        let tried = self.0.lock().tried.get(&(origin.clone(), topic.to_owned())).copied().unwrap_or(i64::MIN);
        offsets.values().partition_point(|offset| *offset < tried)
    }

    /// Notes that the rows of a batch for `topic` below `row` were tried. Of a record whose results are cut apart there, all
    /// are tried again.
    pub(super) fn tried(&self, topic: &str, made: &Made, row: usize) {
        let Made::Of(origin, offsets) = made else { return };
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

    /// Notes which record it was: the one at `row` of a batch for `topic`.
    pub(super) fn learn(&self, topic: &str, made: &Made, row: usize, error: &TransportError) {
        let mut learned = self.0.lock();
        learned.is_new |= match made {
            Made::OfComplaints => learned.silent.insert(topic.to_owned()),
            Made::Of(origin, offsets) => {
                let address = (origin.clone(), offsets.value(row));
                let reason = format!("topic \"{topic}\" refuses the record: {}", error.message);
                learned.records.insert(address, reason).is_none()
            }
        };
    }

    /// Which of the records at these offsets have results that are left out: row, offset, and why.
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

    /// Whether a topic of our own is not written to any more.
    pub(super) fn is_silent(&self, topic: &str) -> bool {
        self.0.lock().silent.contains(topic)
    }
}

/// What is kept of so many rows when some are left out.
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
    fn a_record_that_remains_refused_is_learned_and_forgotten_once_it_is_passed() {
        let (refusals, origin) = (Refusals::default(), TopicPartition::new("in", 3));
        assert!(refusals.failed(&refused()) && !refusals.isolates());
        assert!(refusals.failed(&refused()) && refusals.isolates());
        refusals.learn("out", &Made::Of(origin.clone(), vec![7, 9].into()), 1, &refused());
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
    fn a_topic_of_our_own_that_refuses_is_written_no_more() {
        let refusals = Refusals::default();
        refusals.learn("log", &Made::OfComplaints, 0, &refused());
        assert!(refusals.is_silent("log") && !refusals.is_silent("out"));
        let outage = TransportError::unreachable("too large");
        assert!(!refusals.failed(&outage));
    }
}
