//! All transactional ids, and the execution of their transactions.
//!
//! Separate because this is where decisions are carried out, in an order that survives a crash at any point: the
//! outcome is first written to the journal, then to the logs as markers, then to the groups as offsets, and finally the
//! journal records that it is done. It also records what belongs to a transaction that is open. What a crash left
//! unfinished is handled in `recovery`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kafka_protocol::ResponseError;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::producer_ids::ProducerIds;
use super::transaction::{Ending, Initialized, Phase, Transaction};
use crate::group::{Caller, Groups};
use crate::log::Producer;
use crate::meta::{Change, DecidedTransaction, Journal, PartitionOffset};
use crate::topic_partition::TopicPartition;
use crate::topics::Topics;

/// How long to wait before retrying a decided transaction that could not be finished, in ms.
const RETRY_MS: i64 = 1_000;

/// All transactional ids. Each has its own lock, which is held while its transaction ends; other transactional ids are
/// not affected.
#[derive(Debug)]
pub(crate) struct Transactions {
    pub(super) journal: Arc<Journal>,
    pub(super) producer_ids: ProducerIds,
    /// Notified when the next deadline may have moved closer.
    timer: Arc<Notify>,
    by_id: Mutex<BTreeMap<String, Arc<Mutex<Transaction>>>>,
    /// When to retry unfinished transactions.
    retry_at_ms: Mutex<Option<i64>>,
    /// The transactional ids whose transactions could not be ended; each is logged once.
    failing: Mutex<BTreeSet<String>>,
}

impl Transactions {
    /// Opens the transactional ids in the journal.
    pub(crate) fn open(journal: &Arc<Journal>, timer: &Arc<Notify>) -> Transactions {
        let kept = journal.read(|image| image.transactional_ids.clone());
        let by_id = kept.into_iter().map(|(id, image)| (id, Arc::new(Mutex::new(Transaction::from_journal(image)))));
        Transactions {
            journal: Arc::clone(journal),
            producer_ids: ProducerIds::open(journal),
            timer: Arc::clone(timer),
            by_id: Mutex::new(by_id.collect()),
            retry_at_ms: Mutex::new(None),
            failing: Mutex::default(),
        }
    }

    /// A new producer without a transactional id.
    pub(crate) fn initialize_idempotent(&self) -> Result<Producer, ResponseError> {
        let id = self.producer_ids.fresh(&self.journal).map_err(unavailable)?;
        Ok(Producer { id, epoch: 0 })
    }

    /// Makes a producer the owner of a transactional id. The former owner is fenced, and its open transaction is
    /// aborted.
    pub(crate) fn initialize(
        &self,
        (topics, groups): (&Topics, &Groups),
        id: &str,
        timeout_ms: i32,
        claimed: Option<Producer>,
        now_ms: i64,
    ) -> Result<Producer, ResponseError> {
        Transaction::check_timeout(timeout_ms)?;
        let transaction = self.get_or_create(id, timeout_ms)?;
        let mut transaction = transaction.lock();
        transaction.check_claim(claimed)?;
        if let Phase::Ongoing { .. } = transaction.phase() {
            let fencing = transaction.fencing_producer();
            self.decide(id, &mut transaction, groups, fencing, false, claimed.is_some())?;
        }
        if let Phase::Decided(_) = transaction.phase() {
            self.finish(id, &mut transaction, topics, groups, now_ms)?;
        }
        let producer = match transaction.next_producer(claimed) {
            Initialized::As(producer) => producer,
            Initialized::NeedsId => self.initialize_idempotent()?,
        };
        self.record_producer(id, producer, timeout_ms)?;
        transaction.initialized(producer, claimed, timeout_ms);
        Ok(producer)
    }

    /// Adds partitions to a producer's transaction.
    pub(crate) fn add_partitions(
        &self,
        topics: &Topics,
        id: &str,
        producer: Producer,
        partitions: &[TopicPartition],
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        let transaction = self.owned(id)?;
        let mut transaction = transaction.lock();
        transaction.check_owner(producer)?;
        let missing = transaction.missing(partitions)?;
        if !missing.is_empty() {
            self.extend(id, &transaction, missing, Vec::new(), now_ms)?;
        }
        transaction.add_partitions(partitions, now_ms)?;
        self.timer.notify_one();
        for at in partitions {
            topics.log(&at.topic, at.partition)?.0.announce(producer)?;
        }
        Ok(())
    }

    /// Adds a group to a producer's transaction.
    pub(crate) fn add_group(
        &self,
        id: &str,
        producer: Producer,
        group: &str,
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        let transaction = self.owned(id)?;
        let mut transaction = transaction.lock();
        transaction.check_owner(producer)?;
        if !transaction.has_group(group) {
            self.extend(id, &transaction, Vec::new(), vec![group.to_owned()], now_ms)?;
        }
        self.timer.notify_one();
        transaction.add_group(group, now_ms)
    }

    /// Records in the journal what belongs to a transaction, so that it can go on after a restart.
    fn extend(
        &self,
        id: &str,
        transaction: &Transaction,
        partitions: Vec<TopicPartition>,
        groups: Vec<String>,
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        let (transactional_id, since_ms) = (id.to_owned(), transaction.since_ms(now_ms));
        self.write_to_journal(Change::TransactionExtended { transactional_id, since_ms, partitions, groups })
    }

    /// Adds offsets to a producer's transaction.
    pub(crate) fn commit_offsets(
        &self,
        groups: &Groups,
        id: &str,
        producer: Producer,
        (group, caller): (&str, &Caller),
        offsets: &[PartitionOffset],
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        let transaction = self.owned(id)?;
        let transaction = transaction.lock();
        transaction.check_owner(producer)?;
        if !transaction.has_group(group) {
            return Err(ResponseError::InvalidTxnState);
        }
        groups.prepare(group, caller, producer.id, offsets, now_ms)?;
        let (transactional_id, group, offsets) = (id.to_owned(), group.to_owned(), offsets.to_vec());
        self.write_to_journal(Change::TransactionOffsetsAdded { transactional_id, group, offsets })
    }

    /// Commits or aborts a producer's transaction; when this returns, it has ended everywhere.
    pub(crate) fn end(
        &self,
        (topics, groups): (&Topics, &Groups),
        id: &str,
        producer: Producer,
        commit: bool,
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        let transaction = self.owned(id)?;
        let mut transaction = transaction.lock();
        match transaction.check_owner(producer) {
            Err(ResponseError::ConcurrentTransactions) | Ok(()) => {}
            refused => return refused,
        }
        match transaction.ending(commit)? {
            Ending::Done => return Ok(()),
            Ending::Resume => {}
            Ending::Decide { .. } => self.decide(id, &mut transaction, groups, producer, commit, false)?,
        }
        self.finish(id, &mut transaction, topics, groups, now_ms).map_err(|error| {
            self.retry_later(id, error, now_ms);
            ResponseError::ConcurrentTransactions
        })
    }

    /// Calls `inspect` with a transactional id; `None` if it is unknown.
    pub(crate) fn inspect<T>(&self, id: &str, inspect: impl FnOnce(&Transaction) -> T) -> Option<T> {
        let transaction = self.by_id.lock().get(id).cloned()?;
        let transaction = transaction.lock();
        Some(inspect(&transaction))
    }

    /// All transactional ids.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.by_id.lock().keys().cloned().collect()
    }

    /// When [`Transactions::handle_timeouts`] must be called next.
    pub(crate) fn poll_timeout(&self) -> Option<i64> {
        let deadlines = self.all().into_iter().filter_map(|(_, transaction)| transaction.lock().deadline_ms());
        let retry_at_ms = *self.retry_at_ms.lock();
        let next_ms = deadlines.chain(retry_at_ms).min();
        next_ms.map(|next_ms| next_ms.max(retry_at_ms.unwrap_or(next_ms)))
    }

    /// Aborts transactions whose timeout has passed, and retries those that could not be finished.
    pub(crate) fn handle_timeouts(&self, topics: &Topics, groups: &Groups, now_ms: i64) {
        let retry = self.retry_at_ms.lock().take_if(|retry_at_ms| *retry_at_ms <= now_ms).is_some();
        if self.retry_at_ms.lock().is_some() {
            return; // a retry this soon would fail again
        }
        for (id, transaction) in self.all() {
            let mut transaction = transaction.lock();
            let unfinished = retry && matches!(transaction.phase(), Phase::Decided(_));
            let done = match transaction.is_overdue(now_ms) {
                true => self.give_up(&id, &mut transaction, topics, groups, now_ms),
                false if unfinished => self.finish(&id, &mut transaction, topics, groups, now_ms),
                false => Ok(()),
            };
            done.unwrap_or_else(|error| self.retry_later(&id, error, now_ms));
        }
    }

    fn give_up(
        &self,
        id: &str,
        transaction: &mut Transaction,
        topics: &Topics,
        groups: &Groups,
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        tracing::info!(transactional_id = id, "aborting a transaction that timed out");
        let fencing = transaction.fencing_producer();
        self.decide(id, transaction, groups, fencing, false, true)?;
        self.finish(id, transaction, topics, groups, now_ms)
    }

    /// Writes the outcome to the journal. From here on it is final.
    fn decide(
        &self,
        id: &str,
        transaction: &mut Transaction,
        groups: &Groups,
        producer: Producer,
        commit: bool,
        owner_may_return: bool,
    ) -> Result<(), ResponseError> {
        let Ending::Decide { groups: names, partitions } = transaction.ending(commit)? else { return Ok(()) };
        let offsets_of = |group: String| {
            let offsets = if commit { groups.prepared(&group, producer.id) } else { Vec::new() };
            (group, offsets)
        };
        let ended = DecidedTransaction {
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            commit,
            partitions,
            offsets: names.into_iter().map(offsets_of).collect(),
        };
        self.write_to_journal(Change::TransactionDecided { transactional_id: id.to_owned(), ended: ended.clone() })?;
        transaction.decided(ended, owner_may_return);
        Ok(())
    }

    /// Carries a decided outcome out everywhere. Can be retried after an error.
    pub(super) fn finish(
        &self,
        id: &str,
        transaction: &mut Transaction,
        topics: &Topics,
        groups: &Groups,
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        let Phase::Decided(ended) = transaction.phase() else { return Ok(()) };
        let producer = Producer { id: ended.producer_id, epoch: ended.producer_epoch };
        for at in &ended.partitions {
            // A partition whose topic was deleted in the meantime needs no marker.
            let Ok((log, rules)) = topics.log(&at.topic, at.partition) else { continue };
            match log.end_transaction(producer, ended.commit, &rules, now_ms) {
                Ok(()) | Err(ResponseError::UnknownTopicOrPartition) => {}
                Err(error) => return Err(error),
            }
        }
        self.write_to_journal(Change::TransactionEnded { transactional_id: id.to_owned() })?;
        for (group, offsets) in &ended.offsets {
            groups.end(group, producer.id, offsets);
        }
        transaction.ended();
        if self.failing.lock().remove(id) {
            tracing::warn!(transactional_id = id, "ended a transaction that could not be ended before");
        }
        Ok(())
    }

    pub(super) fn retry_later(&self, id: &str, error: ResponseError, now_ms: i64) {
        if self.failing.lock().insert(id.to_owned()) {
            tracing::warn!(transactional_id = id, %error, "could not end a transaction; retrying until it ends");
        }
        *self.retry_at_ms.lock() = Some(now_ms + RETRY_MS);
        self.timer.notify_one();
    }

    fn get_or_create(&self, id: &str, timeout_ms: i32) -> Result<Arc<Mutex<Transaction>>, ResponseError> {
        let mut by_id = self.by_id.lock();
        if let Some(transaction) = by_id.get(id) {
            return Ok(Arc::clone(transaction));
        }
        // The first initialization increases this epoch to 0.
        let producer = Producer { epoch: -1, ..self.initialize_idempotent()? };
        let transaction = Arc::new(Mutex::new(Transaction::new(producer, timeout_ms)));
        by_id.insert(id.to_owned(), Arc::clone(&transaction));
        Ok(transaction)
    }

    fn owned(&self, id: &str) -> Result<Arc<Mutex<Transaction>>, ResponseError> {
        self.by_id.lock().get(id).cloned().ok_or(ResponseError::InvalidProducerIdMapping)
    }

    pub(super) fn all(&self) -> Vec<(String, Arc<Mutex<Transaction>>)> {
        self.by_id.lock().iter().map(|(id, transaction)| (id.clone(), Arc::clone(transaction))).collect()
    }

    fn record_producer(&self, id: &str, producer: Producer, timeout_ms: i32) -> Result<(), ResponseError> {
        self.write_to_journal(Change::ProducerInitialized {
            transactional_id: id.to_owned(),
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            timeout_ms,
        })
    }

    pub(super) fn write_to_journal(&self, change: Change) -> Result<(), ResponseError> {
        self.journal.write(change).map_err(unavailable)
    }
}

/// Kafka clients retry after this error; the cause is in the log.
fn unavailable(_: std::io::Error) -> ResponseError {
    ResponseError::CoordinatorNotAvailable
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::group::Timeouts;
    use crate::topics::Settings;

    /// A journal, an empty topic, and groups.
    fn stage() -> (Arc<Journal>, Topics, Groups, Arc<Notify>) {
        let journal = Arc::new(Journal::in_memory());
        let topics = Topics::open(&journal, None, &Config::in_memory(), true).expect("opens");
        topics.create("t", 1, Settings::default(), false).expect("creates");
        let timer = Arc::new(Notify::new());
        let groups = Groups::open(&journal, Timeouts::default(), &timer, 0);
        (journal, topics, groups, timer)
    }

    #[test]
    fn an_end_that_fails_is_tried_again_and_not_at_once() {
        let (journal, topics, groups, timer) = stage();
        let transactions = Transactions::open(&journal, &timer);
        let rooms = (&topics, &groups);
        let producer = transactions.initialize(rooms, "x", 1_000, None, 0).expect("initializes");
        let at = TopicPartition::new("t", 0);
        transactions.add_partitions(&topics, "x", producer, &[at], 0).expect("adds");
        journal.close().expect("closes");
        let refused = transactions.end(rooms, "x", producer, true, 0);
        assert_eq!(refused, Err(ResponseError::CoordinatorNotAvailable));
        assert_eq!(transactions.poll_timeout(), Some(1_000), "it is open until its timeout");
        transactions.handle_timeouts(&topics, &groups, 1_000);
        assert_eq!(transactions.poll_timeout(), Some(1_000 + RETRY_MS));
    }
}
