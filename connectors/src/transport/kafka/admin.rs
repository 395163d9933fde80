//! Topics, offsets and settings of a cluster.
//!
//! Most requests use a client that is already connected. The client that creates and deletes topics, and the one that
//! sees open transactions, are created on first use.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use headwater_formats::record::{RecordLimits, TopicPartition};
use parking_lot::Mutex;
use rdkafka::admin::{
    AdminClient, AdminOptions, NewTopic as RdNewTopic, ResourceSpecifier, TopicReplication, TopicResult,
};
use rdkafka::client::Client;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset, TopicPartitionList};

use super::connection::{self, ANSWER_TIMEOUT, CHANGE_INTERVAL, Connection, info, is_legal, while_changing};
use super::context::Context;
use super::glance::Glances;
use super::properties::{Properties, Role};
use super::{committed, errors, inquiry, native};
use crate::transport::{
    Admin, Extent, Glance, Isolation, NewTopic, Position, TopicId, TopicInfo, TransportError, TransportErrorKind,
    Watermarks,
};

/// Maximum time until a new topic can be used, or a deleted topic is gone.
const SETTLED_TIMEOUT: Duration = Duration::from_secs(20);

/// Pause between two checks.
const SETTLED_INTERVAL: Duration = Duration::from_millis(5);

/// First timeout of a request, after which the leader or controller is looked up again; doubled for each attempt.
const PATIENCE: Duration = Duration::from_secs(2);

/// Overhead of a single record in a batch, in bytes: the batch header of 61 bytes, and the maximum of lengths,
/// attributes and deltas.
const FRAME_BYTES: usize = 61 + 26;

/// Maximum pause between two polls of an admin client's own queue.
const SERVE_INTERVAL: Duration = Duration::from_millis(20);

/// The [`Admin`] of a Kafka cluster.
pub(super) struct KafkaAdmin {
    properties: Properties,
    committed: Connection,
    uncommitted: Mutex<Option<Arc<Connection>>>,
    changes: Mutex<Option<Arc<AdminClient<Context>>>>,
    glances: Glances,
}

impl KafkaAdmin {
    /// Connects; a wrong address or password is reported here.
    pub(super) fn connect(properties: &Properties) -> Result<Self, TransportError> {
        let committed = Connection::new(properties, &Role::Metadata(Isolation::ReadCommitted))?;
        committed.prove()?;
        let (uncommitted, changes, glances) = (Mutex::default(), Mutex::default(), Glances::default());
        Ok(Self { properties: properties.clone(), committed, uncommitted, changes, glances })
    }

    /// Calls the client that sees the log at this isolation level.
    fn on<T>(
        &self,
        isolation: Isolation,
        call: impl FnOnce(&Connection) -> Result<T, TransportError>,
    ) -> Result<T, TransportError> {
        match isolation {
            Isolation::ReadCommitted => call(&self.committed),
            Isolation::ReadUncommitted => call(self.uncommitted()?.as_ref()),
        }
    }

    fn uncommitted(&self) -> Result<Arc<Connection>, TransportError> {
        let role = Role::Metadata(Isolation::ReadUncommitted);
        lazily(&self.uncommitted, || Connection::new(&self.properties, &role))
    }

    fn changes(&self) -> Result<Arc<AdminClient<Context>>, TransportError> {
        lazily(&self.changes, || connection::open(&self.properties, &Role::Admin).map(|(client, _)| client))
    }

    /// Sends a request about a topic to the current controller.
    fn ask_controller<T>(
        &self,
        changes: &AdminClient<Context>,
        doing: &str,
        topic: &str,
        ask: impl Fn(Duration) -> KafkaResult<T>,
    ) -> Result<T, TransportError> {
        let asked = patiently(changes.inner(), std::iter::once(topic), ask);
        asked.map_err(|error| self.committed.failed(doing, &error))
    }

    /// Waits until `settled` returns true.
    fn settle(&self, doing: &str, settled: impl Fn() -> Result<bool, TransportError>) -> Result<(), TransportError> {
        let begun = Instant::now();
        while !settled()? {
            if begun.elapsed() > SETTLED_TIMEOUT {
                let message = format!(
                    "{doing}: {} did not complete it within {} s",
                    self.properties.bootstrap(),
                    SETTLED_TIMEOUT.as_secs()
                );
                return Err(TransportError::timeout(message));
            }
            thread::sleep(SETTLED_INTERVAL);
        }
        Ok(())
    }

    /// Both ends of every partition's log, requested in parallel.
    fn ends(&self, topic: &str, partitions: i32, isolation: Isolation) -> Result<Vec<Watermarks>, TransportError> {
        let doing = format!("the offsets of topic \"{topic}\" could not be read");
        let all = |at: Offset| {
            let places = (0..partitions).map(|partition| (topic.to_owned(), partition, at)).collect();
            self.offsets(isolation, &doing, places)
        };
        let (start, end) = thread::scope(|scope| {
            let start = scope.spawn(|| all(Offset::Beginning));
            let end = all(Offset::End);
            (start.join().expect("asking for offsets does not panic"), end)
        });
        let (start, end) = (start?, end?);
        Ok(start.into_values().zip(end.into_values()).map(|(start, end)| Watermarks { start, end }).collect())
    }

    /// The offset for each partition: for a time in ms, or for one of librdkafka's special offsets that name an end of
    /// the log. -1 if there is none.
    fn offsets(
        &self,
        isolation: Isolation,
        doing: &str,
        places: Vec<(String, i32, Offset)>,
    ) -> Result<BTreeMap<TopicPartition, i64>, TransportError> {
        if places.is_empty() {
            return Ok(BTreeMap::new());
        }
        let topics: BTreeSet<String> = places.iter().map(|(topic, ..)| topic.clone()).collect();
        let list: TopicPartitionList = places.into_iter().collect();
        let find = |client: &BaseConsumer<Context>, patience| {
            let found = client.offsets_for_times(list.clone(), patience)?;
            // Each partition has its own result, which is an error if its leader is gone.
            let failed = found.elements().iter().find_map(|element| element.error().err());
            failed.filter(errors::is_temporary).map_or(Ok(found), Err)
        };
        let ask = |client: &BaseConsumer<Context>| {
            patiently(client.client(), topics.iter().map(String::as_str), |patience| find(client, patience))
        };
        let found = self.on(isolation, |connection| connection.ask(doing, ask))?;
        let read = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
            element.error().map_err(|error| self.committed.failed(doing, &error))?;
            Ok((TopicPartition::new(element.topic(), element.partition()), element.offset().to_raw().unwrap_or(-1)))
        };
        found.elements().iter().map(read).collect()
    }
}

impl Admin for KafkaAdmin {
    fn topics(&self) -> Result<Vec<TopicInfo>, TransportError> {
        let doing = "the topics could not be listed";
        let metadata = self.committed.ask(doing, |client| client.fetch_metadata(None, ANSWER_TIMEOUT))?;
        let mut topics: Vec<_> = metadata.topics().iter().filter(|topic| topic.error().is_none()).map(info).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    fn topic(&self, name: &str) -> Result<Option<TopicInfo>, TransportError> {
        self.committed.topic(name)
    }

    fn create_topic(&self, topic: &NewTopic) -> Result<(), TransportError> {
        let name = topic.name.as_str();
        let doing = format!("topic \"{name}\" could not be created");
        if !is_legal(name) {
            return Err(TransportError::invalid(format!("{doing}: {LEGAL_NAMES}")));
        }
        let changes = self.changes()?;
        let replication = TopicReplication::Fixed(topic.replicas.unwrap_or(-1));
        let settings = topic.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let new = settings.fold(RdNewTopic::new(name, topic.partitions, replication), |new, (n, v)| new.set(n, v));
        let made = self.ask_controller(&changes, &doing, name, |patience| {
            let made = wait(&changes, changes.create_topics([&new], &within(patience)))?;
            let made = unless_changing(made, |(_, code)| *code)?;
            Ok(of_attempt(patience, made, Code::TopicAlreadyExists))
        })?;
        let made = of_one_topic(&doing, made).map_err(|error| with_settings(error, topic));
        if made.as_ref().is_err_and(|error| error.kind != TransportErrorKind::TopicExists) {
            return made;
        }
        self.settle(&doing, || {
            let visible = self.topic(name)?.is_some_and(|info| made.is_err() || info.partitions == topic.partitions);
            Ok(visible && self.watermarks(name, Isolation::ReadCommitted).is_ok())
        })?;
        made
    }

    fn delete_topic(&self, name: &str) -> Result<(), TransportError> {
        let doing = format!("topic \"{name}\" could not be deleted");
        if !is_legal(name) {
            return Err(TransportError::unknown_topic(name));
        }
        let changes = self.changes()?;
        let deleted = self.ask_controller(&changes, &doing, name, |patience| {
            let deleted = wait(&changes, changes.delete_topics(&[name], &within(patience)))?;
            let deleted = unless_changing(deleted, |(_, code)| *code)?;
            Ok(of_attempt(patience, deleted, Code::UnknownTopicOrPartition))
        })?;
        of_one_topic(&doing, deleted)?;
        self.settle(&doing, || Ok(self.topic(name)?.is_none()))
    }

    fn watermarks(&self, topic: &str, isolation: Isolation) -> Result<Vec<Watermarks>, TransportError> {
        // The client that requests the ends looks up the topic first, so that it knows the current leaders.
        let info = self.on(isolation, |connection| connection.topic(topic))?;
        let info = info.ok_or_else(|| TransportError::unknown_topic(topic))?;
        self.ends(topic, info.partitions, isolation)
    }

    fn extent(&self, topic: &str, isolation: Isolation) -> Result<Extent, TransportError> {
        // Both are requested before the offsets, so that offsets of a topic created in between are not mistaken for
        // those of its predecessor.
        let (id, info) = thread::scope(|scope| {
            let id = scope.spawn(|| inquiry::topic_id(&self.committed, topic));
            let info = self.on(isolation, |connection| connection.topic(topic));
            (id.join().expect("asking for an id does not panic"), info)
        });
        let info = info?.ok_or_else(|| TransportError::unknown_topic(topic))?;
        Ok(Extent { id: id?, marks: self.ends(topic, info.partitions, isolation)? })
    }

    fn topic_id(&self, topic: &str) -> Result<Option<TopicId>, TransportError> {
        inquiry::topic_id(&self.committed, topic)
    }

    fn glance(&self, topic: &str) -> Result<Option<Glance>, TransportError> {
        self.glances.of(&self.committed, topic)
    }

    fn glance_now(&self, topic: &str) -> Result<Option<Glance>, TransportError> {
        self.glances.now(&self.committed, topic)
    }

    fn offsets_for_times(
        &self,
        times_ms: &BTreeMap<TopicPartition, i64>,
    ) -> Result<BTreeMap<TopicPartition, Option<i64>>, TransportError> {
        let doing = "the offsets for these times could not be read";
        // Values below zero are the protocol's special offsets. The oldest possible timestamp is -1, which means none:
        // no record is older, so the earliest offset is requested instead.
        let at = |time_ms: i64| if time_ms < 0 { Offset::Beginning } else { Offset::Offset(time_ms) };
        let places = times_ms.iter().map(|(p, time)| (p.topic.to_string(), p.partition, at(*time))).collect();
        let found = self.offsets(Isolation::ReadCommitted, doing, places)?;
        Ok(found.into_iter().map(|(partition, offset)| (partition, (offset >= 0).then_some(offset))).collect())
    }

    fn topic_settings(&self, topic: &str) -> Result<BTreeMap<String, String>, TransportError> {
        // rdkafka returns a missing topic as one without settings, so the topic is looked up first.
        self.topic(topic)?.ok_or_else(|| TransportError::unknown_topic(topic))?;
        let doing = format!("the settings of topic \"{topic}\" could not be read");
        let changes = self.changes()?;
        let resource = ResourceSpecifier::Topic(topic);
        let ask = |patience| {
            let described = wait(&changes, changes.describe_configs([&resource], &within(patience)))?;
            unless_changing(described, |code| *code)
        };
        let mut described = self.ask_controller(&changes, &doing, topic, ask)?;
        let settings = described.pop().unwrap_or(Err(Code::Unknown)).map_err(|code| errors::failed(&doing, code))?;
        Ok(settings.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect())
    }

    fn committed_offsets(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<Position>>, TransportError> {
        if partitions.is_empty() {
            return Ok(BTreeMap::new());
        }
        let connection = Connection::new(&self.properties, &Role::Group(group.to_owned()))?;
        let found = connection.ask(&committed::doing(group), |client| committed::of_group(client, partitions));
        found.map_err(committed::held_back)
    }

    fn record_limits(&self, topic: &str) -> Result<RecordLimits, TransportError> {
        let settings = self.topic_settings(topic)?;
        let number = |name: &str| settings.get(name).and_then(|value| value.parse::<i64>().ok());
        let bytes = number("max.message.bytes").and_then(|bytes| usize::try_from(bytes).ok());
        // A batch that compression does not shrink is sent uncompressed.
        let batch_bytes_max = bytes.map(|bytes| bytes.saturating_sub(FRAME_BYTES));
        let bytes_max = batch_bytes_max.filter(|_| !self.properties.compresses());
        let appends_time = settings.get("message.timestamp.type").is_some_and(|kind| kind == "LogAppendTime");
        let least = |names: [&str; 2]| names.iter().filter_map(|name| number(name)).min().filter(|_| !appends_time);
        Ok(RecordLimits {
            bytes_max,
            batch_bytes_max,
            ahead_ms_max: least(["message.timestamp.after.max.ms", "message.timestamp.difference.max.ms"]),
            behind_ms_max: least(["message.timestamp.before.max.ms", "message.timestamp.difference.max.ms"]),
            retention_ms: number("retention.ms").filter(|ms| *ms >= 0 && !appends_time && deletes(&settings)),
            needs_key: settings.get("cleanup.policy").is_some_and(|policy| policy.contains("compact")),
        })
    }

    fn cluster_id(&self) -> Result<Option<String>, TransportError> {
        Ok(self.committed.cluster_id())
    }

    fn group_members(&self, groups: &[String]) -> Result<BTreeMap<String, usize>, TransportError> {
        // A request for all groups costs as much as one for a single group.
        let one = match groups {
            [] => return Ok(BTreeMap::new()),
            [group] => Some(group.as_str()),
            _ => None,
        };
        let doing = "the members of consumer groups could not be read";
        let list = self.committed.ask(doing, |client| client.fetch_group_list(one, ANSWER_TIMEOUT))?;
        let found: BTreeMap<&str, usize> = list.groups().iter().map(|g| (g.name(), g.members().len())).collect();
        Ok(groups.iter().map(|group| (group.clone(), found.get(group.as_str()).copied().unwrap_or(0))).collect())
    }

    fn groups(&self) -> Result<BTreeSet<String>, TransportError> {
        let doing = "the consumer groups could not be listed";
        let list = self.committed.ask(doing, |client| client.fetch_group_list(None, ANSWER_TIMEOUT))?;
        Ok(list.groups().iter().map(|group| group.name().to_owned()).collect())
    }

    fn delete_group(&self, group: &str) -> Result<bool, TransportError> {
        let doing = format!("consumer group \"{group}\" could not be deleted");
        let changes = self.changes()?;
        let ask = || {
            let deleted = wait(&changes, changes.delete_groups(&[group], &within(ANSWER_TIMEOUT)))?;
            unless_changing(deleted, |(_, code)| *code)
        };
        let deleted = while_changing(SETTLED_TIMEOUT, ask);
        let deleted = deleted.map_err(|error| self.committed.failed(&doing, &error))?;
        match deleted.into_iter().next() {
            None | Some(Ok(_) | Err((_, Code::GroupIdNotFound))) => Ok(true),
            Some(Err((_, Code::NonEmptyGroup))) => Ok(false),
            Some(Err((_, code))) => Err(errors::failed(&doing, code)),
        }
    }

    fn delete_records(&self, before: &BTreeMap<TopicPartition, i64>) -> Result<(), TransportError> {
        let doing = "the records that were read could not be deleted";
        if before.is_empty() {
            return Ok(());
        }
        let offset = |(partition, offset): (&TopicPartition, &i64)| {
            (partition.topic.to_string(), partition.partition, Offset::Offset(*offset))
        };
        let list: TopicPartitionList = before.iter().map(offset).collect();
        let changes = self.changes()?;
        let delete = || {
            let deleted = wait(&changes, changes.delete_records(&list, &within(ANSWER_TIMEOUT)))?;
            deleted.elements().iter().find_map(|element| element.error().err()).map_or(Ok(()), Err)
        };
        while_changing(SETTLED_TIMEOUT, delete).map_err(|error| self.committed.failed(doing, &error))
    }
}

/// Whether the cluster deletes old records of a topic with these settings.
fn deletes(settings: &BTreeMap<String, String>) -> bool {
    settings.get("cleanup.policy").is_none_or(|policy| policy.contains("delete"))
}

/// The results of a request, unless one of them says that the cluster is changing: then its error, so that the request
/// is repeated.
fn unless_changing<T, E>(results: Vec<Result<T, E>>, code: impl Fn(&E) -> Code) -> KafkaResult<Vec<Result<T, E>>> {
    let failed = results.iter().filter_map(|result| result.as_ref().err());
    let changing = failed.map(|error| KafkaError::AdminOp(code(error))).find(errors::is_temporary);
    changing.map_or(Ok(results), Err)
}

/// If a retry fails with `sign`, an earlier attempt that got no answer had succeeded.
fn of_attempt(patience: Duration, results: Vec<TopicResult>, sign: Code) -> Vec<TopicResult> {
    let judge = |result| match result {
        Err((name, code)) if code == sign && patience > PATIENCE => Ok(name),
        result => result,
    };
    results.into_iter().map(judge).collect()
}

/// The result of a change to one topic.
fn of_one_topic(doing: &str, results: Vec<TopicResult>) -> Result<(), TransportError> {
    results.into_iter().try_for_each(|result| match result {
        Ok(_) => Ok(()),
        Err((_, code)) => Err(errors::failed(doing, code)),
    })
}

const LEGAL_NAMES: &str = "a topic's name has 1 to 249 letters, digits, \".\", \"_\" or \"-\"";

/// rdkafka drops the broker's reason for rejecting a setting, so the error shows the settings.
fn with_settings(mut error: TransportError, topic: &NewTopic) -> TransportError {
    if error.kind == TransportErrorKind::Invalid {
        let settings: Vec<_> = topic.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let replicas = topic.replicas.map_or("default".to_owned(), |replicas| replicas.to_string());
        let shown = format!("partitions={}, replicas={replicas}, {}", topic.partitions, settings.join(", "));
        error.message = format!("{} ({})", error.message, shown.trim_end_matches(", "));
    }
    error
}

/// Options with a timeout; a change that takes longer continues in the cluster.
fn within(patience: Duration) -> AdminOptions {
    AdminOptions::new().request_timeout(Some(patience)).operation_timeout(Some(ANSWER_TIMEOUT))
}

/// Repeats a request with growing timeouts. librdkafka waits for the broker that was the leader or controller when this
/// client last looked, even if that broker has long been gone; so after each attempt without an answer the topics are
/// looked up again. It gives up after [`SETTLED_TIMEOUT`].
fn patiently<'a, T>(
    client: &Client<Context>,
    topics: impl Iterator<Item = &'a str> + Clone,
    ask: impl Fn(Duration) -> KafkaResult<T>,
) -> KafkaResult<T> {
    let (begun, mut patience) = (Instant::now(), PATIENCE);
    loop {
        let asked = ask(patience);
        if begun.elapsed() >= SETTLED_TIMEOUT || !asked.as_ref().is_err_and(errors::is_temporary) {
            return asked;
        }
        for topic in topics.clone() {
            // If this fails, the next attempt looks them up again.
            let _ = client.fetch_metadata(Some(topic), ANSWER_TIMEOUT);
        }
        thread::sleep(CHANGE_INTERVAL);
        patience = (patience * 2).min(ANSWER_TIMEOUT);
    }
}

/// The value in `cell`, created on first use.
fn lazily<T>(
    cell: &Mutex<Option<Arc<T>>>,
    make: impl FnOnce() -> Result<T, TransportError>,
) -> Result<Arc<T>, TransportError> {
    let mut cell = cell.lock();
    if let Some(made) = &*cell {
        return Ok(Arc::clone(made));
    }
    Ok(Arc::clone(cell.insert(Arc::new(make()?))))
}

/// Waits for an answer on this thread, polling the client's own queue meanwhile.
fn wait<T>(client: &AdminClient<Context>, answer: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut answer = std::pin::pin!(answer);
    loop {
        native::serve_admin(client);
        match answer.as_mut().poll(&mut TaskContext::from_waker(&waker)) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::park_timeout(SERVE_INTERVAL),
        }
    }
}

/// Wakes the thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a request is repeated if only the result of one of its topics says that the cluster is changing, and not for another
    /// reason.
    #[test]
    fn a_result_that_says_that_the_cluster_is_changing_repeats_the_request() {
        let results = |code| vec![Ok("a"), Err(("b", code))];
        let judged = |code| unless_changing(results(code), |(_, code)| *code);
        assert!(judged(Code::TopicAlreadyExists).is_ok_and(|same| same == results(Code::TopicAlreadyExists)));
        for code in [Code::NotController, Code::NotCoordinator, Code::CoordinatorLoadInProgress] {
            assert!(judged(code).is_err_and(|error| errors::is_temporary(&error)), "{code}");
        }
    }
}
