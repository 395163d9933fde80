//! All topics by name, with the logs of their partitions.
//!
//! Separate because this is the only place where topics are created, extended and deleted. Folders are created before
//! the journal is written, and a deletion is written to the journal first, so a topic in the journal without a folder
//! has lost it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

use super::leftovers;
use super::name::check_name;
use super::settings::Settings;
use crate::config::Config;
use crate::log::{AppendRules, Extent, ExtentStore, Flush, Handles, Log, Opening, RecoveryError, SegmentStore};
use crate::meta::{Change, Journal, TopicImage};
use crate::parallel;
use crate::topic_partition::TopicPartition;

/// The maximum number of partitions of a topic.
const PARTITIONS_MAX: i32 = 10_000;

/// A topic.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) id: Uuid,
    settings: RwLock<Settings>,
    pub(super) rules: RwLock<Arc<AppendRules>>,
    logs: RwLock<Vec<Arc<Log>>>,
}

/// All topics.
#[derive(Debug)]
pub(crate) struct Topics {
    pub(super) journal: Arc<Journal>,
    /// The folder of all logs; `None` in memory.
    folder: Option<PathBuf>,
    handles: Arc<Handles>,
    flush: Flush,
    /// The settings that topics have unless they are set for the topic.
    defaults: Arc<BTreeMap<String, String>>,
    pub(super) by_name: RwLock<BTreeMap<String, Arc<Topic>>>,
    /// Held while topics are created, changed or deleted; never while records are read or written.
    pub(super) changing: Mutex<()>,
    /// Held while a log is compacted.
    pub(super) compacting: Mutex<()>,
}

/// The error of a request about a topic: Kafka's code and a message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TopicError {
    pub(crate) code: ResponseError,
    pub(crate) message: String,
}

impl TopicError {
    pub(crate) fn new(code: ResponseError, message: impl Into<String>) -> TopicError {
        TopicError { code, message: message.into() }
    }
}

impl Topics {
    /// Opens the topics in the journal, removes the folders of deleted topics and moves unknown folders aside.
    pub(crate) fn open(
        journal: &Arc<Journal>,
        folder: Option<PathBuf>,
        config: &Config,
        trusted: bool,
    ) -> Result<Topics, RecoveryError> {
        let topics = Topics {
            journal: Arc::clone(journal),
            folder,
            handles: Arc::default(),
            flush: config.flush,
            defaults: Arc::new(config.topic_defaults.clone()),
            by_name: RwLock::default(),
            changing: Mutex::default(),
            compacting: Mutex::default(),
        };
        for (name, image) in journal.read(|image| image.topics.clone()) {
            let topic = topics.open_topic(&name, &image, trusted, false)?;
            topics.by_name.write().insert(name, Arc::new(topic));
        }
        if let Some(folder) = &topics.folder {
            leftovers::clear(folder, &journal.read(leftovers::Known::of));
        }
        Ok(topics)
    }

    /// Gives every topic the settings of new topics; for earlier versions these were the defaults.
    pub(crate) fn keep_all_records(&self) -> Result<(), TopicError> {
        self.all().iter().try_for_each(|topic| {
            self.configure(&topic.name, false, |settings| {
                settings.keep_all_records();
                Ok(())
            })
        })
    }

    /// The settings of a new topic, of which these are given.
    pub(crate) fn settings_of_new(
        &self,
        given: impl IntoIterator<Item = (String, Option<String>)>,
    ) -> Result<Settings, TopicError> {
        let settings = Settings::for_new_topic(given, &self.defaults);
        settings.map_err(|problem| TopicError::new(ResponseError::InvalidConfig, problem))
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<Topic>> {
        self.by_name.read().get(name).cloned()
    }

    pub(crate) fn by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.by_name.read().values().find(|topic| topic.id == id).cloned()
    }

    /// All topics, sorted by name.
    pub(crate) fn all(&self) -> Vec<Arc<Topic>> {
        self.by_name.read().values().cloned().collect()
    }

    /// The log of a partition, with the append rules of its topic.
    pub(crate) fn log(&self, name: &str, partition: i32) -> Result<(Arc<Log>, Arc<AppendRules>), ResponseError> {
        let topic = self.get(name).ok_or(ResponseError::UnknownTopicOrPartition)?;
        let log = topic.log(partition).ok_or(ResponseError::UnknownTopicOrPartition)?;
        let rules = Arc::clone(&topic.rules.read());
        Ok((log, rules))
    }

    /// Creates a topic; with `only_check`, only validates it.
    pub(crate) fn create(
        &self,
        name: &str,
        partitions: i32,
        settings: Settings,
        only_check: bool,
    ) -> Result<Uuid, TopicError> {
        check_name(name).map_err(|problem| TopicError::new(ResponseError::InvalidTopicException, problem))?;
        check_partitions(partitions)?;
        let _changing = self.changing.lock();
        if self.get(name).is_some() {
            let message = format!("Topic '{name}' already exists.");
            return Err(TopicError::new(ResponseError::TopicAlreadyExists, message));
        }
        let id = Uuid::new_v4();
        if !only_check {
            let image = TopicImage::new(id, partitions, settings.set().clone());
            let topic = self.open_topic(name, &image, true, true).map_err(|error| self.undo(id, &error))?;
            let TopicImage { settings, .. } = image;
            self.write_to_journal(Change::TopicCreated { name: name.to_owned(), id, partitions, settings })?;
            self.by_name.write().insert(name.to_owned(), Arc::new(topic));
        }
        Ok(id)
    }

    /// Deletes a topic with its records.
    pub(crate) fn delete(&self, name: &str) -> Result<Arc<Topic>, TopicError> {
        let topic = self.forget(name)?;
        // Without the lock: other topics can be changed while the disk is busy with these files, which have no name any more.
        for log in topic.logs() {
            if let Err(error) = log.remove() {
                tracing::warn!(topic = name, %error, "could not remove a log; the next start will retry");
            }
        }
        if let Some(folder) = self.folder_of(topic.id) {
            // Fails if a log could not be removed; the next start tries again.
            let _ = fs::remove_dir(folder);
        }
        Ok(topic)
    }

    /// Removes a topic from the journal and from the names.
    fn forget(&self, name: &str) -> Result<Arc<Topic>, TopicError> {
        let _changing = self.changing.lock();
        let topic = self.get(name).ok_or_else(|| unknown(name))?;
        self.write_to_journal(Change::TopicDeleted { name: name.to_owned() })?;
        self.by_name.write().remove(name);
        Ok(topic)
    }

    /// Increases the number of partitions to `count`.
    pub(crate) fn grow(&self, name: &str, count: i32, only_check: bool) -> Result<(), TopicError> {
        check_partitions(count)?;
        let _changing = self.changing.lock();
        let topic = self.get(name).ok_or_else(|| unknown(name))?;
        let now = topic.partitions();
        if count <= now {
            let message =
                format!("The topic already has {now} partitions; the new number must be larger, not {count}.");
            return Err(TopicError::new(ResponseError::InvalidPartitions, message));
        }
        if only_check {
            return Ok(());
        }
        let image = TopicImage::new(topic.id, count, topic.settings().set().clone());
        let added = self.open_logs(name, &image, now..count, true, true);
        let added = added.map_err(|error| TopicError::new(ResponseError::KafkaStorageError, error.to_string()))?;
        self.write_to_journal(Change::PartitionsAdded { name: name.to_owned(), partitions: count })?;
        topic.logs.write().extend(added);
        Ok(())
    }

    /// Changes a topic's settings with `edit`. Nothing changes if it fails, or with `only_check`.
    pub(crate) fn configure(
        &self,
        name: &str,
        only_check: bool,
        edit: impl FnOnce(&mut Settings) -> Result<(), String>,
    ) -> Result<(), TopicError> {
        let _changing = self.changing.lock();
        let topic = self.get(name).ok_or_else(|| unknown(name))?;
        let mut settings = topic.settings();
        edit(&mut settings).map_err(|problem| TopicError::new(ResponseError::InvalidConfig, problem))?;
        if !only_check {
            self.write_to_journal(Change::SettingsChanged { name: name.to_owned(), settings: settings.set().clone() })?;
            *topic.rules.write() = Arc::new(settings.append_rules(self.flush));
            *topic.settings.write() = settings;
        }
        Ok(())
    }

    /// Deletes the records of a partition before an offset and returns the new start.
    pub(crate) fn delete_records(&self, name: &str, partition: i32, offset: i64) -> Result<i64, ResponseError> {
        let _changing = self.changing.lock();
        let (log, _) = self.log(name, partition)?;
        let ends = log.ends();
        let offset = if offset == -1 { ends.end } else { offset };
        if offset < 0 || offset > ends.end {
            return Err(ResponseError::OffsetOutOfRange);
        }
        let change = Change::LogStartMoved { name: name.to_owned(), partition, offset: offset.max(ends.start) };
        self.journal.write(change).map_err(|_| ResponseError::KafkaStorageError)?;
        log.delete_before(offset)
    }

    /// Closes all logs and forces them to the disk, and waits until nothing is compacted any more: another process may use the folder
    /// then. Returns whether all of them succeeded.
    pub(crate) fn close(&self) -> bool {
        let close = |log: &Arc<Log>| {
            let closed = log.close(ResponseError::NotLeaderOrFollower);
            closed.inspect_err(|error| tracing::error!(%error, "could not close a log")).is_ok()
        };
        let logs: Vec<Arc<Log>> = self.all().iter().flat_map(|topic| topic.logs()).collect();
        let closed = parallel::each(&logs, parallel::WAITING_THREADS, close);
        let _compacting = self.compacting.lock();
        closed.into_iter().all(|closed| closed)
    }

    fn open_topic(&self, name: &str, image: &TopicImage, trusted: bool, fresh: bool) -> Result<Topic, RecoveryError> {
        let settings = Settings::of(image.settings.clone(), &self.defaults);
        let logs = self.open_logs(name, image, 0..image.partitions, trusted, fresh)?;
        Ok(Topic {
            name: name.to_owned(),
            id: image.id,
            rules: RwLock::new(Arc::new(settings.append_rules(self.flush))),
            settings: RwLock::new(settings),
            logs: RwLock::new(logs),
        })
    }

    fn open_logs(
        &self,
        name: &str,
        image: &TopicImage,
        partitions: std::ops::Range<i32>,
        trusted: bool,
        fresh: bool,
    ) -> Result<Vec<Arc<Log>>, RecoveryError> {
        let rules = Settings::of(image.settings.clone(), &self.defaults).append_rules(self.flush);
        let open = |partition: &i32| {
            let partition = *partition;
            let topic_partition = TopicPartition { topic: name.to_owned(), partition };
            let opening = Opening {
                store: self.store(image.id, partition),
                start_offset: image.log_starts.get(&partition).copied().unwrap_or(0),
                index_interval_bytes: rules.index_interval_bytes,
                trusted,
                fresh,
                extent_store: self.folder.as_ref().map(|_| self.extent_store(topic_partition.clone())),
                saved_extent: image.log_extents.get(&partition).copied(),
                compacted: image.log_compacted.get(&partition).cloned().unwrap_or_default(),
                topic_partition,
            };
            Log::open(opening).map(Arc::new)
        };
        let partitions: Vec<i32> = partitions.collect();
        parallel::each(&partitions, parallel::busy_threads(), open).into_iter().collect()
    }

    fn extent_store(&self, topic_partition: TopicPartition) -> Box<dyn ExtentStore> {
        Box::new(JournalExtents { journal: Arc::clone(&self.journal), topic_partition })
    }

    fn store(&self, id: Uuid, partition: i32) -> SegmentStore {
        match self.folder_of(id) {
            Some(folder) => {
                SegmentStore::Folder { path: folder.join(partition.to_string()), handles: Arc::clone(&self.handles) }
            }
            None => SegmentStore::Memory,
        }
    }

    fn folder_of(&self, id: Uuid) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(id.to_string()))
    }

    fn write_to_journal(&self, change: Change) -> Result<(), TopicError> {
        let failed = |error: std::io::Error| TopicError::new(ResponseError::KafkaStorageError, error.to_string());
        self.journal.write(change).map_err(failed)
    }

    /// Removes the folders of a topic that could not be created.
    fn undo(&self, id: Uuid, error: &RecoveryError) -> TopicError {
        if let Some(folder) = self.folder_of(id) {
            let _ = fs::remove_dir_all(folder); // a leftover is removed at the next start
        }
        TopicError::new(ResponseError::KafkaStorageError, error.to_string())
    }
}

/// Stores the extent of a log in the journal.
#[derive(Debug)]
struct JournalExtents {
    journal: Arc<Journal>,
    topic_partition: TopicPartition,
}

impl ExtentStore for JournalExtents {
    fn save(&self, extent: Extent) -> std::io::Result<()> {
        let TopicPartition { topic, partition } = self.topic_partition.clone();
        self.journal.write(Change::LogExtended { name: topic, partition, extent })
    }
}

impl Topic {
    pub(crate) fn partitions(&self) -> i32 {
        self.logs.read().len() as i32
    }

    pub(crate) fn log(&self, partition: i32) -> Option<Arc<Log>> {
        self.logs.read().get(usize::try_from(partition).ok()?).cloned()
    }

    /// All logs, in order of partition.
    pub(crate) fn logs(&self) -> Vec<Arc<Log>> {
        self.logs.read().clone()
    }

    pub(crate) fn settings(&self) -> Settings {
        self.settings.read().clone()
    }
}

fn check_partitions(partitions: i32) -> Result<(), TopicError> {
    let problem = match partitions {
        ..=0 => "Number of partitions must be larger than 0.".to_owned(),
        n if n > PARTITIONS_MAX => format!("Number of partitions must be at most {PARTITIONS_MAX}."),
        _ => return Ok(()),
    };
    Err(TopicError::new(ResponseError::InvalidPartitions, problem))
}

fn unknown(name: &str) -> TopicError {
    TopicError::new(ResponseError::UnknownTopicOrPartition, format!("The topic '{name}' does not exist."))
}
