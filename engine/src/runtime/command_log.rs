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

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, BinaryArray};
use headwater_connectors::record::{OutBatch, RawBatch, TopicPartition, Wanted};
use headwater_connectors::transport::{
    Isolation, NewTopic, ReadPlan, ReadRange, Source, SourceEvent, Transport, TransportError, TransportErrorKind,
};
use serde::{Deserialize, Serialize};

use super::topics;
use super::writer::Writer;
use crate::catalog::{Catalog, CatalogChange, Refusal};

/// How the names of Headwater's own topics begin.
pub const OWN_TOPICS: &str = "_headwater-";
/// Version of the records in the topic.
const VERSION: u32 = 1;
/// Commands taken from the topic at once.
const BATCH_RECORDS_MAX: usize = 1_000;
/// How long one poll of the topic waits.
const POLL: Duration = Duration::from_millis(50);
/// How long to wait for the topic to be read to its end, or for a command to be written.
const PATIENCE: Duration = Duration::from_secs(30);

/// One record of the command topic, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Version of this shape.
    version: u32,
    /// Tells one append from another.
    id: String,
    /// What the user said.
    statement: String,
    /// What it changes.
    change: CatalogChange,
}

/// Reads and writes the command topic of one service id. Blocks; used behind a lock.
pub struct CommandLog {
    transport: Arc<dyn Transport>,
    writer: Arc<Writer>,
    topic: Arc<str>,
    source: Option<Box<dyn Source>>,
    /// Next offset to apply.
    next: i64,
    catalog: Arc<Catalog>,
    /// The command that this process waits for, and what became of it.
    awaited: Option<(String, Option<Result<(), Refusal>>)>,
}

impl CommandLog {
    /// The log of a service id; nothing is read yet.
    pub fn new(transport: Arc<dyn Transport>, writer: Arc<Writer>, service_id: &str) -> Self {
        let topic = Arc::from(format!("{OWN_TOPICS}{service_id}_command_topic"));
        Self { transport, writer, topic, source: None, next: 0, catalog: Arc::default(), awaited: None }
    }

    /// The catalog after every command that is in the topic now. Fails as the cluster fails.
    pub fn catch_up(&mut self) -> Result<Arc<Catalog>, TransportError> {
        let end = self.end()?;
        if end < self.next {
            // The topic was deleted, or deleted and made again: what it said is no longer true.
            self.forget();
        }
        let deadline = Instant::now() + PATIENCE;
        while self.next < end {
            if Instant::now() > deadline {
                return Err(self.too_slow());
            }
            match self.poll() {
                Ok(Some(batch)) => self.apply(&batch),
                Ok(None) => {}
                Err(error) => {
                    self.source = None;
                    return Err(error);
                }
            }
        }
        Ok(self.catalog.clone())
    }

    /// Appends a change and waits until its turn came. The inner result says whether it was still
    /// possible then; the outer one fails as the cluster fails.
    pub fn append(
        &mut self,
        statement: &str,
        change: CatalogChange,
    ) -> Result<Result<Arc<Catalog>, Refusal>, TransportError> {
        self.ensure_topic()?;
        let id = uuid::Uuid::new_v4().to_string();
        let command = Command { version: VERSION, id: id.clone(), statement: statement.to_owned(), change };
        self.awaited = Some((id, None));
        self.write(&command)?;
        let catalog = self.catch_up()?;
        match self.awaited.take().and_then(|(_, outcome)| outcome) {
            Some(outcome) => Ok(outcome.map(|()| catalog)),
            None => Err(other("the command was written but did not come back from the command topic")),
        }
    }

    /// One past the last command; 0 when there is no topic.
    fn end(&self) -> Result<i64, TransportError> {
        match self.transport.admin().watermarks(&self.topic, Isolation::ReadCommitted) {
            Ok(marks) => Ok(marks.first().map_or(0, |w| w.end)),
            Err(error) if error.kind == TransportErrorKind::UnknownTopic => Ok(0),
            Err(error) => Err(error),
        }
    }

    fn forget(&mut self) {
        self.source = None;
        self.next = 0;
        self.catalog = Arc::default();
    }

    fn poll(&mut self) -> Result<Option<RawBatch>, TransportError> {
        Ok(match self.open_source()?.poll(POLL)? {
            SourceEvent::Batch(batch) => Some(batch),
            SourceEvent::Idle | SourceEvent::Finished(_) => None,
        })
    }

    fn write(&self, command: &Command) -> Result<(), TransportError> {
        let value =
            serde_json::to_vec(command).map_err(|e| other(&format!("cannot write the command as JSON: {e}")))?;
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

    fn ensure_topic(&self) -> Result<(), TransportError> {
        let settings = [("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")];
        let settings = settings.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let topic = NewTopic { name: self.topic.to_string(), partitions: 1, replicas: None, settings };
        topics::make_if_missing(self.transport.admin(), &topic)
    }

    fn open_source(&mut self) -> Result<&mut Box<dyn Source>, TransportError> {
        if self.source.is_none() {
            let range =
                ReadRange { partition: TopicPartition::new(self.topic.clone(), 0), start: self.next, end: None };
            let wanted = Wanted { keys: false, values: true, headers: false };
            let plan = ReadPlan {
                ranges: vec![range],
                wanted,
                isolation: Isolation::ReadCommitted,
                batch_records_max: BATCH_RECORDS_MAX,
            };
            self.source = self.transport.open_sources(vec![plan])?.pop();
        }
        self.source.as_mut().ok_or_else(|| other("the transport opened no source"))
    }

    fn apply(&mut self, batch: &RawBatch) {
        let Some(values) = &batch.values else { return };
        let next = self.next;
        for row in (0..values.len()).filter(|row| batch.offsets[*row] >= next) {
            self.apply_one(values.is_valid(row).then(|| values.value(row)), batch.offsets[row]);
        }
        self.next = batch.offsets.last().map_or(self.next, |last| last + 1);
    }

    fn apply_one(&mut self, value: Option<&[u8]>, offset: i64) {
        let command: Command = match value.map(serde_json::from_slice) {
            Some(Ok(command)) => command,
            Some(Err(error)) => {
                tracing::warn!(topic = %self.topic, offset, %error, "command not understood; a newer version may have written it");
                return;
            }
            None => return,
        };
        let outcome = self.catalog.apply(&command.change).map(|next| self.catalog = Arc::new(next));
        if let Err(refusal) = &outcome {
            tracing::debug!(topic = %self.topic, offset, %refusal, "command changes nothing");
        }
        if let Some((_, awaited)) = self.awaited.as_mut().filter(|(id, _)| *id == command.id) {
            *awaited = Some(outcome);
        }
    }

    fn too_slow(&self) -> TransportError {
        let patience = PATIENCE.as_secs();
        let message = format!("could not read the command topic \"{}\" to its end within {patience} s", self.topic);
        TransportError { kind: TransportErrorKind::Timeout, message, setting: None }
    }
}

fn other(message: &str) -> TransportError {
    TransportError { kind: TransportErrorKind::Other, message: message.to_owned(), setting: None }
}
