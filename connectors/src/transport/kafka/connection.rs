//! A librdkafka client and what was reported to it: how it is created, how its callbacks are served, and how a first
//! connection fails within seconds although librdkafka would retry forever.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::metadata::MetadataTopic;
use rdkafka::types::{RDKafkaErrorCode as Code, RDKafkaRespErr};

use super::context::{Context, Watch};
use super::errors;
use super::properties::{Properties, Role};
use crate::transport::{TopicInfo, TransportError, TransportErrorKind};

/// Maximum time for a first connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a single configured broker may be unreachable before a first connection fails. Not immediately, because
/// `localhost` is often tried as `::1` first, where nothing listens. With several brokers, the others get the whole
/// [`CONNECT_TIMEOUT`].
const UNREACHABLE_GRACE: Duration = Duration::from_millis(1_500);

/// Maximum time for one answer of the cluster.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a request is retried after the cluster lost a broker or moved a leader.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause between two retries.
pub(super) const CHANGE_INTERVAL: Duration = Duration::from_millis(200);

/// Pause between two checks of what librdkafka reported.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Maximum number of callbacks served at once, each a log line or an error: enough to keep up when `debug` properties
/// request many lines, and few enough not to be noticed.
pub(super) const SERVED_MAX: usize = 16;

/// Creates a client of any kind, with a [`Watch`] that collects what is reported to it.
///
/// OpenSSL is initialized here, before librdkafka does it: librdkafka's way frees OpenSSL's tables when the process
/// exits, and the threads of a client, which are still running, then crash.
pub(super) fn open<C>(properties: &Properties, role: &Role) -> Result<(C, Arc<Watch>), TransportError>
where
    C: FromClientConfigAndContext<Context>,
{
    openssl_sys::init();
    let watch = Arc::new(Watch::default());
    let context = Context::new(properties.clone(), Arc::clone(&watch));
    let client = properties.client(role).create_with_context(context).map_err(|error| not_made(properties, &error))?;
    Ok((client, watch))
}

/// librdkafka's messages when the system temporarily lacks threads, file descriptors or memory.
const SHORTAGES: &[&str] =
    &["Failed to create thread", "Timed out waiting for", "Too many open files", "Cannot allocate memory"];

/// The error for a client that could not be created: librdkafka rejects properties that contradict each other, a
/// missing certificate and the like.
fn not_made(properties: &Properties, error: &KafkaError) -> TransportError {
    let reason = match error {
        KafkaError::ClientCreation(reason) | KafkaError::ClientConfig(_, reason, ..) => reason.clone(),
        other => other.to_string(),
    };
    if SHORTAGES.iter().any(|words| reason.contains(words)) {
        return TransportError::other(properties.redact(&format!("could not create a client: {reason}")));
    }
    let setting = reason.split(['`', '\'', ' ']).find(|word| word.contains('.') && properties.value(word).is_some());
    let of_mechanism = reason.contains("SASL mechanism").then_some("sasl.mechanisms");
    let refused = TransportError::invalid(properties.redact(&format!("the Kafka properties are not valid: {reason}")));
    match setting.or(of_mechanism) {
        Some(setting) => refused.with_setting(setting),
        None => refused,
    }
}

/// A client that requests topics and offsets.
pub(super) struct Connection {
    consumer: Arc<BaseConsumer<Context>>,
    watch: Arc<Watch>,
    properties: Properties,
}

impl Connection {
    /// Creates the client, which connects on first use.
    pub(super) fn new(properties: &Properties, role: &Role) -> Result<Self, TransportError> {
        let (consumer, watch) = open::<BaseConsumer<Context>>(properties, role)?;
        Ok(Self { consumer: Arc::new(consumer), watch, properties: properties.clone() })
    }

    /// Calls librdkafka, which may block. Callbacks are served before, and also during the call if it may need a new
    /// token.
    pub(super) fn call<T>(&self, call: impl FnOnce(&BaseConsumer<Context>) -> T) -> T {
        serve(&self.consumer);
        let consumer = &self.consumer;
        served(&self.properties, || serve_and_pause(consumer), || call(consumer))
    }

    /// Repeats a call while it fails because a broker went away or a partition is about to get another leader; in a
    /// cluster that lost one of its brokers this is over within seconds.
    pub(super) fn ask<T>(
        &self,
        doing: &str,
        ask: impl Fn(&BaseConsumer<Context>) -> KafkaResult<T>,
    ) -> Result<T, TransportError> {
        while_changing(CHANGE_TIMEOUT, || self.call(&ask)).map_err(|error| self.failed(doing, &error))
    }

    /// Number of partitions of a topic; `None` when it does not exist.
    pub(super) fn partitions(&self, topic: &str) -> Result<Option<i32>, TransportError> {
        let info = self.topic(topic)?;
        Ok(info.map(|info| info.partitions))
    }

    /// The id of the cluster; `None` if it does not say within the usual time.
    pub(super) fn cluster_id(&self) -> Option<String> {
        self.call(|consumer| consumer.client().fetch_cluster_id(ANSWER_TIMEOUT))
    }

    /// A topic; `None` when it does not exist.
    pub(super) fn topic(&self, name: &str) -> Result<Option<TopicInfo>, TransportError> {
        if !is_legal(name) {
            return Ok(None);
        }
        let doing = format!("topic \"{name}\" could not be looked up");
        let metadata = self.ask(&doing, |client| client.fetch_metadata(Some(name), ANSWER_TIMEOUT))?;
        let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == name) else { return Ok(None) };
        match topic.error() {
            None => Ok(Some(info(topic))),
            Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) => Ok(None),
            // The topic exists; its partitions are about to get leaders.
            Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) => Ok(Some(info(topic))),
            Some(code) => Err(errors::failed(&doing, code.into())),
        }
    }

    /// Converts an error of a call; a timeout names the brokers and the time.
    pub(super) fn failed(&self, doing: &str, error: &KafkaError) -> TransportError {
        let mut failed = errors::call_failed(doing, error);
        if matches!(failed.kind, TransportErrorKind::Timeout | TransportErrorKind::Unreachable) {
            let seconds = ANSWER_TIMEOUT.as_secs();
            failed.message = format!("{doing}: no answer from {} within {seconds} s", self.properties.bootstrap());
            self.watch.add_cause(&mut failed);
        }
        failed
    }

    /// The client and its watch, for a source.
    pub(super) fn into_parts(self) -> (Arc<BaseConsumer<Context>>, Arc<Watch>) {
        (self.consumer, self.watch)
    }

    /// Waits until a broker has answered once.
    pub(super) fn prove(&self) -> Result<(), TransportError> {
        let begun = Instant::now();
        let given_up = Arc::new(AtomicBool::new(false));
        let answer = self.ask_in_background(&given_up);
        let proved = loop {
            match answer.recv_timeout(LOOK_INTERVAL) {
                Ok(()) => break Ok(()),
                Err(mpsc::RecvTimeoutError::Disconnected) => break Err(self.no_answer(begun)),
                Err(mpsc::RecvTimeoutError::Timeout) => serve(&self.consumer),
            }
            if let Some(error) = self.verdict() {
                break Err(error);
            }
        };
        given_up.store(true, Ordering::Relaxed);
        if proved.is_ok() {
            self.watch.clear();
        }
        proved
    }

    /// Requests metadata until there is an answer, [`CONNECT_TIMEOUT`] has passed or nobody waits any more. On its own
    /// thread, because the call cannot be interrupted when the error callback already knows the cause.
    fn ask_in_background(&self, given_up: &Arc<AtomicBool>) -> mpsc::Receiver<()> {
        let (tell, answer) = mpsc::channel();
        let (consumer, given_up) = (Arc::clone(&self.consumer), Arc::clone(given_up));
        thread::spawn(move || {
            let deadline = Instant::now() + CONNECT_TIMEOUT;
            while Instant::now() < deadline && !given_up.load(Ordering::Relaxed) {
                if consumer.fetch_metadata(None, deadline - Instant::now()).is_ok() {
                    // Nobody listens if the first connection was given up.
                    let _ = tell.send(());
                    return;
                }
                thread::sleep(LOOK_INTERVAL);
            }
        });
        answer
    }

    /// The error of a first connection, once it is certain.
    fn verdict(&self) -> Option<TransportError> {
        let failure = self.watch.failure()?;
        let certain = matches!(failure.code, Code::Authentication | Code::SSL);
        let alone = !self.properties.bootstrap().contains(',');
        let lasting = self.watch.failing_since().is_some_and(|since| since.elapsed() >= UNREACHABLE_GRACE);
        (certain || alone && lasting).then(|| self.explain(failure.code, &failure.reason))
    }

    fn no_answer(&self, begun: Instant) -> TransportError {
        match self.watch.failure() {
            Some(failure) => self.explain(failure.code, &failure.reason),
            None => errors::connection_timed_out(self.properties.bootstrap(), begun.elapsed().as_millis()),
        }
    }

    fn explain(&self, code: Code, reason: &str) -> TransportError {
        errors::connection_failed(self.properties.bootstrap(), code, reason)
    }
}

/// Repeats a call for at most `patience` while it fails because the cluster is changing.
pub(super) fn while_changing<T>(patience: Duration, ask: impl Fn() -> KafkaResult<T>) -> KafkaResult<T> {
    let begun = Instant::now();
    loop {
        match ask() {
            Err(error) if errors::is_temporary(&error) && begun.elapsed() < patience => thread::sleep(CHANGE_INTERVAL),
            answered => return answered,
        }
    }
}

/// Whether Kafka accepts the name of a topic; librdkafka creates no handle for others.
pub(super) fn is_legal(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=249).contains(&name.len()) && name.chars().all(letter) && name != "." && name != ".."
}

/// A topic as metadata describes it.
pub(super) fn info(topic: &MetadataTopic) -> TopicInfo {
    let replicas = topic.partitions().iter().map(|partition| partition.replicas().len()).max().unwrap_or(0);
    TopicInfo {
        name: topic.name().to_owned(),
        partitions: i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX),
        replicas: i32::try_from(replicas).unwrap_or(i32::MAX),
    }
}

/// Serves pending callbacks without blocking. rdkafka does not report whether there was one.
pub(super) fn serve(consumer: &BaseConsumer<Context>) {
    for _ in 0..SERVED_MAX {
        // An error is also returned here; by then the context has recorded it.
        drop(consumer.poll(Duration::ZERO));
    }
}

fn serve_and_pause(consumer: &BaseConsumer<Context>) {
    serve(consumer);
    thread::sleep(Duration::from_millis(1));
}

/// Runs `call`, with `poll` in parallel if a token may have to be renewed for it to finish.
pub(super) fn served<T>(properties: &Properties, poll: impl Fn() + Send + Sync, call: impl FnOnce() -> T) -> T {
    if properties.renews_token() { while_polled(poll, call) } else { call() }
}

/// Runs `call`, and `poll` repeatedly on another thread until it finishes.
pub(super) fn while_polled<T>(poll: impl Fn() + Send + Sync, call: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                poll();
            }
        });
        let result = call();
        done.store(true, Ordering::Relaxed);
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a lost broker costs a pause and no error; permanent errors are reported immediately.
    #[test]
    fn requests_are_retried_while_leaders_change() {
        use std::cell::Cell;

        let asked = Cell::new(0);
        let ask = |code: Code, fails: u32| {
            asked.set(0);
            while_changing(Duration::from_secs(5), || {
                asked.set(asked.get() + 1);
                if asked.get() > fails { Ok(()) } else { Err(KafkaError::MetadataFetch(code)) }
            })
        };
        for code in [
            Code::DestroyBroker,
            Code::BrokerTransportFailure,
            Code::NotLeaderForPartition,
            Code::OffsetNotAvailable,
            Code::NotCoordinator,
        ] {
            assert!(ask(code, 2).is_ok(), "{code}");
            assert_eq!(asked.get(), 3);
        }
        assert!(ask(Code::TopicAuthorizationFailed, 2).is_err());
        assert_eq!(asked.get(), 1);
        assert!(
            while_changing(Duration::ZERO, || Err::<(), _>(KafkaError::MetadataFetch(Code::DestroyBroker))).is_err()
        );
    }

    #[test]
    fn knows_legal_names() {
        assert!(is_legal("a.b_c-9"));
        for name in ["", ".", "..", "a b", "ä", "a/b", &"x".repeat(250)] {
            assert!(!is_legal(name), "{name}");
        }
    }
}
