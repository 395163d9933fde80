//! The command topic: the one place where definitions live.
//!
//! A statement that changes the catalog is appended as a [`Command`]; from then on it is true, and
//! every process of the service id comes to the same catalog by reading the topic from its start.
//! Two processes may append at once: the topic's order decides, and a change that is no longer
//! possible when its turn comes changes nothing, for everybody alike. The one who appended it waits
//! for its turn and tells the user.
//!
//! The topic is made with the first command. Looking never makes it, so a shell that only reads
//! leaves no trace in a cluster.
//!
//! Each look compares the topic with what was read of it: its start, its end, and the last record that was read, which
//! is read again with what is new. What does not fit is a [`Fault`]: from then on nothing more is applied. So all
//! processes have the catalog of all commands, or say that they have not.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, BinaryArray};
use headwater_connectors::transport::{
    Isolation, NewTopic, ReadPlan, ReadRange, Source, SourceEvent, TopicIds, Transport, TransportError,
    TransportErrorKind, Watermarks,
};
use headwater_formats::record::{OutBatch, RawBatch, TopicPartition, Wanted};

use super::command::{Command, Found};
use super::command_fault::Fault;
use super::topics;
use super::writer::Writer;
use crate::catalog::{Catalog, CatalogChange, OWN_TOPICS, Refusal};
use crate::diagnostic::Diagnostic;

/// Commands taken from the topic at once.
const BATCH_RECORDS_MAX: usize = 1_000;
/// How long one poll of the topic waits.
const POLL: Duration = Duration::from_millis(50);
/// How long to wait for the next command of the topic, or for one to be written.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the settings of the topic are looked at while nothing is written.
const SETTINGS_EVERY: Duration = Duration::from_secs(60);

/// Reads and writes the command topic of one service id. Blocks; used behind a lock.
pub struct CommandLog {
    transport: Arc<dyn Transport>,
    writer: Arc<Writer>,
    topic: Arc<str>,
    /// Next offset to apply.
    next: i64,
    /// The last record that was read: it must be there when the topic is read on.
    last: Option<Landmark>,
    catalog: Arc<Catalog>,
    fault: Option<Fault>,
    settings: SettingsWatch,
    /// The command that this process waits for, and what became of it.
    awaited: Option<(String, Option<Result<(), Refusal>>)>,
}

/// What is known of the catalog.
#[derive(Clone, Debug)]
pub struct Followed {
    /// The catalog after every command that was applied.
    pub catalog: Arc<Catalog>,
    /// Why that may not be all, or not be true any more, ready to be told.
    pub fault: Option<Box<Diagnostic>>,
    /// The catalog lacks definitions that were never read.
    pub is_partial: bool,
}

/// Why a command was not appended, or did not come back.
#[derive(Debug)]
pub enum AppendError {
    /// The cluster failed.
    Cluster(TransportError),
    /// The change was not possible any more when its turn came.
    Refused(Refusal),
    /// The topic cannot be followed.
    Fault(Box<Diagnostic>),
}

/// A record by its place and what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Landmark {
    offset: i64,
    digest: u64,
}

/// When the settings were last looked at, and the one that is wrong.
#[derive(Default)]
struct SettingsWatch {
    looked_at: Option<Instant>,
    wrong: Option<String>,
}

impl CommandLog {
    /// The log of a service id; nothing is read yet.
    pub fn new(transport: Arc<dyn Transport>, writer: Arc<Writer>, service_id: &str) -> Self {
        Self {
            transport,
            writer,
            topic: Arc::from(format!("{OWN_TOPICS}{service_id}_command_topic")),
            next: 0,
            last: None,
            catalog: Arc::default(),
            fault: None,
            settings: SettingsWatch::default(),
            awaited: None,
        }
    }

    /// The catalog after every command that is in the topic now, or as it was when the topic could last be followed.
    /// Fails as the cluster fails.
    pub fn catch_up(&mut self) -> Result<Followed, TransportError> {
        if !self.fault.as_ref().is_some_and(Fault::is_final) {
            let fault = self.look()?;
            self.note(fault);
        }
        Ok(Followed {
            catalog: self.catalog.clone(),
            fault: self.fault.as_ref().map(|fault| Box::new(fault.diagnostic(&self.topic))),
            is_partial: self.fault.as_ref().is_some_and(Fault::hides_definitions),
        })
    }

    /// Appends a change and waits until its turn came. Gives the catalog with it.
    pub fn append(&mut self, statement: &str, change: CatalogChange) -> Result<Arc<Catalog>, AppendError> {
        if let Some(fault) = self.catch_up()?.fault {
            return Err(AppendError::Fault(fault));
        }
        self.ensure_topic()?;
        self.watch_settings(Duration::ZERO);
        let command = Command::new(statement, change);
        self.awaited = Some((command.id.clone(), None));
        let written = self.write(&command).map_err(AppendError::from);
        let catalog = written.and_then(|()| self.await_turn());
        self.awaited = None;
        catalog
    }

    fn await_turn(&mut self) -> Result<Arc<Catalog>, AppendError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let followed = self.catch_up()?;
            match self.awaited.as_mut().and_then(|(_, outcome)| outcome.take()) {
                Some(Ok(())) => return Ok(followed.catalog),
                Some(Err(refusal)) => return Err(AppendError::Refused(refusal)),
                None => {}
            }
            if let Some(fault) = followed.fault {
                return Err(AppendError::Fault(fault));
            }
            // A transaction that someone else left open in the topic hides what was written after it began.
            if Instant::now() > deadline {
                let fact = "the command was written but did not come back from the command topic";
                let cause = "; is a transaction open in it?";
                return Err(TransportError::other(format!(
                    "{fact} \"{}\" within {} s{cause}",
                    self.topic,
                    PATIENCE.as_secs()
                ))
                .into());
            }
            std::thread::sleep(POLL);
        }
    }

    /// Compares the topic with what was read of it, and reads what is new.
    fn look(&mut self) -> Result<Option<Fault>, TransportError> {
        let Some(Watermarks { start, end }) = self.marks()? else {
            return Ok((self.next > 0).then_some(Fault::Missing));
        };
        if end < self.next {
            return Ok(Some(Fault::Shrunk));
        }
        if start > 0 {
            return Ok(Some(Fault::Truncated { start, known: self.next >= start }));
        }
        // After a fault the topic may be another one that has grown as long.
        let doubtful = self.fault.is_some() && self.last.is_some();
        if (end > self.next || doubtful)
            && let Some(fault) = self.read_to(end)?
        {
            return Ok(Some(fault));
        }
        self.watch_settings(SETTINGS_EVERY);
        Ok(None)
    }

    /// Both ends of the topic; none when there is no topic.
    fn marks(&self) -> Result<Option<Watermarks>, TransportError> {
        match self.transport.admin().watermarks(&self.topic, Isolation::ReadCommitted) {
            Ok(marks) => Ok(marks.first().copied()),
            Err(error) if error.kind == TransportErrorKind::UnknownTopic => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads from the last record that is known up to `end`, where there may be no more records but markers.
    fn read_to(&mut self, end: i64) -> Result<Option<Fault>, TransportError> {
        let mut landmark = self.last;
        let mut source = self.open_source(landmark.map_or(self.next, |last| last.offset), end)?;
        let mut deadline = Instant::now() + PATIENCE;
        loop {
            match source.poll(POLL)? {
                SourceEvent::Batch(batch) => {
                    if let Some(fault) = self.take(&batch, &mut landmark) {
                        return Ok(Some(fault));
                    }
                    deadline = Instant::now() + PATIENCE;
                }
                SourceEvent::Finished(_) if landmark.is_some() => return Ok(Some(Fault::Recreated)),
                SourceEvent::Finished(_) => break,
                // Deleted while it was read: what is left is found by the next look.
                SourceEvent::Lost(_) => return Ok(Some(Fault::Recreated)),
                SourceEvent::Passed(..) => {}
                SourceEvent::Idle if Instant::now() > deadline => return Err(self.too_slow()),
                SourceEvent::Idle => {}
            }
        }
        self.next = end;
        Ok(None)
    }

    fn open_source(&self, start: i64, end: i64) -> Result<Box<dyn Source>, TransportError> {
        let partition = TopicPartition::new(self.topic.clone(), 0);
        let plan = ReadPlan {
            ranges: vec![ReadRange { partition, start, end: Some(end) }],
            wanted: Wanted { keys: false, values: true, headers: false },
            isolation: Isolation::ReadCommitted,
            batch_records_max: BATCH_RECORDS_MAX,
            ids: TopicIds::new(),
        };
        self.transport
            .open_sources(vec![plan])?
            .pop()
            .ok_or_else(|| TransportError::internal("the transport opened no source"))
    }

    /// Applies records in order. The first of a read is the landmark, if there is one.
    fn take(&mut self, batch: &RawBatch, landmark: &mut Option<Landmark>) -> Option<Fault> {
        for (row, offset) in batch.offsets.iter().enumerate() {
            let value = batch.values.as_ref().filter(|values| values.is_valid(row)).map(|values| values.value(row));
            let here = Landmark::new(*offset, value);
            if let Some(expected) = landmark.take() {
                if expected != here {
                    return Some(Fault::Recreated);
                }
                continue;
            }
            if let Some(fault) = self.apply(value, *offset) {
                return Some(fault);
            }
            (self.next, self.last) = (offset + 1, Some(here));
        }
        None
    }

    fn apply(&mut self, value: Option<&[u8]>, offset: i64) -> Option<Fault> {
        let command = match Command::find(value) {
            Found::Command(command) => command,
            Found::Newer(why) => return Some(Fault::Newer { offset, why }),
            Found::Foreign(why) => {
                tracing::warn!(topic = %self.topic, offset, why, "record of the command topic is not a command");
                return None;
            }
        };
        let outcome = self.catalog.apply(&command.change).map(|next| self.catalog = Arc::new(next));
        if let Err(refusal) = &outcome {
            tracing::debug!(topic = %self.topic, offset, %refusal, "command changes nothing");
        }
        if let Some((_, awaited)) = self.awaited.as_mut().filter(|(id, _)| *id == command.id) {
            *awaited = Some(outcome);
        }
        None
    }

    /// Says once that the topic cannot be followed, and once that it can again.
    fn note(&mut self, fault: Option<Fault>) {
        let kind = |fault: &Option<Fault>| fault.as_ref().map(std::mem::discriminant);
        if kind(&self.fault) == kind(&fault) {
            self.fault = fault;
            return;
        }
        match &fault {
            Some(fault) => {
                let Diagnostic { message, detail, hint, .. } = fault.diagnostic(&self.topic);
                let (detail, hint) = (detail.unwrap_or_default(), hint.unwrap_or_default());
                tracing::error!(topic = %self.topic, detail, hint, "{message}");
            }
            None => tracing::warn!(topic = %self.topic, "command topic is as it was; it is followed again"),
        }
        self.fault = fault;
    }

    fn write(&self, command: &Command) -> Result<(), TransportError> {
        let value = serde_json::to_vec(command)
            .map_err(|e| TransportError::other(format!("cannot write the command as JSON: {e}")))?;
        let batch = OutBatch {
            topic: self.topic.clone(),
            partitions: Some(vec![0].into()),
            keys: BinaryArray::from_opt_vec(vec![Some(command.id.as_bytes())]),
            values: BinaryArray::from_opt_vec(vec![Some(&value)]),
            timestamps_ms: None,
            headers: None,
        };
        self.writer.write(&batch, PATIENCE)
    }

    /// A topic of which something was read is never made again: its definitions would be gone for good.
    fn ensure_topic(&self) -> Result<(), TransportError> {
        if self.next > 0 {
            return Ok(());
        }
        let settings = [("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")];
        let settings = settings.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let topic = NewTopic { name: self.topic.to_string(), partitions: 1, replicas: None, settings };
        topics::make_if_missing(self.transport.admin(), &topic)
    }

    /// Says once when the cluster is set to delete commands. Who may not see the settings is not told of them.
    fn watch_settings(&mut self, every: Duration) {
        if self.settings.looked_at.is_some_and(|at| at.elapsed() < every) {
            return;
        }
        self.settings.looked_at = Some(Instant::now());
        let Ok(settings) = self.transport.admin().topic_settings(&self.topic) else { return };
        let wrong = deleting(&settings);
        if let Some(setting) = wrong.as_ref().filter(|_| self.settings.wrong != wrong) {
            let hint = "set retention.ms and retention.bytes of the topic to -1";
            tracing::error!(topic = %self.topic, setting, hint, "the cluster will delete definitions from the command topic");
        }
        self.settings.wrong = wrong;
    }

    fn too_slow(&self) -> TransportError {
        let patience = PATIENCE.as_secs();
        let message =
            format!("could not read the command topic \"{}\" to its end: nothing came for {patience} s", self.topic);
        TransportError::timeout(message)
    }
}

impl Landmark {
    fn new(offset: i64, value: Option<&[u8]>) -> Self {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        Self { offset, digest: hasher.finish() }
    }
}

impl From<TransportError> for AppendError {
    fn from(error: TransportError) -> Self {
        Self::Cluster(error)
    }
}

/// The setting by which the cluster deletes old commands; none where it keeps them for ever.
fn deleting(settings: &BTreeMap<String, String>) -> Option<String> {
    let policy = settings.get("cleanup.policy").map_or("delete", String::as_str);
    if !policy.split(',').any(|policy| policy.trim() == "delete") {
        return None;
    }
    let limited = |name: &&str| settings.get(*name).and_then(|v| v.parse::<i64>().ok()).is_some_and(|v| v >= 0);
    ["retention.ms", "retention.bytes"].into_iter().find(limited).map(|name| format!("{name}={}", settings[name]))
}

#[cfg(test)]
mod tests;
