//! Writing: records are queued in librdkafka and sent in large batches; transactions tie them to
//! the offsets they were made from.
//!
//! Flushing goes past rdkafka, whose own flush asks librdkafka to flush for no time at all: then nothing stops to
//! linger, see [`native::flush`].

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray, ListArray};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode as Code;

use super::connection::{self, ANSWER_TIMEOUT};
use super::context::{Context, Failed, Watch};
use super::native::{self, OutTopic};
use super::properties::{Properties, Role};
use super::seat::Place;
use super::{committed, errors};
use crate::transport::{Membership, Position, Sink, SinkOptions, TransportError, TransportErrorKind};
use headwater_formats::record::{OutBatch, TopicPartition};

/// Pause between two looks at what was acknowledged, and at a full send buffer.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// Longest single wait of a flush, so that what came back is served meanwhile.
const FLUSH_WAIT_MAX: Duration = Duration::from_millis(10);

/// What librdkafka can write instead of 0, which it takes for "now".
const NEAREST_TO_0_MS: i64 = 1;

/// Questions until a connection stays: who answers the first is known by its address alone, and is connected to once more
/// when the answer has told which broker it is.
const CONNECTING_QUESTIONS: usize = 2;

/// How long a connection is waited for before the transactional id is taken.
const CONNECTED_MAX: Duration = Duration::from_secs(1);

/// Records queued between two services of what came back.
const SERVE_RECORDS: usize = 4_096;

/// Events served at once, each a failed record, an error or a line of the log.
const SERVED_MAX: usize = 64;

/// How long acknowledgements are waited for before librdkafka is to say what keeps them.
const QUIET_MAX: Duration = Duration::from_secs(1);

/// How long the cause of a failure is waited for that was told without one.
const CAUSE_MAX: Duration = Duration::from_secs(1);

/// A writer.
pub(super) struct KafkaSink {
    producer: Arc<BaseProducer<Context>>,
    watch: Arc<Watch>,
    properties: Properties,
    role: Role,
    transaction: Transaction,
    /// Each topic that was written to.
    topics: HashMap<Arc<str>, Known>,
    groups: HashMap<String, ConsumerGroupMetadata>,
    nearest_time: bool,
    /// librdkafka says what keeps acknowledgements.
    says_why: AtomicBool,
    /// A record was not delivered: the client is renewed before the next transaction.
    is_out_of_step: AtomicBool,
}

/// A topic that was written to.
struct Known {
    partitions: i32,
    topic: OutTopic,
}

/// Where the sink is between `begin` and `commit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transaction {
    /// The sink has no transactional id.
    Never,
    /// `begin` is next.
    None,
    /// Records may be written.
    Open,
    /// The offsets are part of the transaction: what is left is to commit.
    Committing,
}

impl KafkaSink {
    /// Makes the client. With a transactional id, its former owner is fenced before this returns.
    pub(super) fn open(properties: &Properties, options: SinkOptions) -> Result<Self, TransportError> {
        let SinkOptions { transactional_id, nearest_time, batch_bytes_max, topic } = options;
        let transaction = if transactional_id.is_some() { Transaction::None } else { Transaction::Never };
        let role = Role::Sink { transactional_id, batch_bytes_max };
        let (producer, watch) = connection::open(properties, &role)?;
        let sink = Self {
            producer: Arc::new(producer),
            watch,
            properties: properties.clone(),
            role,
            transaction,
            topics: HashMap::new(),
            groups: HashMap::new(),
            nearest_time,
            says_why: AtomicBool::new(false),
            is_out_of_step: AtomicBool::new(false),
        };
        sink.take_id(topic.as_deref())?;
        Ok(sink)
    }

    /// Takes the transactional id, if it has one.
    fn take_id(&self, topic: Option<&str>) -> Result<(), TransportError> {
        if self.transaction == Transaction::Never {
            return Ok(());
        }
        self.connect(topic);
        self.call("the transactional id could not be taken", |p| p.init_transactions(ANSWER_TIMEOUT))
    }

    /// Begins with another client where this one would number its records other than the broker expects: librdkafka (2.12) counts
    /// a record that was refused, and all that follow it on the partition are refused as out of order.
    fn renew(&mut self) -> Result<(), TransportError> {
        if !self.is_out_of_step.load(Ordering::Relaxed) {
            return Ok(());
        }
        let topic = self.topics.keys().next().cloned();
        self.topics.clear();
        let (producer, watch) = connection::open(&self.properties, &self.role)?;
        (self.producer, self.watch) = (Arc::new(producer), watch);
        self.says_why.store(false, Ordering::Relaxed);
        self.take_id(topic.as_deref())?;
        self.is_out_of_step.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Waits a moment for a first connection, by a question about a topic: asked before there is one, librdkafka looks for
    /// the coordinator half a second later. Where none comes, what is asked then says why.
    fn connect(&self, topic: Option<&str>) {
        let Some(topic) = topic else { return };
        let ask = |producer: &BaseProducer<Context>| producer.client().fetch_metadata(Some(topic), CONNECTED_MAX);
        for _ in 0..CONNECTING_QUESTIONS {
            if self.call("no connection yet", ask).is_err() {
                return;
            }
        }
    }

    /// Calls librdkafka, which may wait.
    fn call<T>(
        &self,
        doing: &str,
        call: impl FnOnce(&BaseProducer<Context>) -> Result<T, KafkaError>,
    ) -> Result<T, TransportError> {
        let poll = || self.pause();
        connection::served(&self.properties, poll, || call(&self.producer)).map_err(|error| self.failed(doing, &error))
    }

    /// An error with its true cause: a fatal one hides it, and so does a connection that is lost.
    fn failed(&self, doing: &str, error: &KafkaError) -> TransportError {
        if let Some((code, _)) = self.producer.client().fatal_error() {
            return given_up(errors::failed(doing, code));
        }
        let mut failed = errors::call_failed(doing, error);
        if failed.kind == TransportErrorKind::Timeout {
            self.watch.add_cause(&mut failed);
        }
        failed
    }

    /// Number of partitions of a topic, asked for once.
    fn partitions(&mut self, topic: &Arc<str>) -> Result<i32, TransportError> {
        if let Some(known) = self.topics.get(topic) {
            return Ok(known.partitions);
        }
        let doing = format!("topic \"{topic}\" could not be written");
        let metadata = self.call(&doing, |p| p.client().fetch_metadata(Some(topic), ANSWER_TIMEOUT))?;
        let found = metadata.topics().iter().find(|found| found.name() == &**topic);
        let found = found.ok_or_else(|| errors::unknown_topic(topic))?;
        if let Some(code) = found.error() {
            return Err(match errors::kind_of(code.into()) {
                TransportErrorKind::UnknownTopic => errors::unknown_topic(topic),
                _ => errors::failed(&doing, code.into()),
            });
        }
        let partitions = i32::try_from(found.partitions().len()).unwrap_or(i32::MAX);
        let out = OutTopic::new(&self.producer, topic).map_err(|code| errors::failed(&doing, code))?;
        self.topics.insert(Arc::clone(topic), Known { partitions, topic: out });
        Ok(partitions)
    }

    /// Queues one record, waiting while the send buffer is full. The wait has an end: records that
    /// are not acknowledged in time fail and leave the buffer.
    fn send(&self, mut record: BaseRecord<'_, [u8], [u8]>) -> Result<(), TransportError> {
        let mut full_since = None;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(Code::QueueFull), back)) if self.producer.in_flight_count() > 0 => {
                    self.pause_full(&mut full_since);
                    record = back;
                }
                Err((error, back)) => return Err(self.not_queued(back.topic, &error)),
            }
        }
    }

    /// Queues one record that has no headers, as [`Self::send`] does.
    fn send_plain(&self, topic: &OutTopic, batch: &OutBatch, row: usize) -> Result<(), TransportError> {
        let key = batch.keys.is_valid(row).then(|| batch.keys.value(row));
        let value = batch.values.is_valid(row).then(|| batch.values.value(row));
        let partition = batch.partitions.as_ref().map(|partitions| partitions[row]);
        let mut full_since = None;
        loop {
            match topic.produce(partition, key, value, time_of(batch, row)) {
                Ok(()) => return Ok(()),
                Err(Code::QueueFull) if self.producer.in_flight_count() > 0 => self.pause_full(&mut full_since),
                Err(code) => return Err(self.not_queued(&batch.topic, &KafkaError::MessageProduction(code))),
            }
        }
    }

    /// A record could not be queued. One that failed before it may have ended the transaction, and is the true cause: it is
    /// told a moment after librdkafka knows of it.
    fn not_queued(&self, topic: &str, error: &KafkaError) -> TransportError {
        let begun = Instant::now();
        while self.transaction == Transaction::Open && !self.watch.knows_cause() && begun.elapsed() < CAUSE_MAX {
            self.pause();
        }
        match self.check_delivered() {
            Err(cause) => cause,
            Ok(()) => self.failed(&format!("a record could not be written to topic \"{topic}\""), error),
        }
    }

    /// Waits a moment for room in the send buffer, which is full since some time.
    fn pause_full(&self, since: &mut Option<Instant>) {
        let since = since.get_or_insert_with(Instant::now);
        self.ask_why(*since);
        self.pause();
    }

    /// Serves what came back, then waits a moment. Not by a poll that waits: rdkafka spins through its last millisecond.
    fn pause(&self) {
        self.serve();
        thread::sleep(POLL_INTERVAL);
    }

    /// Serves what came back. rdkafka serves one event a call, and does not say whether there was one.
    fn serve(&self) {
        (0..SERVED_MAX).for_each(|_| self.producer.poll(Duration::ZERO));
    }

    /// Takes the reports of records that were given up, so that none is taken for one of the next transaction.
    fn forget_reports(&self) {
        let begun = Instant::now();
        while self.producer.in_flight_count() > 0 && begun.elapsed() < CAUSE_MAX {
            self.serve();
        }
        self.watch.take_undelivered();
    }

    /// Has librdkafka say what keeps acknowledgements that are waited for since some time.
    fn ask_why(&self, since: Instant) {
        if since.elapsed() >= QUIET_MAX && !self.says_why.swap(true, Ordering::Relaxed) {
            native::set_log_level(&self.producer, RDKafkaLogLevel::Debug);
        }
    }

    /// Has librdkafka write no more lines than a user asked for.
    fn ask_no_more(&self) {
        if self.says_why.swap(false, Ordering::Relaxed) && !self.properties.logs_details() {
            native::set_log_level(&self.producer, RDKafkaLogLevel::Info);
        }
    }

    /// The records that were not delivered, as one error.
    fn check_delivered(&self) -> Result<(), TransportError> {
        let undelivered = self.watch.take_undelivered();
        let Some(Failed { topic, partition, code }) = undelivered.telling else { return Ok(()) };
        self.is_out_of_step.store(true, Ordering::Relaxed);
        let doing = match code {
            Code::TopicAuthorizationFailed => format!("not authorized to write topic \"{topic}\""),
            _ if undelivered.count == 1 => format!("a record could not be delivered to {topic}[{partition}]"),
            _ => format!("{} records could not be delivered, the first to {topic}[{partition}]", undelivered.count),
        };
        let doing = if errors::says_little(code) > 0 { self.with_setback(doing) } else { doing };
        let mut error = self.failed(&doing, &KafkaError::MessageProduction(code));
        if code == Code::MessageSizeTooLarge {
            error.setting = Some("max.message.bytes of the topic".into());
        }
        Err(error)
    }

    /// What went wrong, behind the broker's own words for why if it gave any.
    fn with_setback(&self, doing: String) -> String {
        match self.watch.setback() {
            Some(cause) => format!("{cause}: {doing}"),
            None => doing,
        }
    }

    /// Has the name of a group in the form that a transaction wants.
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
            Transaction::None => "no transaction was begun",
            Transaction::Open => "a transaction is open",
            Transaction::Committing => "a commit is under way",
        };
        Err(errors::refused(format!("{doing}: {why}")))
    }

    /// Adds offsets to the transaction under a place in their group, which the broker checks.
    fn add_offsets(
        &mut self,
        membership: &Membership,
        offsets: &BTreeMap<TopicPartition, Position>,
        timeout: Duration,
    ) -> Result<(), TransportError> {
        let group = membership.group();
        let doing = format!("the offsets of group \"{group}\" could not be added to the transaction");
        let place = membership.place::<Place>()?;
        let inside = place.map(|place| place.metadata().ok_or_else(|| not_inside(&doing))).transpose()?;
        if offsets.is_empty() {
            return Ok(());
        }
        let list = committed::list(offsets).map_err(|error| self.failed(&doing, &error))?;
        if inside.is_none() {
            self.name_group(group)?;
        }
        let metadata = inside.unwrap_or_else(|| &self.groups[group]);
        self.call(&doing, |p| p.send_offsets_to_transaction(&list, metadata, timeout))
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
                Some(headers) => self.send(record(batch, row, headers))?,
                None => self.send_plain(topic, batch, row)?,
            }
            if row % SERVE_RECORDS == SERVE_RECORDS - 1 {
                self.producer.poll(Duration::ZERO);
            }
        }
        Ok(())
    }

    fn flush(&mut self, timeout: Duration) -> Result<(), TransportError> {
        let begun = Instant::now();
        while !native::flush(&self.producer, FLUSH_WAIT_MAX) {
            self.serve();
            if self.transaction == Transaction::Open && self.watch.knows_cause() {
                // Nothing more is sent in this transaction.
                break;
            }
            if begun.elapsed() >= timeout {
                self.check_delivered()?;
                let (left, ms) = (self.producer.in_flight_count(), timeout.as_millis());
                let doing = self.with_setback(format!("{left} records were not acknowledged within {ms} ms"));
                return Err(self.failed(&doing, &KafkaError::Flush(Code::OperationTimedOut)));
            }
            self.ask_why(begun);
        }
        self.serve();
        self.check_delivered()?;
        self.ask_no_more();
        Ok(())
    }

    fn begin(&mut self) -> Result<(), TransportError> {
        self.must_be(&[Transaction::None], "a transaction cannot begin")?;
        self.renew()?;
        self.watch.forget_setbacks();
        self.call("a transaction could not begin", |producer| producer.begin_transaction())?;
        self.transaction = Transaction::Open;
        Ok(())
    }

    fn commit(
        &mut self,
        membership: &Membership,
        offsets: &BTreeMap<TopicPartition, Position>,
        timeout: Duration,
    ) -> Result<(), TransportError> {
        self.must_be(&[Transaction::Open, Transaction::Committing], "there is nothing to commit")?;
        let begun = Instant::now();
        let left = || timeout.saturating_sub(begun.elapsed()).max(POLL_INTERVAL);
        if self.transaction == Transaction::Open {
            self.flush(left())?;
            self.add_offsets(membership, offsets, left())?;
            self.transaction = Transaction::Committing;
        }
        self.call("the transaction could not be committed", |producer| producer.commit_transaction(left()))?;
        self.transaction = Transaction::None;
        Ok(())
    }

    fn abort(&mut self, timeout: Duration) -> Result<(), TransportError> {
        self.must_be(&[Transaction::Open, Transaction::Committing], "there is nothing to abort")?;
        let is_given_up = self.producer.client().fatal_error().is_some();
        if self.is_out_of_step.load(Ordering::Relaxed) && !is_given_up {
            // librdkafka (2.12) may wait without an end for records behind one that was refused. Whoever takes the id next ends
            // the transaction. One that lost the id to a new owner does not take it back.
            self.renew()?;
            self.transaction = Transaction::None;
            return Ok(());
        }
        // librdkafka drops what is queued and waits until someone has taken the reports of it.
        let poll = || self.pause();
        let aborted = connection::while_polled(poll, || self.producer.abort_transaction(timeout));
        aborted.map_err(|error| self.failed("the transaction could not be aborted", &error))?;
        self.forget_reports();
        self.transaction = Transaction::None;
        Ok(())
    }
}

/// What librdkafka would misunderstand: a partition that is not there, and the time 0, which it takes for "now".
fn check(batch: &OutBatch, partitions: i32, nearest_time: bool) -> Result<(), TransportError> {
    let topic = &batch.topic;
    let outside = |partition: &&i32| !(0..partitions).contains(*partition);
    if let Some(partition) = batch.partitions.as_ref().and_then(|given| given.iter().find(outside)) {
        return Err(errors::refused(format!(
            "topic \"{topic}\" has {partitions} partitions and no partition {partition}"
        )));
    }
    let times = batch.timestamps_ms.as_deref().unwrap_or_default();
    if !nearest_time && times.contains(&0) {
        let fact = "a record with the timestamp 0 (1970-01-01T00:00:00.000Z) cannot be written to Kafka by librdkafka";
        return Err(errors::refused(format!("{fact}: topic \"{topic}\"; the nearest that can is 1")));
    }
    Ok(())
}

fn time_of(batch: &OutBatch, row: usize) -> Option<i64> {
    batch.timestamps_ms.as_ref().map(|times| if times[row] == 0 { NEAREST_TO_0_MS } else { times[row] })
}

fn headers_in(batch: &OutBatch, row: usize) -> Option<OwnedHeaders> {
    batch.headers.as_ref().and_then(|headers| headers_of(headers, row))
}

fn record(batch: &OutBatch, row: usize, headers: OwnedHeaders) -> BaseRecord<'_, [u8], [u8]> {
    BaseRecord {
        topic: &batch.topic,
        partition: batch.partitions.as_ref().map(|partitions| partitions[row]),
        payload: batch.values.is_valid(row).then(|| batch.values.value(row)),
        key: batch.keys.is_valid(row).then(|| batch.keys.value(row)),
        timestamp: time_of(batch, row),
        headers: Some(headers),
        delivery_opaque: (),
    }
}

/// The headers of a record, or `None` when it has none.
fn headers_of(headers: &ListArray, row: usize) -> Option<OwnedHeaders> {
    if headers.is_null(row) || headers.value_length(row) == 0 {
        return None;
    }
    let entries = headers.value(row);
    let entries = entries.as_struct();
    let (names, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_binary::<i32>());
    let insert = |list: OwnedHeaders, at: usize| {
        let key = if names.is_null(at) { "" } else { names.value(at) };
        list.insert(Header { key, value: values.is_valid(at).then(|| values.value(at)) })
    };
    Some((0..entries.len()).fold(OwnedHeaders::new_with_capacity(entries.len()), insert))
}

/// librdkafka is told the same by a broker for both causes, and names one of them.
fn given_up(mut error: TransportError) -> TransportError {
    if error.kind == TransportErrorKind::Fenced {
        error.message.push_str(", or the transaction took longer than transaction.timeout.ms");
    }
    error
}

/// A member that waits for the next generation: it may not commit as if there were no members.
fn not_inside(doing: &str) -> TransportError {
    let message = format!("{doing}: the member has no place in it now");
    TransportError { kind: TransportErrorKind::Fenced, message, setting: None }
}

/// The name of a group in the form that a transaction wants. Only a consumer gives it, so one is made that has
/// no broker and never connects.
fn group_metadata(group: &str) -> Result<ConsumerGroupMetadata, TransportError> {
    let doing = format!("group \"{group}\" could not be named");
    let consumer: BaseConsumer = ClientConfig::new()
        .set("group.id", group)
        .set_log_level(RDKafkaLogLevel::Emerg)
        .create()
        .map_err(|error| errors::call_failed(&doing, &error))?;
    consumer.group_metadata().ok_or_else(|| errors::refused(doing))
}
