//! The command topic: the only place where definitions are stored.
//!
//! A statement that changes the catalog is appended as a [`Command`] and is in effect from then on. Every process of
//! the service id arrives at the same catalog by reading the topic from its start. Two processes may append at once:
//! the topic's order decides, and a change that is no longer possible when its turn comes has no effect in any process.
//! The process that appended it waits for its turn and reports the outcome to the user.
//!
//! The first command creates the topic. Reading never does, so a shell that only reads leaves no trace in a cluster.
//!
//! One reader applies the commands and publishes the catalog. Everyone else uses the published catalog and waits for the
//! reader only when the topic has more than was read. So a command that is being written blocks nobody.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::BinaryArray;
use headwater_connectors::transport::{Isolation, NewTopic, Transport, TransportError, TransportErrorKind, Watermarks};
use headwater_formats::record::OutBatch;
use headwater_language::catalog::{Catalog, CatalogChange, OWN_TOPICS, Refusal};
use headwater_language::diagnostic::Diagnostic;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::belongings::Belongings;
use super::command::Command;
use super::command_reader::CommandReader;
use super::shared_question::SharedQuestion;
use super::writer::Writer;
use super::{blocking, refused, topics};

/// How long to wait before looking for a command again.
const POLL: Duration = Duration::from_millis(50);
/// How long to wait for a command to be written, or to come back.
const PATIENCE: Duration = Duration::from_secs(30);

/// The command topic of one service id, for everything in this process that reads or writes it.
pub struct CommandLog {
    transport: Arc<dyn Transport>,
    writer: Arc<Writer>,
    topic: Arc<str>,
    /// Locked only while the topic is read, never while a command is written.
    reader: Mutex<CommandReader>,
    /// What the reader published last.
    known: watch::Sender<Known>,
    /// Where the topic ends, for everyone who asks at the same time.
    end: SharedQuestion<Result<Option<Watermarks>, Vec<Diagnostic>>>,
}

/// The catalog as far as it is known.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The catalog after all commands that were applied.
    pub catalog: Arc<Catalog>,
    /// The error that explains why the catalog may be incomplete or out of date.
    pub fault: Option<Box<Diagnostic>>,
    /// The catalog lacks definitions that this process never read.
    pub is_partial: bool,
    /// The offset up to which the topic was read; `None` if it was never read.
    pub read_to: Option<i64>,
    /// When the reader began to look where the topic ended, before it read that far.
    pub looked_at: Option<Instant>,
}

/// Why a command was not appended, or did not come back.
#[derive(Debug)]
pub enum AppendError {
    /// The cluster failed.
    Cluster(TransportError),
    /// The change was no longer possible when its turn came.
    Refused(Refusal),
    /// The topic can no longer be followed.
    Fault(Box<Diagnostic>),
}

impl CommandLog {
    /// The log of a service id. Reads nothing yet.
    pub fn new(transport: Arc<dyn Transport>, writer: Arc<Writer>, service_id: &str) -> Self {
        let topic: Arc<str> = Arc::from(format!("{OWN_TOPICS}{service_id}_command_topic"));
        let reader = Mutex::new(CommandReader::new(transport.clone(), topic.clone(), service_id));
        Self { transport, writer, topic, reader, known: watch::Sender::default(), end: SharedQuestion::new() }
    }

    /// What was published last, without asking the cluster.
    pub fn known(&self) -> Known {
        self.known.borrow().clone()
    }

    /// What was published last, if it had all commands that were in the topic at most this long ago.
    pub fn recent(&self, age_max: Duration) -> Option<Known> {
        let known = self.known();
        let is_recent = known.looked_at.is_some_and(|looked_at| looked_at.elapsed() <= age_max);
        (known.fault.is_none() && is_recent).then_some(known)
    }

    /// Reads the topic to its end and publishes the result. Blocks. Fails if the cluster fails.
    pub fn catch_up(&self) -> Result<Known, TransportError> {
        let mut reader = self.reader.lock();
        let known = reader.catch_up()?;
        self.known.send_replace(known.clone());
        Ok(known)
    }

    /// Takes what belonged to queries that have ended, according to the commands that were read since the last call.
    pub(super) fn take_ended(&self) -> Vec<Belongings> {
        self.reader.lock().take_ended()
    }

    /// The catalog after every command that is in the topic now, from any process. Asks the cluster where the topic ends.
    /// If all of it has been read, that is the whole cost; otherwise waits for the first reader to publish the rest.
    pub async fn fresh(self: &Arc<Self>) -> Result<Known, Vec<Diagnostic>> {
        let (known, log) = (self.known(), self.clone());
        if known.read_to.is_none() {
            return blocking(move || log.catch_up()).await?.map_err(refused);
        }
        let look = async { blocking(move || marks(log.transport.as_ref(), &log.topic)).await?.map_err(refused) };
        let marks = self.end.ask(look).await?;
        if known.is_all_of(marks) {
            return Ok(known);
        }
        let (mut published, log) = (self.known.subscribe(), self.clone());
        let caught_up = blocking(move || log.catch_up());
        tokio::select! {
            biased;
            known = reaches(&mut published, marks) => Ok(known),
            caught_up = caught_up => caught_up?.map_err(refused),
        }
    }

    /// Appends a change, waits for its turn, and returns the catalog that includes it. Blocks. The caller must have caught
    /// up with the topic, since this does not check it again.
    pub fn append(&self, statement: &str, change: CatalogChange) -> Result<Arc<Catalog>, AppendError> {
        let known = self.known();
        if let Some(fault) = known.fault {
            return Err(AppendError::Fault(fault));
        }
        // A topic that had records is never created again: its definitions would be lost for good.
        if known.read_to.is_none_or(|offset| offset == 0) {
            self.make_topic()?;
        }
        let command = Command::new(statement, change);
        {
            let mut reader = self.reader.lock();
            reader.watch_settings(Duration::ZERO);
            reader.expect_command(&command.id);
        }
        let catalog = self.write(&command).map_err(AppendError::from).and_then(|()| self.await_turn(&command.id));
        self.reader.lock().forget_command(&command.id);
        catalog
    }

    fn await_turn(&self, id: &str) -> Result<Arc<Catalog>, AppendError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let known = self.catch_up()?;
            match self.reader.lock().outcome(id) {
                Some(Ok(())) => return Ok(known.catalog),
                Some(Err(refusal)) => return Err(AppendError::Refused(refusal)),
                None => {}
            }
            if let Some(fault) = known.fault {
                return Err(AppendError::Fault(fault));
            }
            // An open transaction of someone else hides everything that was written after it began.
            if Instant::now() > deadline {
                let fact = "the command was written but could not be read back from the command topic";
                let cause = "; another program may have left a transaction open in it";
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

    fn write(&self, command: &Command) -> Result<(), TransportError> {
        let value = serde_json::to_vec(command)
            .map_err(|e| TransportError::other(format!("could not write the command as JSON: {e}")))?;
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

    fn make_topic(&self) -> Result<(), TransportError> {
        let settings = [("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")];
        let settings = settings.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let topic = NewTopic { name: self.topic.to_string(), partitions: 1, replicas: None, settings };
        topics::make_if_missing(self.transport.admin(), &topic)
    }
}

impl Known {
    /// The catalog as far as it is known, for reading. Fails when definitions are missing from it.
    pub fn readable(self) -> Result<Arc<Catalog>, Vec<Diagnostic>> {
        match self.fault {
            Some(fault) if self.is_partial => Err(vec![*fault]),
            _ => Ok(self.catalog),
        }
    }

    /// The catalog that every process of the service id has, on which changes may be based. Fails when that cannot be
    /// guaranteed.
    pub fn sure(self) -> Result<Arc<Catalog>, Vec<Diagnostic>> {
        self.fault.map_or(Ok(self.catalog), |fault| Err(vec![*fault]))
    }

    /// Whether everything in the topic, which has these ends, was read. If not, only the reader can find out why.
    fn is_all_of(&self, marks: Option<Watermarks>) -> bool {
        let end = match marks {
            Some(Watermarks { start: 0, end }) => end,
            Some(_) => return false,
            None => 0,
        };
        self.fault.is_none() && self.read_to == Some(end)
    }
}

/// Waits for a published catalog that has all commands up to the end of the topic, or the error that prevents it.
async fn reaches(published: &mut watch::Receiver<Known>, marks: Option<Watermarks>) -> Known {
    let end = marks.map_or(0, |marks| marks.end);
    loop {
        if published.changed().await.is_err() {
            // Unreachable: the caller holds the log, and with it the sender.
            std::future::pending::<()>().await;
        }
        let known = published.borrow_and_update();
        if known.fault.is_some() || known.read_to >= Some(end) {
            return known.clone();
        }
    }
}

/// Both ends of a command topic; `None` if the topic does not exist. Blocks.
pub(super) fn marks(transport: &dyn Transport, topic: &str) -> Result<Option<Watermarks>, TransportError> {
    match transport.admin().watermarks(topic, Isolation::ReadCommitted) {
        Ok(marks) => Ok(marks.first().copied()),
        Err(error) if error.kind == TransportErrorKind::UnknownTopic => Ok(None),
        Err(error) => Err(error),
    }
}

impl From<TransportError> for AppendError {
    fn from(error: TransportError) -> Self {
        Self::Cluster(error)
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod waiting_tests;
