//! The client of a sink: its queue, the reports of deliveries, and the log lines it is asked for when acknowledgements
//! are missing.
//!
//! Flushing bypasses rdkafka, whose flush calls librdkafka with a timeout of zero, so that batches continue to linger;
//! see [`native::flush`].

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

/// Pause between two checks for acknowledgements, and between two attempts while the send buffer is full.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// Maximum single wait of a flush, so that reports are served meanwhile.
const FLUSH_WAIT_MAX: Duration = Duration::from_millis(10);

/// Number of requests until a connection is stable: the first is answered by a broker known only by its address; once
/// the answer says which broker it is, another connection is opened to it.
const CONNECTING_QUESTIONS: usize = 2;

/// How long to wait for a connection before acquiring the transactional id.
const CONNECTED_MAX: Duration = Duration::from_secs(1);

/// Number of events served at once, each a failed record, an error or a log line.
const SERVED_MAX: usize = 64;

/// How long to wait for acknowledgements before librdkafka is asked to log the cause.
const QUIET_MAX: Duration = Duration::from_secs(1);

/// How long to wait for the cause of a failure that was reported without one.
const CAUSE_MAX: Duration = Duration::from_secs(1);

/// A client that writes.
pub(super) struct Producer {
    client: Arc<BaseProducer<Context>>,
    watch: Arc<Watch>,
    properties: Properties,
    role: Role,
    /// Whether librdkafka logs what delays acknowledgements.
    says_why: AtomicBool,
    /// Whether a record was not delivered, so that the client must be replaced before the next transaction.
    is_out_of_step: AtomicBool,
}

impl Producer {
    /// Creates the client. With a transactional id, its former owner is fenced before this returns. `topic` is one that
    /// exists.
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

    /// Acquires the transactional id, if there is one.
    fn take_id(&self, topic: Option<&str>) -> Result<(), TransportError> {
        if !self.role.is_transactional() {
            return Ok(());
        }
        self.connect(topic);
        self.call("could not acquire the transactional id", |p| p.init_transactions(ANSWER_TIMEOUT))
    }

    /// Replaces the client if its sequence numbers differ from those that the broker expects: librdkafka (2.12) counts
    /// a record that was rejected, and all following records of the partition are then rejected as out of order.
    /// `topic` is one that exists.
    pub(super) fn renew(&mut self, topic: Option<&str>) -> Result<(), TransportError> {
        let (client, watch) = connection::open(&self.properties, &self.role)?;
        (self.client, self.watch) = (Arc::new(client), watch);
        self.says_why.store(false, Ordering::Relaxed);
        self.take_id(topic)?;
        self.is_out_of_step.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Waits a moment for a first connection, by looking up a topic: without a connection librdkafka looks for the
    /// coordinator half a second later. If there is no connection, the next call reports the cause.
    fn connect(&self, topic: Option<&str>) {
        let Some(topic) = topic else { return };
        let ask = |client: &BaseProducer<Context>| client.client().fetch_metadata(Some(topic), CONNECTED_MAX);
        for _ in 0..CONNECTING_QUESTIONS {
            if self.call("no connection yet", ask).is_err() {
                return;
            }
        }
    }

    /// Calls librdkafka, which may block.
    pub(super) fn call<T>(
        &self,
        doing: &str,
        call: impl FnOnce(&BaseProducer<Context>) -> Result<T, KafkaError>,
    ) -> Result<T, TransportError> {
        let poll = || self.pause();
        connection::served(&self.properties, poll, || call(&self.client)).map_err(|error| self.failed(doing, &error))
    }

    /// An error with its real cause, which a fatal error or a lost connection hides.
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

    /// Queues one record, waiting while the send buffer is full. The wait ends: records that are not acknowledged in
    /// time fail and leave the buffer.
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

    /// Queues one record without headers, like [`Self::send`].
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

    /// Waits at most `timeout` until every record is acknowledged. In a transaction it does not wait for records that
    /// are no longer sent.
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

    /// Whether a record was not delivered, so that the client must be replaced before the next transaction.
    pub(super) fn is_out_of_step(&self) -> bool {
        self.is_out_of_step.load(Ordering::Relaxed)
    }

    /// Whether another owner acquired the transactional id, or the client can never write again for another reason.
    pub(super) fn is_given_up(&self) -> bool {
        self.client.client().fatal_error().is_some()
    }

    /// Serves one pending event.
    pub(super) fn poll(&self) {
        self.client.poll(Duration::ZERO);
    }

    /// Forgets what went wrong so far, so that it is not reported for a later transaction.
    pub(super) fn forget_setbacks(&self) {
        self.watch.forget_setbacks();
    }

    /// Aborts the open transaction. librdkafka drops the queued records and waits until their reports have been served.
    pub(super) fn abort(&self, timeout: Duration) -> Result<(), TransportError> {
        let aborted = connection::while_polled(|| self.pause(), || self.client.abort_transaction(timeout));
        aborted.map_err(|error| self.failed("the transaction could not be aborted", &error))?;
        self.forget_reports();
        Ok(())
    }

    /// The error for a record that could not be queued. An earlier record that failed may have ended the transaction
    /// and is then the real cause, which is reported a moment after librdkafka knows it.
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

    /// Waits a moment for space in the send buffer, which has been full since `since`.
    fn pause_full(&self, since: &mut Option<Instant>) {
        let since = since.get_or_insert_with(Instant::now);
        self.ask_why(*since);
        self.pause();
    }

    /// Serves pending events, then sleeps a moment. Not a poll with a timeout: rdkafka busy-waits through its last
    /// millisecond.
    fn pause(&self) {
        self.serve();
        thread::sleep(POLL_INTERVAL);
    }

    /// Serves pending events. rdkafka serves one event per call, and does not report whether there was one.
    pub(super) fn serve(&self) {
        (0..SERVED_MAX).for_each(|_| self.client.poll(Duration::ZERO));
    }

    /// Takes the reports of discarded records, so that none is attributed to the next transaction.
    fn forget_reports(&self) {
        let begun = Instant::now();
        while self.client.in_flight_count() > 0 && begun.elapsed() < CAUSE_MAX {
            self.serve();
        }
        self.watch.take_undelivered();
    }

    /// Makes librdkafka log what delays acknowledgements, if they have been missing for a while.
    fn ask_why(&self, since: Instant) {
        if since.elapsed() >= QUIET_MAX && !self.says_why.swap(true, Ordering::Relaxed) {
            native::set_log_level(&self.client, RDKafkaLogLevel::Debug);
        }
    }

    /// Makes librdkafka log only what the user asked for.
    fn ask_no_more(&self) {
        if self.says_why.swap(false, Ordering::Relaxed) && !self.properties.logs_details() {
            native::set_log_level(&self.client, RDKafkaLogLevel::Info);
        }
    }

    /// The undelivered records, as one error.
    fn check_delivered(&self) -> Result<(), TransportError> {
        let undelivered = self.watch.take_undelivered();
        let Some(Failed { topic, partition, code }) = undelivered.clearest else { return Ok(()) };
        self.is_out_of_step.store(true, Ordering::Relaxed);
        let doing = match code {
            Code::TopicAuthorizationFailed => format!("not authorized to write to topic \"{topic}\""),
            _ if undelivered.count == 1 => format!("a record could not be delivered to {topic}[{partition}]"),
            _ => format!("{} records could not be delivered, the first to {topic}[{partition}]", undelivered.count),
        };
        let doing = if errors::vagueness(code) > 0 { self.with_setback(doing) } else { doing };
        let mut error = self.failed(&doing, &KafkaError::MessageProduction(code));
        if code == Code::MessageSizeTooLarge {
            error.setting = Some("max.message.bytes of the topic".into());
        }
        Err(error)
    }

    /// Prepends the broker's reason, if it gave one.
    fn with_setback(&self, doing: String) -> String {
        match self.watch.setback() {
            Some(cause) => format!("{cause}: {doing}"),
            None => doing,
        }
    }
}

/// A broker reports the same error for both causes, and librdkafka names only one of them.
fn given_up(mut error: TransportError) -> TransportError {
    if error.kind == TransportErrorKind::Fenced {
        error.message.push_str(", or the transaction took longer than transaction.timeout.ms");
    }
    error
}
