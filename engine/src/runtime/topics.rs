//! Creating topics: those of Headwater itself, and those that receive records from others.

use std::collections::BTreeMap;

use headwater_connectors::transport::{Admin, NewTopic, TransportError, TransportErrorKind};

/// What the cluster does with old records of a topic.
pub const CLEANUP: &str = "cleanup.policy";
/// How long a topic keeps a record after the record's timestamp, in ms; -1 for forever.
pub const RETENTION: &str = "retention.ms";
/// Whether a record keeps its timestamp or gets the time at which the cluster appends it.
pub(super) const TIMESTAMP_TYPE: &str = "message.timestamp.type";
/// The largest batch of records that a topic accepts, in bytes.
pub const BYTES_MAX: &str = "max.message.bytes";
/// Bytes that a record of Headwater's own topics may have in addition to the record it was made from, such as the headers of
/// a dead letter that say what is wrong.
pub(super) const WORDS_BYTES: i64 = 16 * 1024;

/// How many partitions a topic has. Fails if it does not exist. Blocks.
pub fn partitions_of(admin: &dyn Admin, topic: &str) -> Result<i32, TransportError> {
    Ok(admin.topic(topic)?.ok_or_else(|| TransportError::unknown_topic(topic))?.partitions)
}

/// Creates a topic for dead letters unless it exists, with the partitions and the retention of the input and a size
/// limit that fits its records. Blocks.
pub fn make_like(admin: &dyn Admin, name: String, (input, partitions): (&str, i32)) -> Result<(), TransportError> {
    let mut settings = admin.topic_settings(input)?;
    settings.retain(|name, _| [RETENTION, BYTES_MAX].contains(&name.as_str()));
    if let Some(bytes) = settings.get_mut(BYTES_MAX)
        && let Ok(number) = bytes.parse::<i64>()
    {
        *bytes = number.saturating_add(WORDS_BYTES).min(i32::MAX.into()).to_string();
    }
    make_if_missing(admin, &NewTopic { name, partitions, replicas: None, settings })
}

/// Creates a topic unless it exists, even if another process creates it at the same time. Blocks.
pub fn make_if_missing(admin: &dyn Admin, topic: &NewTopic) -> Result<(), TransportError> {
    if admin.topic(&topic.name)?.is_some() {
        return Ok(());
    }
    make(admin, topic).map(drop)
}

/// Creates the topic of the processing log again after someone deleted it. Blocks.
pub fn make_processing_log(admin: &dyn Admin, name: &str) -> Result<(), TransportError> {
    let settings = BTreeMap::from([(CLEANUP.to_owned(), "delete".to_owned())]);
    make_if_missing(admin, &NewTopic { name: name.to_owned(), partitions: 1, replicas: None, settings })
}

/// Creates a topic. Returns false if another process has created it first. Blocks.
pub fn make(admin: &dyn Admin, topic: &NewTopic) -> Result<bool, TransportError> {
    match admin.create_topic(topic) {
        Err(error) if error.kind == TransportErrorKind::TopicExists => Ok(false),
        made => made.map(|()| true),
    }
}
