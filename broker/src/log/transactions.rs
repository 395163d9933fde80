//! The transactions of a partition: the open ones, and the aborted ones of the past.
//!
//! Separate because it does no I/O, and because two kinds of reads depend on it: the last stable offset comes from the
//! open transactions, and the list by which a client skips records comes from the aborted ones. A partition accepts
//! transactional records only from a producer that was announced, so a late record can never open a transaction that
//! nobody will end.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use serde::{Deserialize, Serialize};

use super::batch::BatchHeader;
use super::producer::Producer;

/// An aborted transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Aborted {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    /// The offset of the marker.
    pub(crate) last_offset: i64,
}

/// The transactions of one partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct PartitionTransactions {
    open: OpenTransactions,
    /// In order of `last_offset`.
    aborted: Vec<Aborted>,
}

/// The open transactions, by producer.
pub(crate) type OpenTransactions = BTreeMap<i64, Open>;

/// An open transaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Open {
    epoch: i16,
    /// `None` until the producer has written something.
    first_offset: Option<i64>,
}

impl PartitionTransactions {
    /// Allows a producer to write transactional records until its transaction ends.
    pub(crate) fn announce(&mut self, producer: Producer) {
        let fresh = Open { epoch: producer.epoch, first_offset: None };
        self.open.entry(producer.id).or_insert(fresh).epoch = producer.epoch;
    }

    /// Checks a batch before it is appended.
    pub(crate) fn check(&self, header: &BatchHeader) -> Result<(), ResponseError> {
        let open = self.open.get(&header.producer.id).filter(|_| header.is_idempotent());
        match open {
            Some(open) if header.is_transactional() && open.epoch == header.producer.epoch => Ok(()),
            Some(open) if header.producer.epoch < open.epoch => Err(ResponseError::InvalidProducerEpoch),
            Some(_) => Err(ResponseError::InvalidTxnState),
            None if header.is_transactional() => Err(ResponseError::InvalidTxnState),
            None => Ok(()),
        }
    }

    /// Records a batch that was appended.
    pub(crate) fn appended(&mut self, header: &BatchHeader) {
        if header.is_transactional() {
            self.announce(header.producer);
            if let Some(open) = self.open.get_mut(&header.producer.id) {
                open.first_offset.get_or_insert(header.base_offset);
            }
        }
    }

    /// Records the marker at `marker_offset`.
    pub(crate) fn ended(&mut self, producer: Producer, commit: bool, marker_offset: i64) {
        let Some(Open { first_offset: Some(first_offset), .. }) = self.open.remove(&producer.id) else { return };
        if !commit {
            self.aborted.push(Aborted { producer_id: producer.id, first_offset, last_offset: marker_offset });
        }
    }

    /// The first offset that belongs to an open transaction.
    pub(crate) fn first_open_offset(&self) -> Option<i64> {
        self.open.values().filter_map(|open| open.first_offset).min()
    }

    /// Whether a producer is announced or has an open transaction.
    pub(crate) fn is_open(&self, producer_id: i64) -> bool {
        self.open.contains_key(&producer_id)
    }

    /// The start of a producer's open transaction.
    pub(crate) fn start_of(&self, producer_id: i64) -> Option<i64> {
        self.open.get(&producer_id).and_then(|open| open.first_offset)
    }

    /// The producers with open transactions.
    pub(crate) fn open_producers(&self) -> Vec<Producer> {
        self.open.iter().map(|(id, open)| Producer { id: *id, epoch: open.epoch }).collect()
    }

    /// The aborted transactions with records from `from` up to but not including `to`.
    pub(crate) fn aborted_between(&self, from: i64, to: i64) -> Vec<Aborted> {
        let first = self.aborted.partition_point(|aborted| aborted.last_offset < from);
        self.aborted[first..].iter().filter(|aborted| aborted.first_offset < to).copied().collect()
    }

    /// The open transactions.
    pub(crate) fn open(&self) -> &OpenTransactions {
        &self.open
    }

    /// Continues with these open transactions. Those that were only announced are not known any more.
    pub(crate) fn continue_with(&mut self, open: OpenTransactions) {
        self.open = open;
        self.open.retain(|_, open| open.first_offset.is_some());
    }

    /// The aborted transactions whose markers are from `from` up to but not including `to`.
    pub(crate) fn aborted_that_end(&self, from: i64, to: i64) -> Vec<Aborted> {
        let [first, next] = [from, to].map(|at| self.aborted.partition_point(|aborted| aborted.last_offset < at));
        self.aborted[first..next].to_vec()
    }

    /// Adds aborted transactions of the past, which end after those that are known.
    pub(crate) fn add_aborted(&mut self, aborted: Vec<Aborted>) {
        self.aborted.extend(aborted);
    }

    /// Removes the aborted transactions that ended before an offset: nothing is left of them.
    pub(crate) fn forget_ended_before(&mut self, offset: i64) {
        self.aborted.retain(|aborted| aborted.last_offset >= offset);
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::testing;
    use super::*;

    const PRODUCER: Producer = Producer { id: 1, epoch: 2 };

    fn header(epoch: i16, base_offset: i64, transactional: bool) -> BatchHeader {
        let batch = testing::batch(Producer { id: 1, epoch }, 0, 1, 0, transactional);
        BatchHeader { base_offset, ..BatchHeader::parse(&batch).expect("a header") }
    }

    #[test]
    fn only_announced_transactions_are_accepted() {
        let mut transactions = PartitionTransactions::default();
        assert_eq!(transactions.check(&header(2, 0, true)), Err(ResponseError::InvalidTxnState));
        assert_eq!(transactions.check(&header(2, 0, false)), Ok(()));
        transactions.announce(PRODUCER);
        assert_eq!(transactions.check(&header(2, 0, true)), Ok(()));
        assert_eq!(transactions.check(&header(2, 0, false)), Err(ResponseError::InvalidTxnState));
        assert_eq!(transactions.check(&header(1, 0, true)), Err(ResponseError::InvalidProducerEpoch));
        transactions.ended(PRODUCER, true, 5);
        assert_eq!(transactions.check(&header(2, 0, true)), Err(ResponseError::InvalidTxnState));
    }

    #[test]
    fn the_first_undecided_record_is_that_of_the_oldest_open_transaction() {
        let mut transactions = PartitionTransactions::default();
        transactions.announce(PRODUCER);
        assert_eq!(transactions.first_open_offset(), None);
        transactions.appended(&header(2, 7, true));
        transactions.appended(&header(2, 9, true));
        assert_eq!(transactions.first_open_offset(), Some(7));
        transactions.ended(PRODUCER, false, 12);
        assert_eq!(transactions.first_open_offset(), None);
    }

    #[test]
    fn aborted_transactions_are_listed_where_they_overlap() {
        let mut transactions = PartitionTransactions::default();
        for (first, marker) in [(0, 3), (4, 9), (10, 20)] {
            transactions.appended(&header(2, first, true));
            transactions.ended(PRODUCER, false, marker);
        }
        let firsts = |from, to| {
            transactions.aborted_between(from, to).iter().map(|aborted| aborted.first_offset).collect::<Vec<_>>()
        };
        assert_eq!(firsts(0, 100), [0, 4, 10]);
        assert_eq!(firsts(5, 10), [4]);
        assert_eq!(firsts(9, 11), [4, 10]);
        assert!(firsts(21, 30).is_empty());
    }
}
