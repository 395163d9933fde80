//! Transactions that the last broker left unfinished.
//!
//! Separate because it runs once, when the broker starts: a decided transaction is finished, and an open one goes on. If
//! something of it may be lost, it is aborted with a higher epoch, so that its producer cannot commit what is left.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;

use super::registry::Transactions;
use super::transaction::{Phase, Transaction};
use crate::group::Groups;
use crate::log::Producer;
use crate::meta::{Change, PartitionOffset};
use crate::topic_partition::TopicPartition;
use crate::topics::Topics;

/// The partitions in which a producer has an open transaction, each with the epoch of what was written.
type Written = Vec<(i16, TopicPartition)>;

impl Transactions {
    /// Finishes the transactions that were decided. Those that were open go on if nothing can be lost of what the last
    /// broker wrote (`is_whole`), and are aborted otherwise.
    pub(crate) fn recover(&self, topics: &Topics, groups: &Groups, is_whole: bool, now_ms: i64) {
        self.finish_decided(topics, groups, now_ms);
        let mut written = self.open_in_logs(topics);
        for (id, transaction) in self.all() {
            let mut transaction = transaction.lock();
            let written = written.remove(&transaction.producer().id).unwrap_or_default();
            match transaction.phase() {
                Phase::Decided(_) => {} // could not be finished; it will be retried
                Phase::Ongoing { .. } if is_whole && self.resume(&id, &transaction, &written, (topics, groups)) => {}
                _ => self.end_interrupted(&id, &mut transaction, written, (topics, groups), now_ms),
            }
        }
        for (producer_id, written) in written {
            for (epoch, at) in written {
                abort_open(topics, &at, Producer { id: producer_id, epoch: epoch.saturating_add(1) }, now_ms);
            }
        }
    }

    fn finish_decided(&self, topics: &Topics, groups: &Groups, now_ms: i64) {
        for (id, transaction) in self.all() {
            let mut transaction = transaction.lock();
            if let Phase::Decided(_) = transaction.phase() {
                let finished = self.finish(&id, &mut transaction, topics, groups, now_ms);
                finished.unwrap_or_else(|error| self.retry_later(&id, error, now_ms));
            }
        }
    }

    /// Lets a transaction go on as if nothing had happened. Returns false if it cannot: something was lost, or a former
    /// owner's records are among those that are open.
    fn resume(
        &self,
        id: &str,
        transaction: &Transaction,
        written: &Written,
        (topics, groups): (&Topics, &Groups),
    ) -> bool {
        let open = self.journal.read(|image| image.transactional_ids.get(id).and_then(|image| image.open.clone()));
        let (Some(open), producer) = (open, transaction.producer()) else { return false };
        let is_own = |(epoch, at): &(i16, TopicPartition)| *epoch == producer.epoch && open.partitions.contains(at);
        let is_lost = |at: &TopicPartition| {
            topics.log(&at.topic, at.partition).is_ok_and(|(log, _)| log.start_before_loss(producer.id).is_some())
        };
        if !written.iter().all(is_own) || open.partitions.iter().any(is_lost) {
            return false;
        }
        announce(topics, &open.partitions, producer);
        for (group, offsets) in open.groups {
            let offset = |(at, committed)| PartitionOffset { at, committed };
            groups.resume(&group, producer.id, &offsets.into_iter().map(offset).collect::<Vec<_>>());
        }
        tracing::info!(transactional_id = id, "a transaction that was open when the last broker ended goes on");
        true
    }

    /// Aborts what is open of a transactional id. Its producer is fenced if it may believe that its transaction is open.
    fn end_interrupted(
        &self,
        id: &str,
        transaction: &mut Transaction,
        written: Written,
        (topics, groups): (&Topics, &Groups),
        now_ms: i64,
    ) {
        let producer = transaction.producer();
        let begun = self.journal.read(|image| {
            let image = image.transactional_ids.get(id);
            image.map(|image| (image.begun, image.open.clone().unwrap_or_default())).unwrap_or_default()
        });
        let is_ongoing = matches!(transaction.phase(), Phase::Ongoing { .. });
        // A marker that is missing from a former owner's transaction fences nobody.
        if begun.0 || is_ongoing || written.iter().any(|(epoch, _)| *epoch >= producer.epoch) {
            let partitions: BTreeSet<_> = written.into_iter().map(|(_, at)| at).chain(begun.1.partitions).collect();
            // Partitions without records get a marker, too: it tells the producer that it is fenced.
            announce(topics, &partitions, producer);
            let aborted = self.abort_interrupted(id, transaction, partitions, (topics, groups), now_ms);
            aborted.unwrap_or_else(|error| self.retry_later(id, error, now_ms));
        } else {
            written.iter().for_each(|(_, at)| abort_open(topics, at, producer, now_ms));
        }
    }

    /// The open transactions in all logs, by producer id, with the epoch of the producer. Ids that a log knows are not
    /// assigned again.
    fn open_in_logs(&self, topics: &Topics) -> BTreeMap<i64, Written> {
        let mut open: BTreeMap<i64, Written> = BTreeMap::new();
        for topic in topics.all() {
            for (log, partition) in topic.logs().into_iter().zip(0..) {
                let known = log.activity().iter().map(|activity| activity.producer.id).max();
                known.into_iter().for_each(|id| self.producer_ids.skip_past(id));
                for producer in log.open_transactions() {
                    let at = TopicPartition::new(&topic.name, partition);
                    if let Some(first_offset) = log.start_before_loss(producer.id) {
                        report_lost_end(&at, producer, first_offset);
                    }
                    open.entry(producer.id).or_default().push((producer.epoch, at));
                }
            }
        }
        open
    }

    /// Aborts a transaction that was open when the last broker ended, and fences its producer.
    fn abort_interrupted(
        &self,
        id: &str,
        transaction: &mut Transaction,
        partitions: BTreeSet<TopicPartition>,
        (topics, groups): (&Topics, &Groups),
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        tracing::warn!(
            transactional_id = id,
            "aborting a transaction that was open when the last broker ended, because something of it may be lost"
        );
        let ended = transaction.interrupted(partitions.into_iter().collect());
        self.write_to_journal(Change::TransactionDecided { transactional_id: id.to_owned(), ended: ended.clone() })?;
        transaction.decided(ended, true);
        self.finish(id, transaction, topics, groups, now_ms)
    }
}

/// Allows a producer to write to partitions in its transaction. A partition whose topic is gone is left out.
fn announce(topics: &Topics, partitions: &BTreeSet<TopicPartition>, producer: Producer) {
    for at in partitions {
        let _ = topics.log(&at.topic, at.partition).and_then(|(log, _)| log.announce(producer));
    }
}

fn report_lost_end(at: &TopicPartition, producer: Producer, first_offset: i64) {
    tracing::error!(
        topic = at.topic,
        partition = at.partition,
        producer_id = producer.id,
        first_offset,
        "the outcome of a transaction may be lost with the records after it: aborting it; readers of committed \
         records will not see what is left of it"
    );
}

/// Aborts a transaction in a log that belongs to no transactional id.
fn abort_open(topics: &Topics, at: &TopicPartition, producer: Producer, now_ms: i64) {
    let Ok((log, rules)) = topics.log(&at.topic, at.partition) else { return };
    tracing::warn!(topic = at.topic, partition = at.partition, "aborting an open transaction that has no owner");
    if let Err(error) = log.end_transaction(producer, false, &rules, now_ms) {
        tracing::error!(topic = at.topic, partition = at.partition, %error, "could not abort a transaction");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Notify;

    use super::*;
    use crate::config::Config;
    use crate::group::Timeouts;
    use crate::log::Isolation;
    use crate::log::batch::testing;
    use crate::meta::{CommittedOffset, DecidedTransaction, Journal};
    use crate::topics::Settings;

    const PRODUCER: Producer = Producer { id: 5, epoch: 1 };

    /// A journal, a topic with an open transaction, and groups.
    fn stage() -> (Arc<Journal>, Topics, Groups, Arc<Notify>) {
        let journal = Arc::new(Journal::in_memory());
        let topics = Topics::open(&journal, None, &Config::in_memory(), true).expect("opens");
        topics.create("t", 1, Settings::default(), false).expect("creates");
        let (log, rules) = topics.log("t", 0).expect("is there");
        log.announce(PRODUCER).expect("may write");
        log.append(&testing::batch(PRODUCER, 0, 1, 0, true), &rules, 0).expect("appends");
        let timer = Arc::new(Notify::new());
        let groups = Groups::open(&journal, Timeouts::default(), &timer, 0);
        (journal, topics, groups, timer)
    }

    fn outcome(commit: bool) -> DecidedTransaction {
        let committed = CommittedOffset { offset: 9, leader_epoch: -1, metadata: None, committed_ms: None };
        let at = TopicPartition::new("t", 0);
        DecidedTransaction {
            producer_id: PRODUCER.id,
            producer_epoch: PRODUCER.epoch,
            commit,
            partitions: vec![at.clone()],
            offsets: [("g".to_owned(), vec![PartitionOffset { at, committed }])].into(),
        }
    }

    /// Goal: a crash between the decision and the markers does not undo a decided transaction.
    #[test]
    fn what_was_decided_is_finished_after_a_crash() {
        let (journal, topics, groups, timer) = stage();
        let transactional_id = || "x".to_owned();
        let initialized = Change::ProducerInitialized {
            transactional_id: transactional_id(),
            producer_id: PRODUCER.id,
            producer_epoch: PRODUCER.epoch,
            timeout_ms: 1_000,
        };
        journal.write(initialized).expect("records");
        let decided = Change::TransactionDecided { transactional_id: transactional_id(), ended: outcome(true) };
        journal.write(decided).expect("records");
        let transactions = Transactions::open(&journal, &timer);
        transactions.recover(&topics, &groups, true, 0);
        let log = topics.log("t", 0).expect("is there").0;
        let read = log.read(0, 1_000, Isolation::ReadCommitted, true).expect("reads");
        assert_eq!((read.ends.stable, read.aborted), (2, Some(Vec::new())), "it is committed");
        let at = TopicPartition::new("t", 0);
        assert_eq!(groups.inspect("g", |view| view.offsets.committed()[&at].offset), Some(9));
        assert_eq!(journal.read(|image| image.groups["g"].offsets[&at].offset), 9);
        assert_eq!(transactions.inspect("x", |one| one.state_name()), Some("CompleteCommit"));
    }

    #[test]
    fn what_belongs_to_nobody_is_aborted_after_a_crash() {
        let (journal, topics, groups, timer) = stage();
        Transactions::open(&journal, &timer).recover(&topics, &groups, true, 0);
        let log = topics.log("t", 0).expect("is there").0;
        let read = log.read(0, 1_000, Isolation::ReadCommitted, true).expect("reads");
        assert_eq!((read.ends.stable, read.aborted.map(|aborted| aborted.len())), (2, Some(1)));
    }
}
