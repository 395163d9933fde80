//! What librdkafka reports outside of calls: failures of connections, log lines, and the wish for a
//! new token. librdkafka retries for ever, so this is the only place where a failure shows.

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
use super::seat::Seat;
use super::setback::{self, Said};
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
    told: Mutex<Told>,
    seat: Mutex<Seat>,
}

#[derive(Debug, Default)]
struct Told {
    failure: Option<Failure>,
    failing_since: Option<Instant>,
    undelivered: Undelivered,
    /// Why the latest records of a partition are not taken for now.
    setbacks: BTreeMap<String, String>,
}

/// The latest failure of a connection.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// librdkafka's code.
    pub code: RDKafkaErrorCode,
    /// Its words, without secrets.
    pub reason: String,
    /// When it was reported.
    pub at: Instant,
}

/// Records that were not delivered since someone last looked.
#[derive(Clone, Debug, Default)]
pub(super) struct Undelivered {
    /// How many.
    pub count: u64,
    /// One of them: of those that say why the most, the first.
    pub telling: Option<Failed>,
}

/// A record that was not delivered.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Why, as far as it is known: often only that another record failed before it.
    pub code: RDKafkaErrorCode,
}

impl Undelivered {
    fn add(&mut self, failed: Failed) {
        self.count += 1;
        self.note(failed);
    }

    /// Keeps it where it says more than what is kept.
    fn note(&mut self, failed: Failed) {
        let says_more = |known: &Failed| errors::says_little(failed.code) < errors::says_little(known.code);
        if self.telling.as_ref().is_none_or(says_more) {
            self.telling = Some(failed);
        }
    }
}

impl Context {
    /// Callbacks that write into `watch`.
    pub(super) fn new(properties: Properties, watch: Arc<Watch>) -> Self {
        Self { properties, watch }
    }
}

impl Watch {
    /// The latest failure of a connection, if any.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.told.lock().failure.clone()
    }

    /// Adds the latest failure of a connection, if any, to an error that may come of it. True when there was one.
    pub(super) fn add_cause(&self, error: &mut TransportError) -> bool {
        let failure = self.failure();
        if let Some(failure) = &failure {
            error.message = format!("{} ({})", error.message, failure.reason);
        }
        failure.is_some()
    }

    /// When the first failure since something worked was reported.
    pub(super) fn failing_since(&self) -> Option<Instant> {
        self.told.lock().failing_since
    }

    /// Something worked: forgets failures.
    pub(super) fn clear(&self) {
        let mut told = self.told.lock();
        (told.failure, told.failing_since) = (None, None);
    }

    /// The events of the group, for a client that is in one.
    pub(super) fn seat(&self) -> MutexGuard<'_, Seat> {
        self.seat.lock()
    }

    /// True when a record was not delivered and it is known why.
    pub(super) fn knows_cause(&self) -> bool {
        let told = self.told.lock();
        told.undelivered.telling.as_ref().is_some_and(|failed| errors::says_little(failed.code) == 0)
    }

    /// Takes the delivery failures.
    pub(super) fn take_undelivered(&self) -> Undelivered {
        std::mem::take(&mut self.told.lock().undelivered)
    }

    /// Why some of the records that were written last are not taken for now, if it is so.
    pub(super) fn setback(&self) -> Option<String> {
        self.told.lock().setbacks.values().next().cloned()
    }

    /// Other records are written: what was said of those before is over.
    pub(super) fn forget_setbacks(&self) {
        self.told.lock().setbacks.clear();
    }

    fn note(&self, said: Said<'_>) {
        let setbacks = &mut self.told.lock().setbacks;
        match said.setback {
            Some(cause) => drop(setbacks.insert(said.partition.to_owned(), cause)),
            None => drop(setbacks.remove(said.partition)),
        }
    }

    fn tell(&self, code: RDKafkaErrorCode, reason: String) {
        // "All brokers are down" says no more than the failure before it.
        if code == RDKafkaErrorCode::AllBrokersDown {
            return;
        }
        let (mut told, at) = (self.told.lock(), Instant::now());
        told.failing_since.get_or_insert(at);
        told.failure = Some(Failure { code: errors::true_code(code, &reason), reason, at });
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        let message = self.properties.redact(message);
        tracing::debug!(target: "librdkafka", facility, "{message}");
        let reason = message.split_once(": ").map_or(message.as_str(), |(_, reason)| reason);
        match facility {
            // A connection that the broker closed makes a line but no error, and so does a topic that is gone.
            "FAIL" if self.watch.failure().is_none() => {
                self.watch.tell(RDKafkaErrorCode::BrokerTransportFailure, reason.to_owned());
            }
            "ERROR" if reason.contains("topic does not exist") => {
                self.watch.tell(RDKafkaErrorCode::UnknownTopicOrPartition, reason.to_owned());
            }
            setback::FACILITY => setback::said(&message).into_iter().for_each(|said| self.watch.note(said)),
            setback::PARTITIONS => setback::denied(&message).into_iter().for_each(|(topic, partition)| {
                let code = RDKafkaErrorCode::TopicAuthorizationFailed;
                let failed = Failed { topic: topic.to_owned(), partition, code };
                self.watch.told.lock().undelivered.note(failed);
            }),
            _ => {}
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let reason = self.properties.redact(reason);
        tracing::debug!(target: "librdkafka", %error, "{reason}");
        if let Some(code) = error.rdkafka_error_code() {
            self.watch.tell(code, reason);
        }
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        match self.properties.value("enable.sasl.oauthbearer.unsecure.jwt") {
            Some("true") => Ok(token::unsecured(config.unwrap_or_default(), chrono::Utc::now().timestamp())?),
            _ => Err("only unsecured tokens can be made here: set enable.sasl.oauthbearer.unsecure.jwt=true".into()),
        }
    }
}

impl ConsumerContext for Context {
    /// In place of rdkafka's own, which would have the client read what it is assigned.
    fn rebalance(&self, client: &BaseConsumer<Self>, code: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        self.watch.seat().rebalance(client, code, partitions);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        let Err((error, message)) = result else { return };
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        let failed = Failed { topic: message.topic().to_owned(), partition: message.partition(), code };
        self.watch.told.lock().undelivered.add(failed);
    }
}
