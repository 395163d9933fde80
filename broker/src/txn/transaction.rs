//! A transactional id: its producer, and its open transaction if there is one.
//!
//! Separate because it does no I/O: requests and the time go in, decisions come out, and `registry` carries them out.
//!
//! ```text
//! Idle → Ongoing → Decided → Idle      (Decided: the outcome is in the journal, markers are being written)
//! ```

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;

use crate::log::Producer;
use crate::meta::{DecidedTransaction, OpenTransaction, TransactionalIdImage};
use crate::topic_partition::TopicPartition;

/// Kafka's `transaction.max.timeout.ms`.
const TIMEOUT_MS_MAX: i32 = 900_000;
/// The epoch at which a transactional id gets a new producer id.
const EPOCH_MAX: i16 = i16::MAX - 1;
/// The maximum number of partitions in a transaction.
const PARTITIONS_MAX: usize = 100_000;

/// A transactional id.
#[derive(Debug)]
pub(crate) struct Transaction {
    producer: Producer,
    /// The previous epoch, if its owner may still come back with it: after a retried request or a timeout, but not
    /// after another producer has taken over.
    former_epoch: Option<i16>,
    timeout_ms: i32,
    phase: Phase,
}

/// The phase of a transactional id.
#[derive(Debug)]
pub(crate) enum Phase {
    /// No transaction is open; `committed` says how the last one ended, if there was one since the producer
    /// initialized.
    Idle {
        committed: Option<bool>,
    },
    Ongoing {
        since_ms: i64,
        partitions: BTreeSet<TopicPartition>,
        groups: BTreeSet<String>,
    },
    Decided(DecidedTransaction),
}

/// The producer that an initializing client gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Initialized {
    /// This producer, once it is in the journal.
    As(Producer),
    /// A new producer id, because the epochs of the current one are used up.
    NeedsId,
}

/// What has to be done to end a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Nothing; it has already ended this way.
    Done,
    /// Collect the offsets of these groups and decide.
    Decide { groups: Vec<String>, partitions: Vec<TopicPartition> },
    /// It is decided; the remaining steps must be retried.
    Resume,
}

impl Transaction {
    /// A new transactional id.
    pub(crate) fn new(producer: Producer, timeout_ms: i32) -> Transaction {
        Transaction { producer, former_epoch: None, timeout_ms, phase: Phase::Idle { committed: None } }
    }

    /// A transactional id from the journal.
    pub(crate) fn from_journal(image: TransactionalIdImage) -> Transaction {
        let producer = Producer { id: image.producer_id, epoch: image.producer_epoch };
        let phase = match (image.decided, image.open) {
            (Some(decided), _) => Phase::Decided(decided),
            (None, Some(OpenTransaction { since_ms, partitions, groups })) => {
                Phase::Ongoing { since_ms, partitions, groups: groups.into_keys().collect() }
            }
            (None, None) => Phase::Idle { committed: None },
        };
        Transaction { producer, former_epoch: None, timeout_ms: image.timeout_ms, phase }
    }

    pub(crate) fn producer(&self) -> Producer {
        self.producer
    }

    pub(crate) fn timeout_ms(&self) -> i32 {
        self.timeout_ms
    }

    pub(crate) fn phase(&self) -> &Phase {
        &self.phase
    }

    /// When the transaction began; `now_ms` if the next addition begins it.
    pub(crate) fn since_ms(&self, now_ms: i64) -> i64 {
        if let Phase::Ongoing { since_ms, .. } = self.phase { since_ms } else { now_ms }
    }

    /// The state's name in Kafka.
    pub(crate) fn state_name(&self) -> &'static str {
        match &self.phase {
            Phase::Idle { committed: None } => "Empty",
            Phase::Idle { committed: Some(true) } => "CompleteCommit",
            Phase::Idle { committed: Some(false) } => "CompleteAbort",
            Phase::Ongoing { .. } => "Ongoing",
            Phase::Decided(ended) if ended.commit => "PrepareCommit",
            Phase::Decided(_) => "PrepareAbort",
        }
    }

    pub(crate) fn check_timeout(timeout_ms: i32) -> Result<(), ResponseError> {
        let legal = (1..=TIMEOUT_MS_MAX).contains(&timeout_ms);
        if legal { Ok(()) } else { Err(ResponseError::InvalidTransactionTimeout) }
    }

    /// Checks whether a client that claims to be `claimed` can initialize: any client that claims nothing, the owner,
    /// or an owner that did not receive the response to its last attempt.
    pub(crate) fn check_claim(&self, claimed: Option<Producer>) -> Result<(), ResponseError> {
        let Some(claimed) = claimed.filter(|_| self.producer.epoch >= 0) else { return Ok(()) };
        let known = claimed.id == self.producer.id
            && (claimed.epoch == self.producer.epoch || Some(claimed.epoch) == self.former_epoch);
        if known { Ok(()) } else { Err(ResponseError::ProducerFenced) }
    }

    /// The producer for a client that initializes while no transaction is open.
    pub(crate) fn next_producer(&self, claimed: Option<Producer>) -> Initialized {
        match claimed {
            Some(claimed) if Some(claimed.epoch) == self.former_epoch => Initialized::As(self.producer),
            _ if self.producer.epoch >= EPOCH_MAX => Initialized::NeedsId,
            _ => Initialized::As(Producer { epoch: self.producer.epoch + 1, ..self.producer }),
        }
    }

    /// Makes the result of [`Transaction::next_producer`] the owner. Only an owner that identified itself can come back
    /// with its previous epoch.
    pub(crate) fn initialized(&mut self, producer: Producer, claimed: Option<Producer>, timeout_ms: i32) {
        if producer != self.producer {
            self.former_epoch = claimed.filter(|claimed| claimed.id == producer.id).map(|claimed| claimed.epoch);
        }
        self.producer = producer;
        self.timeout_ms = timeout_ms;
        self.phase = Phase::Idle { committed: None };
    }

    /// Checks whether a producer owns this transactional id.
    pub(crate) fn check_owner(&self, producer: Producer) -> Result<(), ResponseError> {
        if producer.id != self.producer.id {
            return Err(ResponseError::InvalidProducerIdMapping);
        }
        if producer.epoch != self.producer.epoch {
            return Err(ResponseError::ProducerFenced);
        }
        match self.phase {
            Phase::Decided(_) => Err(ResponseError::ConcurrentTransactions),
            _ => Ok(()),
        }
    }

    /// Those of the partitions that do not belong to the transaction yet.
    pub(crate) fn missing(&self, partitions: &[TopicPartition]) -> Result<Vec<TopicPartition>, ResponseError> {
        let Phase::Ongoing { partitions: known, .. } = &self.phase else { return Ok(partitions.to_vec()) };
        if known.len() + partitions.len() > PARTITIONS_MAX {
            return Err(ResponseError::InvalidRequest);
        }
        Ok(partitions.iter().filter(|at| !known.contains(at)).cloned().collect())
    }

    /// Adds partitions to the transaction, which begins if none is open.
    pub(crate) fn add_partitions(&mut self, added: &[TopicPartition], now_ms: i64) -> Result<(), ResponseError> {
        let (partitions, _) = self.ongoing(now_ms).ok_or(ResponseError::ConcurrentTransactions)?;
        partitions.extend(added.iter().cloned());
        Ok(())
    }

    /// Adds a group whose offsets the transaction will commit.
    pub(crate) fn add_group(&mut self, group: &str, now_ms: i64) -> Result<(), ResponseError> {
        let (_, groups) = self.ongoing(now_ms).ok_or(ResponseError::ConcurrentTransactions)?;
        groups.insert(group.to_owned());
        Ok(())
    }

    /// Whether the group was added to the transaction.
    pub(crate) fn has_group(&self, group: &str) -> bool {
        matches!(&self.phase, Phase::Ongoing { groups, .. } if groups.contains(group))
    }

    /// What has to be done to end the transaction.
    pub(crate) fn ending(&self, commit: bool) -> Result<Ending, ResponseError> {
        match &self.phase {
            Phase::Idle { committed } if *committed == Some(commit) => Ok(Ending::Done),
            Phase::Idle { .. } => Err(ResponseError::InvalidTxnState),
            Phase::Decided(ended) if ended.commit == commit => Ok(Ending::Resume),
            Phase::Decided(_) => Err(ResponseError::InvalidTxnState),
            Phase::Ongoing { partitions, groups, .. } => Ok(Ending::Decide {
                groups: groups.iter().cloned().collect(),
                partitions: partitions.iter().cloned().collect(),
            }),
        }
    }

    /// The producer whose marker fences the current owner; the same one if its epochs are used up.
    pub(crate) fn fencing_producer(&self) -> Producer {
        Producer { epoch: self.producer.epoch.saturating_add(1), ..self.producer }
    }

    /// Whether the timeout of the open transaction has passed.
    pub(crate) fn is_overdue(&self, now_ms: i64) -> bool {
        self.deadline_ms().is_some_and(|deadline_ms| deadline_ms <= now_ms)
    }

    /// When the open transaction times out.
    pub(crate) fn deadline_ms(&self) -> Option<i64> {
        match self.phase {
            Phase::Ongoing { since_ms, .. } => Some(since_ms + i64::from(self.timeout_ms)),
            _ => None,
        }
    }

    /// Records the outcome that was written to the journal. With `owner_may_return`, a fenced owner can come back with
    /// its previous epoch.
    pub(crate) fn decided(&mut self, ended: DecidedTransaction, owner_may_return: bool) {
        let producer = Producer { id: ended.producer_id, epoch: ended.producer_epoch };
        if producer != self.producer {
            self.former_epoch = owner_may_return.then_some(self.producer.epoch);
            self.producer = producer;
        }
        self.phase = Phase::Decided(ended);
    }

    /// The outcome of a transaction of which something may be lost, so that it cannot commit; a higher epoch keeps its
    /// producer from continuing as if nothing had happened.
    pub(crate) fn interrupted(&self, partitions: Vec<TopicPartition>) -> DecidedTransaction {
        let Producer { id: producer_id, epoch: producer_epoch } = self.fencing_producer();
        DecidedTransaction { producer_id, producer_epoch, commit: false, partitions, offsets: BTreeMap::new() }
    }

    /// Records that the transaction has ended everywhere.
    pub(crate) fn ended(&mut self) {
        if let Phase::Decided(ended) = &self.phase {
            self.phase = Phase::Idle { committed: Some(ended.commit) };
        }
    }

    fn ongoing(&mut self, now_ms: i64) -> Option<(&mut BTreeSet<TopicPartition>, &mut BTreeSet<String>)> {
        if let Phase::Idle { .. } = self.phase {
            self.phase = Phase::Ongoing { since_ms: now_ms, partitions: BTreeSet::new(), groups: BTreeSet::new() };
        }
        match &mut self.phase {
            Phase::Ongoing { partitions, groups, .. } => Some((partitions, groups)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Producer = Producer { id: 9, epoch: 0 };

    fn ongoing() -> Transaction {
        let mut transaction = Transaction::new(FIRST, 1_000);
        transaction.add_partitions(&[TopicPartition::new("t", 0)], 100).expect("begins");
        transaction.add_group("g", 150).expect("is open");
        transaction
    }

    fn outcome(transaction: &Transaction, producer: Producer, commit: bool) -> DecidedTransaction {
        let Ok(Ending::Decide { partitions, .. }) = transaction.ending(commit) else { panic!("is open") };
        DecidedTransaction {
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            commit,
            partitions,
            offsets: Default::default(),
        }
    }

    fn end(transaction: &mut Transaction, commit: bool) {
        let ended = outcome(transaction, transaction.producer(), commit);
        transaction.decided(ended, false);
        assert_eq!(transaction.ending(commit), Ok(Ending::Resume));
        transaction.ended();
    }

    #[test]
    fn ending_twice_the_same_way_is_fine_and_any_other_way_is_not() {
        for commit in [true, false] {
            let mut transaction = ongoing();
            end(&mut transaction, commit);
            assert_eq!(transaction.ending(commit), Ok(Ending::Done));
            assert_eq!(transaction.ending(!commit), Err(ResponseError::InvalidTxnState));
        }
        assert_eq!(Transaction::new(FIRST, 1).ending(true), Err(ResponseError::InvalidTxnState));
    }

    #[test]
    fn a_new_producer_fences_the_old_one() {
        let mut transaction = ongoing();
        end(&mut transaction, true);
        let Initialized::As(second) = transaction.next_producer(None) else { panic!("has epochs left") };
        transaction.initialized(second, None, 1_000);
        assert_eq!(second, Producer { id: 9, epoch: 1 });
        assert_eq!(transaction.check_owner(FIRST), Err(ResponseError::ProducerFenced));
        assert_eq!(transaction.check_claim(Some(FIRST)), Err(ResponseError::ProducerFenced));
        assert_eq!(transaction.check_owner(Producer { id: 8, epoch: 1 }), Err(ResponseError::InvalidProducerIdMapping));
        assert_eq!(transaction.check_owner(second), Ok(()));
    }

    #[test]
    fn a_producer_that_names_itself_may_ask_twice() {
        let mut transaction = Transaction::new(FIRST, 1_000);
        let Initialized::As(second) = transaction.next_producer(Some(FIRST)) else { panic!("has epochs left") };
        transaction.initialized(second, Some(FIRST), 1_000);
        assert_eq!(transaction.check_claim(Some(FIRST)), Ok(()));
        assert_eq!(transaction.next_producer(Some(FIRST)), Initialized::As(second));
        transaction.initialized(second, Some(FIRST), 1_000);
        assert_eq!(transaction.check_claim(Some(FIRST)), Ok(()));
    }

    #[test]
    fn a_timeout_fences_the_owner_but_lets_it_start_anew() {
        let mut transaction = ongoing();
        assert!(!transaction.is_overdue(1_099) && transaction.is_overdue(1_100));
        let ended = outcome(&transaction, transaction.fencing_producer(), false);
        transaction.decided(ended, true);
        assert_eq!(transaction.check_owner(transaction.producer()), Err(ResponseError::ConcurrentTransactions));
        transaction.ended();
        assert_eq!(transaction.check_owner(FIRST), Err(ResponseError::ProducerFenced));
        assert_eq!(transaction.check_claim(Some(FIRST)), Ok(()));
        assert_eq!(transaction.next_producer(Some(FIRST)), Initialized::As(Producer { id: 9, epoch: 1 }));
    }

    #[test]
    fn used_up_epochs_need_a_new_id() {
        let transaction = Transaction::new(Producer { id: 9, epoch: EPOCH_MAX }, 1);
        assert_eq!(transaction.next_producer(None), Initialized::NeedsId);
        assert_eq!(transaction.fencing_producer().epoch, i16::MAX);
    }
}
