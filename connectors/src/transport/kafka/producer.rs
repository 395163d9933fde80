//! The client of a sink: what is queued in it, what comes back, and what it is asked to say when nothing does.
//!
//! Flushing goes past rdkafka, whose own flush asks librdkafka to flush for no time at all: then nothing stops to
//! linger, see [`native::flush`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use arrow::array::Array;
use headwater_formats::record::OutBatch;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::types::RDKafkaErrorCode as Code;

use super::connection::{self, ANSWER_TIMEOUT};
use super::context::{Context, Failed, Watch};
use super::errors;
use super::native::{self, OutTopic};
use super::out_record::time_of;
use super::properties::{Properties, Role};
use crate::transport::{TransportError, TransportErrorKind};

/// Pause between two looks at what was acknowledged, and at a full send buffer.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// Longest single wait of a flush, so that what came back is served meanwhile.
const FLUSH_WAIT_MAX: Duration = Duration::from_millis(10);

/// Requests until a connection stays: the first is answered by a broker known by its address alone, to which another
/// connection is opened once the answer says which broker it is.
const CONNECTING_QUESTIONS: usize = 2;

/// How long a connection is waited for before the transactional id is taken.
const CONNECTED_MAX: Duration = Duration::from_secs(1);

/// Events served at once, each a failed record, an error or a line of the log.
const SERVED_MAX: usize = 64;

/// How long acknowledgements are waited for before librdkafka is to say what keeps them.
const QUIET_MAX: Duration = Duration::from_secs(1);

/// How long to wait for the cause of a failure that was reported without one.
const CAUSE_MAX: Duration = Duration::from_secs(1);

/// A client that writes.
pub(super) struct Producer {
    client: Arc<BaseProducer<Context>>,
    watch: Arc<Watch>,
    properties: Properties,
    role: Role,
    /// librdkafka says what keeps acknowledgements.
    says_why: AtomicBool,
    /// A record was not delivered: the client is renewed before the next transaction.
    is_out_of_step: AtomicBool,
}

impl Producer {
    /// Makes the client. With a transactional id, its former owner is fenced before this returns. `topic` is one that exists.
    pub(super) fn open(properties: &Properties, role: Role, topic: Option<&str>) -> Result<Self, TransportError> {
        let (client, watch) = connection::open(properties, &role)?;
        let producer = Self {
            client: Arc::new(client),
            watch,
            properties: properties.clone(),
            role,
            says_why: AtomicBool::new(false),
            is_out_of_step: AtomicBool::new(false),
        };
        producer.take_id(topic)?;
        Ok(producer)
    }

    /// Takes the transactional id, if it has one.
    fn take_id(&self, topic: Option<&str>) -> Result<(), TransportError> {
        if !self.role.is_transactional() {
            return Ok(());
        }
        self.connect(topic);
        self.call("could not acquire the transactional id", |p| p.init_transactions(ANSWER_TIMEOUT))
    }

    /// Begins with another client where this one would number its records other than the broker expects: librdkafka (2.12) counts
    /// a record that was refused, and all that follow it on the partition are refused as out of order. `topic` is one that exists.
    pub(super) fn renew(&mut self, topic: Option<&str>) -> Result<(), TransportError> {
        let (client, watch) = connection::open(&self.properties, &self.role)?;
        (self.client, self.watch) = (Arc::new(client), watch);
        self.says_why.store(false, Ordering::Relaxed);
        self.take_id(topic)?;
        self.is_out_of_step.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Waits a moment for a first connection, by a question about a topic: asked before there is one, librdkafka looks for
    /// the coordinator half a second later. Where none comes, what is asked then says why.
    fn connect(&self, topic: Option<&str>) {
        let Some(topic) = topic else { return };
        let ask = |client: &BaseProducer<Context>| client.client().fetch_metadata(Some(topic), CONNECTED_MAX);
        for _ in 0..CONNECTING_QUESTIONS {
            if self.call("no connection yet", ask).is_err() {
                return;
            }
        }
    }

    /// Calls librdkafka, which may wait.
    pub(super) fn call<T>(
        &self,
        doing: &str,
        call: impl FnOnce(&BaseProducer<Context>) -> Result<T, KafkaError>,
    ) -> Result<T, TransportError> {
        let poll = || self.pause();
        connection::served(&self.properties, poll, || call(&self.client)).map_err(|error| self.failed(doing, &error))
    }

    /// An error with its true cause: a fatal one hides it, and so does a connection that is lost.
    pub(super) fn failed(&self, doing: &str, error: &KafkaError) -> TransportError {
        if let Some((code, _)) = self.client.client().fatal_error() {
            return given_up(errors::failed(doing, code));
        }
        let mut failed = errors::call_failed(doing, error);
        if failed.kind == TransportErrorKind::Timeout {
            self.watch.add_cause(&mut failed);
        }
        failed
    }

    /// Queues one record, waiting while the send buffer is full. The wait has an end: records that
    /// are not acknowledged in time fail and leave the buffer.
    pub(super) fn send(&self, mut record: BaseRecord<'_, [u8], [u8]>) -> Result<(), TransportError> {
        let mut full_since = None;
        loop {
            match self.client.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(Code::QueueFull), back)) if self.client.in_flight_count() > 0 => {
                    self.pause_full(&mut full_since);
                    record = back;
                }
                Err((error, back)) => return Err(self.not_queued(back.topic, &error)),
            }
        }
    }

    /// Queues one record that has no headers, as [`Self::send`] does.
    pub(super) fn send_plain(&self, topic: &OutTopic, batch: &OutBatch, row: usize) -> Result<(), TransportError> {
        let key = batch.keys.is_valid(row).then(|| batch.keys.value(row));
        let value = batch.values.is_valid(row).then(|| batch.values.value(row));
        let partition = batch.partitions.as_ref().map(|partitions| partitions[row]);
        let mut full_since = None;
        loop {
            match topic.produce(partition, key, value, time_of(batch, row)) {
                Ok(()) => return Ok(()),
                Err(Code::QueueFull) if self.client.in_flight_count() > 0 => self.pause_full(&mut full_since),
                Err(code) => return Err(self.not_queued(&batch.topic, &KafkaError::MessageProduction(code))),
            }
        }
    }

    /// Waits until every record is acknowledged, at most `timeout`. In a transaction not for what is not sent any more.
    pub(super) fn flush(&self, timeout: Duration, in_transaction: bool) -> Result<(), TransportError> {
        let begun = Instant::now();
        while !native::flush(&self.client, FLUSH_WAIT_MAX) {
            self.serve();
            if in_transaction && self.watch.knows_cause() {
                // Nothing more is sent in this transaction.
                break;
            }
            if begun.elapsed() >= timeout {
                self.check_delivered()?;
                let (left, ms) = (self.client.in_flight_count(), timeout.as_millis());
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

    /// The handle of a topic, to write to it.
    pub(super) fn out_topic(&self, name: &str) -> Result<OutTopic, Code> {
        OutTopic::new(&self.client, name)
    }

    /// True when a record was not delivered: the client is to be renewed before the next transaction.
    pub(super) fn is_out_of_step(&self) -> bool {
        self.is_out_of_step.load(Ordering::Relaxed)
    }

    /// True when another owner took the transactional id, or the client can never write again for another cause.
    pub(super) fn is_given_up(&self) -> bool {
        self.client.client().fatal_error().is_some()
    }

    /// Takes one event of what came back.
    pub(super) fn poll(&self) {
        self.client.poll(Duration::ZERO);
    }

    /// What went wrong so far is of no later transaction.
    pub(super) fn forget_setbacks(&self) {
        self.watch.forget_setbacks();
    }

    /// Aborts the open transaction. librdkafka drops what is queued and waits until someone has taken the reports of it.
    pub(super) fn abort(&self, timeout: Duration) -> Result<(), TransportError> {
        let aborted = connection::while_polled(|| self.pause(), || self.client.abort_transaction(timeout));
        aborted.map_err(|error| self.failed("the transaction could not be aborted", &error))?;
        self.forget_reports();
        Ok(())
    }

    /// A record could not be queued. One that failed before it may have ended the transaction, and is the true cause: it is
    /// reported a moment after librdkafka knows of it.
    fn not_queued(&self, topic: &str, error: &KafkaError) -> TransportError {
        let begun = Instant::now();
        while self.role.is_transactional() && !self.watch.knows_cause() && begun.elapsed() < CAUSE_MAX {
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
    pub(super) fn serve(&self) {
        (0..SERVED_MAX).for_each(|_| self.client.poll(Duration::ZERO));
    }

    /// Takes the reports of records that were given up, so that none is taken for one of the next transaction.
    fn forget_reports(&self) {
        let begun = Instant::now();
        while self.client.in_flight_count() > 0 && begun.elapsed() < CAUSE_MAX {
            self.serve();
        }
        self.watch.take_undelivered();
    }

    /// Has librdkafka say what keeps acknowledgements that are waited for since some time.
    fn ask_why(&self, since: Instant) {
        if since.elapsed() >= QUIET_MAX && !self.says_why.swap(true, Ordering::Relaxed) {
            native::set_log_level(&self.client, RDKafkaLogLevel::Debug);
        }
    }

    /// Has librdkafka write no more lines than a user asked for.
    fn ask_no_more(&self) {
        if self.says_why.swap(false, Ordering::Relaxed) && !self.properties.logs_details() {
            native::set_log_level(&self.client, RDKafkaLogLevel::Info);
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
}

/// A broker reports the same error for both causes, and librdkafka names one of them.
fn given_up(mut error: TransportError) -> TransportError {
    if error.kind == TransportErrorKind::Fenced {
        error.message.push_str(", or the transaction took longer than transaction.timeout.ms");
    }
    error
}
