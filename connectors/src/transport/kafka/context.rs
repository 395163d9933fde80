//! What librdkafka reports outside of calls: connection failures, log lines, and requests for a new token. librdkafka
//! retries forever, so failures are reported only here.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};
use rdkafka::TopicPartitionList;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};

use super::properties::Properties;
use super::rebalances::Rebalances;
use super::setback::{self, BatchOutcome};
use super::{errors, token};
use crate::transport::TransportError;

/// The callbacks of one client.
pub(super) struct Context {
    properties: Properties,
    watch: Arc<Watch>,
}

/// What was reported to one client, for the code that waits on it.
#[derive(Default)]
pub(super) struct Watch {
    reported: Mutex<Reported>,
    rebalances: Mutex<Rebalances>,
}

#[derive(Debug, Default)]
struct Reported {
    failure: Option<Failure>,
    failing_since: Option<Instant>,
    undelivered: Undelivered,
    /// Why the latest records of a partition are not being accepted.
    setbacks: BTreeMap<String, String>,
}

/// The latest connection failure.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// librdkafka's code.
    pub code: RDKafkaErrorCode,
    /// Its message, without secrets.
    pub reason: String,
    /// When it was reported.
    pub at: Instant,
}

/// Records that were not delivered since the last check.
#[derive(Clone, Debug, Default)]
pub(super) struct Undelivered {
    /// How many.
    pub count: u64,
    /// The most informative of them; the first if there are several.
    pub clearest: Option<Failed>,
}

/// A record that was not delivered.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// The cause as far as it is known: often only that another record failed before.
    pub code: RDKafkaErrorCode,
}

impl Undelivered {
    fn add(&mut self, failed: Failed) {
        self.count += 1;
        self.note(failed);
    }

    /// Keeps the failure if it is more informative than the current one.
    fn note(&mut self, failed: Failed) {
        let is_clearer = |known: &Failed| errors::vagueness(failed.code) < errors::vagueness(known.code);
        if self.clearest.as_ref().is_none_or(is_clearer) {
            self.clearest = Some(failed);
        }
    }
}

impl Context {
    /// Callbacks that record into `watch`.
    pub(super) fn new(properties: Properties, watch: Arc<Watch>) -> Self {
        Self { properties, watch }
    }
}

impl Watch {
    /// The latest connection failure, if any.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.reported.lock().failure.clone()
    }

    /// Appends the latest connection failure, if any, to an error that it may have caused. Returns whether there was
    /// one.
    pub(super) fn add_cause(&self, error: &mut TransportError) -> bool {
        let failure = self.failure();
        if let Some(failure) = &failure {
            error.message = format!("{} ({})", error.message, failure.reason);
        }
        failure.is_some()
    }

    /// When the first failure since the last success was reported.
    pub(super) fn failing_since(&self) -> Option<Instant> {
        self.reported.lock().failing_since
    }

    /// Forgets failures, after a success.
    pub(super) fn clear(&self) {
        let mut reported = self.reported.lock();
        (reported.failure, reported.failing_since) = (None, None);
    }

    /// The group events of a client that is a member of a group.
    pub(super) fn rebalances(&self) -> MutexGuard<'_, Rebalances> {
        self.rebalances.lock()
    }

    /// Whether a record was not delivered for a known cause.
    pub(super) fn knows_cause(&self) -> bool {
        let reported = self.reported.lock();
        reported.undelivered.clearest.as_ref().is_some_and(|failed| errors::vagueness(failed.code) == 0)
    }

    /// Takes the delivery failures.
    pub(super) fn take_undelivered(&self) -> Undelivered {
        std::mem::take(&mut self.reported.lock().undelivered)
    }

    /// Why some of the latest records are not being accepted, if so.
    pub(super) fn setback(&self) -> Option<String> {
        self.reported.lock().setbacks.values().next().cloned()
    }

    /// Forgets why earlier records were not accepted: other records are being written now.
    pub(super) fn forget_setbacks(&self) {
        self.reported.lock().setbacks.clear();
    }

    fn note(&self, outcome: BatchOutcome<'_>) {
        let setbacks = &mut self.reported.lock().setbacks;
        match outcome.setback {
            Some(cause) => drop(setbacks.insert(outcome.partition.to_owned(), cause)),
            None => drop(setbacks.remove(outcome.partition)),
        }
    }

    fn report(&self, code: RDKafkaErrorCode, reason: String) {
        // "All brokers are down" adds nothing to the failure before it.
        if code == RDKafkaErrorCode::AllBrokersDown {
            return;
        }
        let (mut reported, at) = (self.reported.lock(), Instant::now());
        reported.failing_since.get_or_insert(at);
        reported.failure = Some(Failure { code: errors::true_code(code, &reason), reason, at });
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        let message = self.properties.redact(message);
        tracing::debug!(target: "librdkafka", facility, "{message}");
        let reason = message.split_once(": ").map_or(message.as_str(), |(_, reason)| reason);
        match facility {
            // If the broker closes a connection or a topic is gone, librdkafka logs a line but reports no error.
            "FAIL" if self.watch.failure().is_none() => {
                self.watch.report(RDKafkaErrorCode::BrokerTransportFailure, reason.to_owned());
            }
            "ERROR" if reason.contains("topic does not exist") => {
                self.watch.report(RDKafkaErrorCode::UnknownTopicOrPartition, reason.to_owned());
            }
            setback::FACILITY => setback::outcome(&message).into_iter().for_each(|outcome| self.watch.note(outcome)),
            setback::PARTITIONS => setback::denied(&message).into_iter().for_each(|(topic, partition)| {
                let code = RDKafkaErrorCode::TopicAuthorizationFailed;
                let failed = Failed { topic: topic.to_owned(), partition, code };
                self.watch.reported.lock().undelivered.note(failed);
            }),
            _ => {}
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let reason = self.properties.redact(reason);
        tracing::debug!(target: "librdkafka", %error, "{reason}");
        if let Some(code) = error.rdkafka_error_code() {
            self.watch.report(code, reason);
        }
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        match self.properties.value("enable.sasl.oauthbearer.unsecure.jwt") {
            Some("true") => Ok(token::unsecured(config.unwrap_or_default(), chrono::Utc::now().timestamp())?),
            _ => Err("only unsecured tokens are supported: set enable.sasl.oauthbearer.unsecure.jwt=true".into()),
        }
    }
}

impl ConsumerContext for Context {
    /// Replaces rdkafka's own, which would make the client read what it is assigned.
    fn rebalance(&self, client: &BaseConsumer<Self>, code: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        self.watch.rebalances().rebalance(client, code, partitions);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        let Err((error, message)) = result else { return };
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        let failed = Failed { topic: message.topic().to_owned(), partition: message.partition(), code };
        self.watch.reported.lock().undelivered.add(failed);
    }
}
