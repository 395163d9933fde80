//! The only reader of the command topic in a process: it applies the commands in order.
//!
//! Each look compares the topic with what was read from it: its start, its end, and the last record, which is read again
//! together with the new ones. A mismatch is a [`Fault`], after which nothing more is applied. So each process either has
//! the catalog of all commands or reports that it does not.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::Array;
use headwater_connectors::transport::{
    Isolation, ReadPlan, ReadRange, Source, SourceEvent, TopicIds, Transport, TransportError, Watermarks,
};
use headwater_formats::record::{RawBatch, TopicPartition, Wanted};
use headwater_language::catalog::{Catalog, Refusal};
use headwater_language::diagnostic::Diagnostic;

use super::belongings::Belongings;
use super::command::{Command, Found};
use super::command_fault::Fault;
use super::command_log::{Known, marks};

/// Most commands to take from the topic at once.
const BATCH_RECORDS_MAX: usize = 1_000;
/// How long one poll of the topic may wait.
const POLL: Duration = Duration::from_millis(50);
/// How long to wait for the next command of the topic.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the settings of the topic are checked while nothing is written.
const SETTINGS_EVERY: Duration = Duration::from_secs(60);

/// Reads the command topic of one service id. Blocks; used behind a lock.
pub(super) struct CommandReader {
    transport: Arc<dyn Transport>,
    topic: Arc<str>,
    service_id: String,
    /// The next offset to apply.
    next: i64,
    /// The last record that was read, which must still exist when reading continues.
    last: Option<Landmark>,
    catalog: Arc<Catalog>,
    /// What belonged to queries that have ended, since it was last taken.
    ended: Vec<Belongings>,
    fault: Option<Fault>,
    settings: SettingsWatch,
    /// The commands that this process waits for, by id, with their outcome.
    awaited: BTreeMap<String, Option<Result<(), Refusal>>>,
}

/// A record that was read: its offset and a hash of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Landmark {
    offset: i64,
    digest: u64,
}

/// When the settings were last checked, and the one that was wrong.
#[derive(Default)]
struct SettingsWatch {
    looked_at: Option<Instant>,
    wrong: Option<String>,
}

impl CommandReader {
    /// A new reader that has read nothing.
    pub(super) fn new(transport: Arc<dyn Transport>, topic: Arc<str>, service_id: &str) -> Self {
        Self {
            transport,
            topic,
            service_id: service_id.to_owned(),
            next: 0,
            last: None,
            catalog: Arc::default(),
            ended: Vec::new(),
            fault: None,
            settings: SettingsWatch::default(),
            awaited: BTreeMap::new(),
        }
    }

    /// The catalog after every command that is in the topic now, or when the topic could last be followed. Fails if the
    /// cluster fails.
    pub(super) fn catch_up(&mut self) -> Result<Known, TransportError> {
        let looked_at = Some(Instant::now());
        if !self.fault.as_ref().is_some_and(Fault::is_final) {
            let fault = self.look()?;
            self.note(fault);
        }
        Ok(Known {
            catalog: self.catalog.clone(),
            fault: self.fault.as_ref().map(|fault| Box::new(fault.diagnostic(&self.topic))),
            is_partial: self.fault.as_ref().is_some_and(Fault::hides_definitions),
            read_to: Some(self.next),
            looked_at,
        })
    }

    /// Takes what belonged to queries that have ended.
    pub(super) fn take_ended(&mut self) -> Vec<Belongings> {
        std::mem::take(&mut self.ended)
    }

    /// Starts to keep the outcome of the command with this id.
    pub(super) fn expect_command(&mut self, id: &str) {
        self.awaited.insert(id.to_owned(), None);
    }

    /// The outcome of an expected command; `None` before its turn.
    pub(super) fn outcome(&mut self, id: &str) -> Option<Result<(), Refusal>> {
        self.awaited.get_mut(id)?.take()
    }

    /// Stops expecting the command with this id.
    pub(super) fn forget_command(&mut self, id: &str) {
        self.awaited.remove(id);
    }

    /// Compares the topic with what was read from it, and reads the new commands.
    fn look(&mut self) -> Result<Option<Fault>, TransportError> {
        let Some(Watermarks { start, end }) = marks(self.transport.as_ref(), &self.topic)? else {
            return Ok((self.next > 0).then_some(Fault::Missing));
        };
        if end < self.next {
            return Ok(Some(Fault::Shrunk));
        }
        if start > 0 {
            return Ok(Some(Fault::Truncated { start, known: self.next >= start }));
        }
        // After a fault this may be a different topic that has grown to the same length.
        let doubtful = self.fault.is_some() && self.last.is_some();
        if (end > self.next || doubtful)
            && let Some(fault) = self.read_to(end)?
        {
            return Ok(Some(fault));
        }
        self.watch_settings(SETTINGS_EVERY);
        Ok(None)
    }

    /// Reads from the last known record up to `end`. The last offsets may hold transaction markers instead of records.
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
                // Deleted while it was being read: the next look finds out what is left.
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
            .ok_or_else(|| TransportError::other("the transport opened no source"))
    }

    /// Applies records in order. The first record must match the landmark, if there is one.
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
        let outcome = self.catalog.apply(&command.change).map(|next| {
            self.ended.extend(Belongings::ended(&self.catalog, &next, &self.service_id));
            self.catalog = Arc::new(next);
        });
        if let Err(refusal) = &outcome {
            tracing::debug!(topic = %self.topic, offset, %refusal, "command has no effect");
        }
        if let Some(awaited) = self.awaited.get_mut(&command.id) {
            *awaited = Some(outcome);
        }
        None
    }

    /// Logs once that the topic cannot be followed, and once that it can again.
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
            None => tracing::warn!(topic = %self.topic, "command topic is intact again; following it"),
        }
        self.fault = fault;
    }

    /// Logs an error once if the cluster is configured to delete commands. Without the right to read the settings, nothing
    /// is logged.
    pub(super) fn watch_settings(&mut self, every: Duration) {
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
            format!("could not read the command topic \"{}\" to its end: nothing arrived for {patience} s", self.topic);
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

/// The setting by which the cluster deletes old commands; `None` if it keeps them forever.
fn deleting(settings: &BTreeMap<String, String>) -> Option<String> {
    let policy = settings.get("cleanup.policy").map_or("delete", String::as_str);
    if !policy.split(',').any(|policy| policy.trim() == "delete") {
        return None;
    }
    let limited = |name: &&str| settings.get(*name).and_then(|v| v.parse::<i64>().ok()).is_some_and(|v| v >= 0);
    ["retention.ms", "retention.bytes"].into_iter().find(limited).map(|name| format!("{name}={}", settings[name]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_delete_commands_are_found() {
        let of = |settings: &[(&str, &str)]| {
            deleting(&settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        assert_eq!(of(&[("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")]), None);
        assert_eq!(of(&[("retention.ms", "604800000")]), Some("retention.ms=604800000".to_owned()));
        assert_eq!(of(&[("retention.ms", "-1"), ("retention.bytes", "1000")]), Some("retention.bytes=1000".to_owned()));
        assert_eq!(
            of(&[("cleanup.policy", "compact,delete"), ("retention.ms", "1")]),
            Some("retention.ms=1".to_owned())
        );
        // Every command has a key of its own.
        assert_eq!(of(&[("cleanup.policy", "compact"), ("retention.ms", "1")]), None);
    }
}
