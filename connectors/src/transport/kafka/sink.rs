//! Writing: records are queued in librdkafka and sent in large batches; transactions include the input offsets that
//! they were computed from.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use headwater_formats::record::{OutBatch, TopicPartition};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::producer::Producer as _;

use super::connection::ANSWER_TIMEOUT;
use super::native::OutTopic;
use super::out_record::{check, headers_in, record};
use super::producer::{POLL_INTERVAL, Producer};
use super::properties::{Properties, Role};
use super::rebalances::MemberGeneration;
use super::{committed, errors};
use crate::transport::{Membership, Position, Sink, SinkOptions, TransportError, TransportErrorKind};

/// Number of records queued between two polls for events.
const SERVE_RECORDS: usize = 4_096;

/// How long a topic may be unknown before it counts as missing, and how often it is asked for meanwhile.
const UNKNOWN_MAX: Duration = Duration::from_secs(2);
const UNKNOWN_INTERVAL: Duration = Duration::from_millis(50);

/// A writer.
pub(super) struct KafkaSink {
    producer: Producer,
    transaction: Transaction,
    /// The topics that were written to.
    topics: HashMap<Arc<str>, Known>,
    groups: HashMap<String, ConsumerGroupMetadata>,
    nearest_time: bool,
}

/// A topic that was written to.
struct Known {
    partitions: i32,
    topic: OutTopic,
}

/// The state of the sink's transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transaction {
    /// The sink has no transactional id.
    Never,
    /// `begin` is next.
    None,
    /// Records may be written.
    Open,
    /// The offsets are part of the transaction: only the commit remains.
    Committing,
}

impl KafkaSink {
    /// Creates the client. With a transactional id, its former owner is fenced before this returns.
    pub(super) fn open(properties: &Properties, options: SinkOptions) -> Result<Self, TransportError> {
        let SinkOptions { transactional_id, nearest_time, batch_bytes_max, topic } = options;
        let transaction = if transactional_id.is_some() { Transaction::None } else { Transaction::Never };
        let role = Role::Sink { transactional_id, batch_bytes_max };
        let producer = Producer::open(properties, role, topic.as_deref())?;
        let (topics, groups) = (HashMap::new(), HashMap::new());
        Ok(Self { producer, transaction, topics, groups, nearest_time })
    }

    /// Replaces the client.
    fn renew(&mut self) -> Result<(), TransportError> {
        let topic = self.topics.keys().next().cloned();
        self.topics.clear();
        self.producer.renew(topic.as_deref())
    }

    /// Number of partitions of a topic, looked up once. A broker may learn later of a topic than the others.
    fn partitions(&mut self, topic: &Arc<str>) -> Result<i32, TransportError> {
        if let Some(known) = self.topics.get(topic) {
            return Ok(known.partitions);
        }
        let begun = Instant::now();
        loop {
            match self.look_up(topic) {
                Err(error) if error.kind == TransportErrorKind::UnknownTopic && begun.elapsed() < UNKNOWN_MAX => {
                    thread::sleep(UNKNOWN_INTERVAL);
                }
                found => return found,
            }
        }
    }

    fn look_up(&mut self, topic: &Arc<str>) -> Result<i32, TransportError> {
        let doing = format!("topic \"{topic}\" could not be written to");
        let metadata = self.producer.call(&doing, |p| p.client().fetch_metadata(Some(topic), ANSWER_TIMEOUT))?;
        let found = metadata.topics().iter().find(|found| found.name() == &**topic);
        let found = found.ok_or_else(|| TransportError::unknown_topic(topic))?;
        if let Some(code) = found.error() {
            return Err(match errors::kind_of(code.into()) {
                TransportErrorKind::UnknownTopic => TransportError::unknown_topic(topic),
                _ => errors::failed(&doing, code.into()),
            });
        }
        let partitions = i32::try_from(found.partitions().len()).unwrap_or(i32::MAX);
        let out = self.producer.out_topic(topic).map_err(|code| errors::failed(&doing, code))?;
        self.topics.insert(Arc::clone(topic), Known { partitions, topic: out });
        Ok(partitions)
    }

    /// Ensures that the metadata of a group exists, in the form that a transaction needs.
    fn name_group(&mut self, group: &str) -> Result<(), TransportError> {
        if !self.groups.contains_key(group) {
            self.groups.insert(group.to_owned(), group_metadata(group)?);
        }
        Ok(())
    }

    fn must_be(&self, expected: &[Transaction], doing: &str) -> Result<(), TransportError> {
        if expected.contains(&self.transaction) {
            return Ok(());
        }
        let why = match self.transaction {
            Transaction::Never => "the sink has no transactional id",
            Transaction::None => "no transaction has begun",
            Transaction::Open => "a transaction is already open",
            Transaction::Committing => "a commit is in progress",
        };
        Err(TransportError::invalid(format!("{doing}: {why}")))
    }

    /// Adds offsets to the transaction with the membership of their group, which the broker checks.
    fn add_offsets(
        &mut self,
        membership: &Membership,
        offsets: &BTreeMap<TopicPartition, Position>,
        timeout: Duration,
    ) -> Result<(), TransportError> {
        let group = membership.group();
        let doing = format!("the offsets of group \"{group}\" could not be added to the transaction");
        let generation = membership.member::<MemberGeneration>()?;
        let inside =
            generation.map(|generation| generation.metadata().ok_or_else(|| not_inside(&doing))).transpose()?;
        if offsets.is_empty() {
            return Ok(());
        }
        let list = committed::list(offsets).map_err(|error| self.producer.failed(&doing, &error))?;
        if inside.is_none() {
            self.name_group(group)?;
        }
        let metadata = inside.unwrap_or_else(|| &self.groups[group]);
        self.producer.call(&doing, |p| p.send_offsets_to_transaction(&list, metadata, timeout))
    }
}

impl Sink for KafkaSink {
    fn write(&mut self, batch: &OutBatch) -> Result<(), TransportError> {
        self.must_be(&[Transaction::Never, Transaction::Open], "records cannot be written")?;
        let partitions = self.partitions(&batch.topic)?;
        check(batch, partitions, self.nearest_time)?;
        let topic = &self.topics[&batch.topic].topic;
        for row in 0..batch.len() {
            match headers_in(batch, row) {
                Some(headers) => self.producer.send(record(batch, row, headers))?,
                None => self.producer.send_plain(topic, batch, row)?,
            }
            if row % SERVE_RECORDS == SERVE_RECORDS - 1 {
                self.producer.poll();
            }
        }
        Ok(())
    }

    fn flush(&mut self, timeout: Duration) -> Result<(), TransportError> {
        self.producer.flush(timeout, self.transaction == Transaction::Open)
    }

    fn begin(&mut self) -> Result<(), TransportError> {
        self.must_be(&[Transaction::None], "a transaction cannot begin")?;
        if self.producer.is_out_of_step() {
            self.renew()?;
        }
        self.producer.forget_setbacks();
        self.producer.call("a transaction could not begin", |producer| producer.begin_transaction())?;
        self.transaction = Transaction::Open;
        Ok(())
    }

    fn commit(
        &mut self,
        membership: &Membership,
        offsets: &BTreeMap<TopicPartition, Position>,
        timeout: Duration,
    ) -> Result<(), TransportError> {
        self.must_be(&[Transaction::Open, Transaction::Committing], "cannot commit")?;
        let begun = Instant::now();
        let left = || timeout.saturating_sub(begun.elapsed()).max(POLL_INTERVAL);
        if self.transaction == Transaction::Open {
            self.flush(left())?;
            self.add_offsets(membership, offsets, left())?;
            self.transaction = Transaction::Committing;
        }
        self.producer.call("the transaction could not be committed", |producer| producer.commit_transaction(left()))?;
        self.transaction = Transaction::None;
        Ok(())
    }

    fn abort(&mut self, timeout: Duration) -> Result<(), TransportError> {
        self.must_be(&[Transaction::Open, Transaction::Committing], "cannot abort")?;
        if self.producer.is_out_of_step() && !self.producer.is_given_up() {
            // librdkafka (2.12) may wait forever for records queued after one that was rejected. The next owner of the
            // id ends the transaction. A sink that lost the id to a new owner does not acquire it again.
            self.renew()?;
        } else {
            self.producer.abort(timeout)?;
        }
        self.transaction = Transaction::None;
        Ok(())
    }
}

/// The error for a member that waits for the next generation: it may not commit as if the group had no members.
fn not_inside(doing: &str) -> TransportError {
    TransportError::fenced(format!("{doing}: the member is not part of its current generation"))
}

/// The metadata of a group without members, in the form that a transaction needs. Only a consumer returns it, so one is
/// created that has no broker and never connects.
fn group_metadata(group: &str) -> Result<ConsumerGroupMetadata, TransportError> {
    let doing = format!("could not create the metadata of group \"{group}\"");
    let consumer: BaseConsumer = ClientConfig::new()
        .set("group.id", group)
        .set_log_level(RDKafkaLogLevel::Emerg)
        .create()
        .map_err(|error| errors::call_failed(&doing, &error))?;
    consumer.group_metadata().ok_or_else(|| TransportError::invalid(doing))
}
