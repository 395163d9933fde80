//! The properties of topics that may change while they are read, requested together: however many queries of a process
//! ask, there is one request every few seconds for all topics asked for lately.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;

use super::connection::Connection;
use super::inquiry::id_of;
use super::{errors, native};
use crate::transport::{Glance, TransportError};

/// Maximum age of an answer. A caller that asks every few seconds sees a change within twice that time.
const AGE_MAX: Duration = Duration::from_secs(2);

/// A topic that nobody asked for within this time is not requested with the others.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// How long to wait for an answer. Callers have other things to do, and ask again.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long requests pause after one without an answer: while a cluster is down, only one of many callers waits at a
/// time.
const PAUSE: Duration = Duration::from_secs(5);

/// The topics that were asked for.
#[derive(Default)]
pub(super) struct Glances {
    topics: Mutex<BTreeMap<String, Seen>>,
    /// Locked by the caller that sends a request: when the last request without an answer was sent.
    asking: Mutex<Option<Instant>>,
}

struct Seen {
    wanted_at: Instant,
    /// When the last answered request was sent.
    asked_at: Option<Instant>,
    answered_at: Option<Instant>,
    answer: Option<Glance>,
}

impl Glances {
    /// A recent description of a topic; `None` when it does not exist.
    pub(super) fn of(&self, connection: &Connection, topic: &str) -> Result<Option<Glance>, TransportError> {
        if let Some(answer) = self.known(topic) {
            return Ok(answer);
        }
        let Some(failed_at) = self.asking.try_lock() else { return Err(later(topic)) };
        self.ask_unless_failed(failed_at, connection, topic)
    }

    /// A new description of a topic; `None` when it does not exist.
    pub(super) fn now(&self, connection: &Connection, topic: &str) -> Result<Option<Glance>, TransportError> {
        let called_at = Instant::now();
        self.known(topic);
        let failed_at = self.asking.lock();
        let told = self
            .topics
            .lock()
            .get(topic)
            .filter(|seen| seen.asked_at.is_some_and(|at| at >= called_at))
            .map(|s| s.answer);
        match told {
            Some(answer) => Ok(answer),
            None => self.ask_unless_failed(failed_at, connection, topic),
        }
    }

    fn ask_unless_failed(
        &self,
        mut failed_at: MutexGuard<'_, Option<Instant>>,
        connection: &Connection,
        topic: &str,
    ) -> Result<Option<Glance>, TransportError> {
        if failed_at.is_some_and(|at| at.elapsed() < PAUSE) {
            return Err(later(topic));
        }
        let asked = self.ask(connection, topic);
        *failed_at = asked.is_err().then(Instant::now);
        asked
    }

    /// The answer that is recent enough, if there is one. Records that someone asked for the topic.
    fn known(&self, topic: &str) -> Option<Option<Glance>> {
        let now = Instant::now();
        let mut topics = self.topics.lock();
        topics.retain(|_, seen| now.duration_since(seen.wanted_at) < FORGOTTEN_AFTER);
        let unseen = || Seen { wanted_at: now, asked_at: None, answered_at: None, answer: None };
        let seen = topics.entry(topic.to_owned()).or_insert_with(unseen);
        seen.wanted_at = now;
        seen.answered_at.filter(|at| now.duration_since(*at) < AGE_MAX).map(|_| seen.answer)
    }

    fn ask(&self, connection: &Connection, topic: &str) -> Result<Option<Glance>, TransportError> {
        let wanted: Vec<String> = self.topics.lock().keys().cloned().collect();
        let names: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let asked_at = Instant::now();
        let found = connection.call(|client| native::describe(client.client(), &names, PATIENCE));
        let doing = format!("topic \"{topic}\" could not be looked up");
        let found = found.map_err(|code| connection.failed(&doing, &KafkaError::MetadataFetch(code)))?;
        let (now, mut answer) = (Instant::now(), Ok(None));
        let mut topics = self.topics.lock();
        for (name, described) in found {
            let told = match described {
                Ok(described) => Ok(Some(glance(&described))),
                Err(code) if errors::is_unknown_topic(code) => Ok(None),
                Err(code) => Err(errors::failed(&doing, code)),
            };
            if let (Some(seen), Ok(told)) = (topics.get_mut(&name), &told) {
                (seen.asked_at, seen.answered_at, seen.answer) = (Some(asked_at), Some(now), *told);
            }
            if name == topic {
                answer = told;
            }
        }
        answer
    }
}

/// Someone else is asking, or has just asked without getting an answer.
fn later(topic: &str) -> TransportError {
    TransportError::timeout(format!("topic \"{topic}\" is already being looked up; try again later"))
}

fn glance(described: &native::Described) -> Glance {
    let partitions = i32::try_from(described.partitions).unwrap_or(i32::MAX);
    Glance { id: id_of(described), partitions }
}
