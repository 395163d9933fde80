//! The status topic, where every process of the service sees which queries fail, why, and when they are retried.
//!
//! A process writes one record for each of its queries that fails, repeats it every [`REFRESH_MS`] while the query fails,
//! and writes a tombstone once it no longer does. A key is a query and a process, and the topic is compacted. The record
//! of a process that was killed grows stale and is then ignored. The first failure creates the topic. What cannot be
//! written is retried later; nothing depends on it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, BinaryArray};
use headwater_connectors::transport::{
    Isolation, NewTopic, ReadPlan, ReadRange, SourceEvent, TopicIds, Transport, TransportError, TransportErrorKind,
};
use headwater_formats::record::{OutBatch, RawBatch, TopicPartition, Wanted};
use serde::{Deserialize, Serialize};

use super::query_status::{State, StatusSnapshot};
use super::writer::Writer;
use super::{OWN_TOPICS, topics};

/// How often a record is written again while its query fails, in ms.
const REFRESH_MS: i64 = 30_000;
/// Age in ms after which a record is stale: its process has gone.
const BELIEVED_MS: i64 = 3 * REFRESH_MS;
/// How long a write or one wait for records may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most records to take at once.
const BATCH_RECORDS_MAX: usize = 1_000;

/// What a process reports about one of its queries that fails or has lost records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// Id of the query.
    pub query: String,
    /// The process, by host and process id.
    pub process: String,
    /// Why, with code and hint.
    pub reason: String,
    /// Attempts that failed since its last commit.
    pub attempts: u64,
    /// When it will be retried, in ms since the epoch; `None` if it has stopped for good.
    pub next_try_ms: Option<i64>,
    /// How often it had been resumed. A report from before the latest RESUME is out of date.
    #[serde(default)]
    pub resumed: u64,
    /// Offsets that were deleted before this process read them.
    #[serde(default)]
    pub lost: u64,
    /// When this was written, in ms since the epoch.
    written_ms: i64,
}

/// The reports of this process, as the topic shows them.
pub struct Board {
    transport: Arc<dyn Transport>,
    topic: Arc<str>,
    process: String,
    /// Unique id, which distinguishes this process from an earlier one with the same process id.
    id: String,
    /// Kept only while something fails, when more will have to be written.
    writer: Option<Writer>,
    shown: BTreeMap<String, Failing>,
}

/// The topic of a service id.
pub fn status_topic(service_id: &str) -> String {
    format!("{OWN_TOPICS}{service_id}_status")
}

impl Failing {
    /// The report for a status; `None` if there is nothing to report.
    fn of(query: &str, process: &str, status: &StatusSnapshot, now_ms: i64) -> Option<Self> {
        let (reason, next_try_ms) = match &status.state {
            State::Retrying(error, at_ms) => (error.to_string(), Some(*at_ms)),
            State::Failed(error) => (error.to_string(), None),
            State::Starting | State::Restoring | State::Running if status.lost > 0 => (String::new(), None),
            State::Starting | State::Restoring | State::Running | State::Ended => return None,
        };
        Some(Self {
            query: query.to_owned(),
            process: process.to_owned(),
            attempts: if reason.is_empty() { 0 } else { status.attempts },
            reason,
            next_try_ms,
            resumed: status.resumed,
            lost: status.lost,
            written_ms: now_ms,
        })
    }

    /// False when the query does not fail, but has lost records.
    pub fn fails(&self) -> bool {
        !self.reason.is_empty()
    }

    /// True when a later report says the same and need not be written.
    fn says(&self, later: &Self) -> bool {
        let same = Self { written_ms: self.written_ms, ..later.clone() } == *self;
        same && later.written_ms - self.written_ms < REFRESH_MS
    }
}

impl Board {
    /// The board of this process for a service id. Writes nothing yet.
    pub fn new(transport: Arc<dyn Transport>, service_id: &str) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = if host.trim().is_empty() { "localhost" } else { host.trim() };
        Self {
            transport,
            topic: status_topic(service_id).into(),
            process: format!("{host}:{}", std::process::id()),
            id: uuid::Uuid::new_v4().to_string(),
            writer: None,
            shown: BTreeMap::new(),
        }
    }

    /// Writes what has changed for these queries and removes what is no longer true. Waits a few seconds at most. What
    /// could not be written is written by a later call.
    pub fn show(&mut self, queries: &BTreeMap<String, StatusSnapshot>, now_ms: i64) {
        let failing: BTreeMap<String, Failing> = queries
            .iter()
            .filter_map(|(id, status)| match (&status.state, self.shown.get(id)) {
                // It is being retried: whether it still fails is not known yet.
                (State::Starting, Some(shown)) if shown.fails() => Some((id.clone(), shown.clone())),
                _ => Some((id.clone(), Failing::of(id, &self.process, status, now_ms)?)),
            })
            .collect();
        let is_new = |id: &String, now: &Failing| self.shown.get(id).is_none_or(|shown| !shown.says(now));
        let mut changes: Vec<(String, Option<Failing>)> = failing
            .iter()
            .filter(|(id, now)| is_new(id, now))
            .map(|(id, now)| (id.clone(), Some(now.clone())))
            .collect();
        changes.extend(self.shown.keys().filter(|id| !failing.contains_key(*id)).map(|id| (id.clone(), None)));
        if changes.is_empty() {
            return;
        }
        match self.write(&changes) {
            Ok(()) => changes.into_iter().for_each(|(id, now)| match now {
                Some(now) => drop(self.shown.insert(id, now)),
                None => drop(self.shown.remove(&id)),
            }),
            Err(error) => tracing::debug!(topic = %self.topic, %error, "could not write the status of queries"),
        }
    }

    fn write(&mut self, changes: &[(String, Option<Failing>)]) -> Result<(), TransportError> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => {
                topics::make_if_missing(self.transport.admin(), &self.new_topic())?;
                Writer::new(self.transport.clone())
            }
        };
        let keys: Vec<String> = changes.iter().map(|(id, _)| format!("{id} {}", self.id)).collect();
        let values: Vec<Option<Vec<u8>>> =
            changes.iter().map(|(_, failing)| failing.as_ref().and_then(|f| serde_json::to_vec(f).ok())).collect();
        let batch = OutBatch {
            topic: self.topic.clone(),
            partitions: Some(vec![0; keys.len()].into()),
            keys: keys.iter().map(|key| Some(key.as_bytes())).collect(),
            values: values.iter().map(Option::as_deref).collect(),
            timestamps_ms: None,
            headers: None,
        };
        writer.write(&batch, PATIENCE)?;
        self.writer = changes.iter().any(|(_, failing)| failing.is_some()).then_some(writer);
        Ok(())
    }

    fn new_topic(&self) -> NewTopic {
        let settings = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
        NewTopic { name: self.topic.to_string(), partitions: 1, replicas: None, settings }
    }
}

/// The current reports of all processes of a service id, by query; empty if the topic does not exist. Blocks.
pub fn failing(
    transport: &dyn Transport,
    service_id: &str,
    now_ms: i64,
) -> Result<BTreeMap<String, Vec<Failing>>, TransportError> {
    let topic: Arc<str> = status_topic(service_id).into();
    let marks = match transport.admin().watermarks(&topic, Isolation::ReadCommitted) {
        Ok(marks) => marks,
        Err(error) if error.kind == TransportErrorKind::UnknownTopic => return Ok(BTreeMap::new()),
        Err(error) => return Err(error),
    };
    let ranges: Vec<ReadRange> = (0..)
        .zip(&marks)
        .filter(|(_, marks)| marks.start < marks.end)
        .map(|(partition, marks)| ReadRange {
            partition: TopicPartition::new(topic.clone(), partition),
            start: marks.start,
            end: Some(marks.end),
        })
        .collect();
    let mut newest: BTreeMap<Vec<u8>, Option<Failing>> = BTreeMap::new();
    read(transport, ranges, &mut |batch| keep_newest(batch, &mut newest))?;
    let mut found: BTreeMap<String, Vec<Failing>> = BTreeMap::new();
    for failing in newest.into_values().flatten().filter(|failing| now_ms - failing.written_ms < BELIEVED_MS) {
        found.entry(failing.query.clone()).or_default().push(failing);
    }
    Ok(found)
}

fn read(
    transport: &dyn Transport,
    ranges: Vec<ReadRange>,
    take: &mut dyn FnMut(&RawBatch),
) -> Result<(), TransportError> {
    let mut open = ranges.len();
    let wanted = Wanted { keys: true, values: true, headers: false };
    let plan = ReadPlan {
        ranges,
        wanted,
        isolation: Isolation::ReadCommitted,
        batch_records_max: BATCH_RECORDS_MAX,
        ids: TopicIds::new(),
    };
    let sources = if open == 0 { Vec::new() } else { transport.open_sources(vec![plan])? };
    for mut source in sources {
        while open > 0 {
            match source.poll(PATIENCE)? {
                SourceEvent::Batch(batch) => take(&batch),
                SourceEvent::Finished(_) => open -= 1,
                SourceEvent::Passed(..) => {}
                // The answer does not wait for what is late.
                SourceEvent::Lost(_) | SourceEvent::Idle => return Ok(()),
            }
        }
    }
    Ok(())
}

fn keep_newest(batch: &RawBatch, newest: &mut BTreeMap<Vec<u8>, Option<Failing>>) {
    let (Some(keys), Some(values)) = (&batch.keys, &batch.values) else { return };
    let value = |column: &BinaryArray, row: usize| column.is_valid(row).then(|| column.value(row).to_vec());
    for row in 0..batch.len() {
        let Some(key) = value(keys, row) else { continue };
        newest.insert(key, value(values, row).and_then(|value| serde_json::from_slice(&value).ok()));
    }
}

#[cfg(test)]
mod tests {
    use headwater_connectors::transport::memory::MemoryTransport;

    use super::*;
    use crate::runtime::query_status::QueryStatus;
    use headwater_language::diagnostic::{Diagnostic, TRANSPORT};

    fn status(state: State) -> BTreeMap<String, StatusSnapshot> {
        let status = QueryStatus::default();
        status.set_state(state);
        BTreeMap::from([("Q".to_owned(), status.snapshot())])
    }

    #[test]
    fn a_failure_is_seen_by_others_until_it_is_over_or_its_process_is_gone() {
        let cluster = MemoryTransport::new();
        let seen = |now_ms| failing(&cluster, "s", now_ms).expect("an answer");
        let mut board = Board::new(Arc::new(cluster.clone()), "s");
        board.show(&status(State::Running), 0);
        assert!(cluster.admin().topics().expect("an answer").is_empty(), "the first failure creates the topic");
        let error = || Diagnostic::new(TRANSPORT, "not authorized to write to topic \"T\"");
        board.show(&status(State::Retrying(error(), 5_000)), 1_000);
        board.show(&status(State::Retrying(error(), 5_000)), 2_000);
        let found = seen(2_000).remove("Q").expect("it fails");
        assert_eq!((found.len(), found[0].attempts, found[0].next_try_ms), (1, 1, Some(5_000)));
        assert!(found[0].reason.contains("not authorized"));
        assert!(seen(1_000 + BELIEVED_MS).is_empty(), "the record is stale");
        board.show(&status(State::Failed(error())), 40_000);
        assert_eq!(seen(41_000)["Q"][0].next_try_ms, None);
        board.show(&status(State::Running), 50_000);
        assert!(seen(50_000).is_empty());
    }

    #[test]
    fn offsets_that_are_lost_are_seen_by_others_and_are_no_failure() {
        let cluster = MemoryTransport::new();
        let mut board = Board::new(Arc::new(cluster.clone()), "s");
        let query = QueryStatus::default();
        query.set_state(State::Running);
        query.set_lost(60);
        board.show(&BTreeMap::from([("Q".to_owned(), query.snapshot())]), 1_000);
        let found = failing(&cluster, "s", 2_000).expect("an answer").remove("Q").expect("it is shown");
        assert!(found.len() == 1 && found[0].lost == 60 && !found[0].fails());
    }
}
