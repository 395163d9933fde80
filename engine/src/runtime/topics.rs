//! The topic behind a declaration: there already, or made with it.

use std::collections::BTreeMap;

use headwater_connectors::transport::{Admin, NewTopic, TransportError, TransportErrorKind};

use super::complaints::PROCESSING_LOG;
use crate::catalog::owner_of;
use crate::definition::SourceDef;
use crate::diagnostic::{Diagnostic, MISSING_PROPERTY, OWNED_TOPIC, Span, TOPIC_MISMATCH};
use crate::failure::transport;
use crate::planner::define::{Definition, WantedTopic};

/// How long a topic keeps a record after the record's timestamp, in ms; -1 for ever.
const RETENTION: &str = "retention.ms";
/// The largest batch of records that a topic takes, in bytes.
const BYTES_MAX: &str = "max.message.bytes";
/// Bytes that a dead letter may have beyond its record: the headers that say what was wrong.
const WORDS_BYTES: i64 = 16 * 1024;

/// Makes sure that the topic of a definition exists as it was declared. Blocks.
pub fn ensure(admin: &dyn Admin, definition: &Definition, name: Span) -> Result<(), Vec<Diagnostic>> {
    let topic = &definition.source.topic;
    let found = admin.topic(topic).map_err(|e| vec![transport(&e)])?;
    match (found, &definition.topic) {
        (Some(found), Some(wanted)) => check(topic, &found, wanted),
        (Some(_), None) => Ok(()),
        (None, Some(_)) if is_foreign(&definition.source) => Err(vec![never_made(topic, name)]),
        (None, Some(wanted)) => match make(admin, &new_topic(topic, wanted)).map_err(|e| vec![transport(&e)])? {
            true => Ok(()),
            // What the faster one made must be what is wanted here.
            false => ensure(admin, definition, name),
        },
        (None, None) => {
            let message = format!("topic \"{topic}\" does not exist");
            let detail = "It is made with the declaration when PARTITIONS says how many it shall have.";
            let hint = format!("Add PARTITIONS: … WITH (KAFKA_TOPIC='{topic}', PARTITIONS=1, …);");
            Err(vec![Diagnostic::new(MISSING_PROPERTY, message).at(name).detail(detail).hint(hint)])
        }
    }
}

/// A topic that only its owner makes. The processing log is declared like any other stream.
fn is_foreign(source: &SourceDef) -> bool {
    owner_of(&source.topic).is_some() && source.name != PROCESSING_LOG
}

fn never_made(topic: &str, name: Span) -> Diagnostic {
    let message = format!("topic \"{topic}\" does not exist, and only its owner makes it");
    Diagnostic::new(OWNED_TOPIC, message).at(name).hint("Take a topic of another name.")
}

/// Fills in what WITH leaves open of a query's new topic: as many partitions as the input has, and records as large and kept
/// as long. Output
/// carries the timestamps of the input, so under a shorter retention the cluster would delete what it has just been given. Blocks.
pub fn fill_from_input(
    admin: &dyn Admin,
    definition: &mut Definition,
    (input, partitions): (&str, i32),
    span: Span,
) -> Result<(), TransportError> {
    let delete = || BTreeMap::from([("cleanup.policy".to_owned(), "delete".to_owned())]);
    let wanted =
        definition.topic.get_or_insert_with(|| WantedTopic { partitions, replicas: None, settings: delete(), span });
    let mut theirs = admin.topic_settings(input)?;
    let kept = match definition.retention_ms {
        Some(ms) => Some(ms.to_string()),
        None => theirs.remove(RETENTION),
    };
    wanted.settings.extend(kept.map(|ms| (RETENTION.to_owned(), ms)));
    wanted.settings.extend(theirs.remove(BYTES_MAX).map(|bytes| (BYTES_MAX.to_owned(), bytes)));
    Ok(())
}

/// Makes a topic for dead letters with the partitions and the retention of an input, and room for its records, unless it is
/// there. Blocks.
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

/// Makes a topic unless it is there, also when another process is faster. Blocks.
pub fn make_if_missing(admin: &dyn Admin, topic: &NewTopic) -> Result<(), TransportError> {
    if admin.topic(&topic.name)?.is_some() {
        return Ok(());
    }
    make(admin, topic).map(drop)
}

/// Makes the topic of the processing log again, which someone deleted. Blocks.
pub fn make_processing_log(admin: &dyn Admin, name: &str) -> Result<(), TransportError> {
    let settings = BTreeMap::from([("cleanup.policy".to_owned(), "delete".to_owned())]);
    make_if_missing(admin, &NewTopic { name: name.to_owned(), partitions: 1, replicas: None, settings })
}

/// How long a topic keeps its records, in ms as the cluster writes it; `None` where it does not say.
#[cfg(test)]
fn retention_of(admin: &dyn Admin, topic: &str) -> Result<Option<String>, TransportError> {
    Ok(admin.topic_settings(topic)?.remove(RETENTION))
}

/// False when another process was faster.
fn make(admin: &dyn Admin, topic: &NewTopic) -> Result<bool, TransportError> {
    match admin.create_topic(topic) {
        Err(error) if error.kind == TransportErrorKind::TopicExists => Ok(false),
        made => made.map(|()| true),
    }
}

fn check(
    topic: &str,
    found: &headwater_connectors::transport::TopicInfo,
    wanted: &WantedTopic,
) -> Result<(), Vec<Diagnostic>> {
    let mut errors = Vec::new();
    let mut differs = |what: &str, there: i32, said: i32| {
        if there != said {
            let message = format!("topic \"{topic}\" exists with {there} {what}, not {said}");
            let hint = format!("Leave {} out, or say {there}.", what.to_uppercase());
            errors.push(Diagnostic::new(TOPIC_MISMATCH, message).at(wanted.span).hint(hint));
        }
    };
    differs("partitions", found.partitions, wanted.partitions);
    if let Some(replicas) = wanted.replicas {
        differs("replicas", found.replicas, replicas);
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn new_topic(name: &str, wanted: &WantedTopic) -> NewTopic {
    NewTopic {
        name: name.to_owned(),
        partitions: wanted.partitions,
        replicas: wanted.replicas,
        settings: wanted.settings.clone(),
    }
}

#[cfg(test)]
mod tests {
    use headwater_connectors::transport::Transport;
    use headwater_connectors::transport::memory::MemoryTransport;

    use super::*;
    use crate::config::Settings;
    use crate::{Engine, Session};

    /// The settings of two topics after statements ran beside a topic "kept" that keeps its records for 5 s.
    async fn retention_after(statements: &str, topics: [&str; 2]) -> [Option<String>; 2] {
        let cluster = MemoryTransport::new();
        let settings = BTreeMap::from([(RETENTION.to_owned(), "5000".to_owned())]);
        let topic = NewTopic { name: "kept".to_owned(), partitions: 3, replicas: None, settings };
        cluster.admin().create_topic(&topic).expect("a new topic");
        let engine = Engine::driven(std::sync::Arc::new(cluster.clone()), &Settings::default());
        let mut session = Session::new(Settings::default());
        for statement in statements.split_inclusive(';') {
            engine.ask(&mut session, statement).await.expect("a good statement");
        }
        topics.map(|topic| retention_of(cluster.admin(), topic).expect("a topic"))
    }

    #[tokio::test]
    async fn what_a_query_writes_is_kept_as_long_as_what_it_reads() {
        let found = retention_after(
            "CREATE STREAM s (k INT KEY, a INT) WITH (KAFKA_TOPIC = 'kept', FORMAT = 'JSON');
             CREATE STREAM o WITH (DLQ_TOPIC = 'dead') AS SELECT * FROM s;",
            ["O", "dead"],
        );
        assert_eq!(found.await, [Some("5000".to_owned()), Some("5000".to_owned())]);
    }

    #[tokio::test]
    async fn what_with_says_of_retention_comes_first() {
        let found = retention_after(
            "CREATE STREAM s (k INT KEY, a INT) WITH (KAFKA_TOPIC = 'kept', FORMAT = 'JSON');
             CREATE STREAM o WITH (PARTITIONS = 1) AS SELECT * FROM s;
             CREATE STREAM p WITH (RETENTION_MS = 7000) AS SELECT * FROM s;",
            ["O", "P"],
        );
        assert_eq!(found.await, [Some("5000".to_owned()), Some("7000".to_owned())]);
    }
}
