//! The topic behind a declaration, which exists already or is created with it.

use std::collections::BTreeMap;

use headwater_connectors::transport::{Admin, NewTopic, TopicInfo, TransportError};
use headwater_language::catalog::owner_of;
use headwater_language::definition::SourceDef;
use headwater_language::diagnostic::{Diagnostic, MISSING_PROPERTY, OWNED_TOPIC, Span, TOPIC_MISMATCH};
use headwater_planner::define::{Definition, WantedTopic};

use crate::failure::transport;
use crate::runtime::complaints::PROCESSING_LOG;
use crate::runtime::topics::{self, BYTES_MAX, RETENTION};

/// Makes sure that the topic of a definition exists as it was declared. Blocks.
pub(super) fn ensure(admin: &dyn Admin, definition: &Definition, name: Span) -> Result<(), Vec<Diagnostic>> {
    let topic = &definition.source.topic;
    let found = admin.topic(topic).map_err(|e| vec![transport(&e)])?;
    match (found, &definition.topic) {
        (Some(found), Some(wanted)) => check(topic, &found, wanted),
        (Some(_), None) => Ok(()),
        (None, Some(_)) if is_foreign(&definition.source) => Err(vec![never_made(topic, name)]),
        (None, Some(wanted)) => {
            match topics::make(admin, &new_topic(topic, wanted)).map_err(|e| vec![transport(&e)])? {
                true => Ok(()),
                // Another process has created it first, so it must be checked.
                false => ensure(admin, definition, name),
            }
        }
        (None, None) => {
            let message = format!("topic \"{topic}\" does not exist");
            let detail = "The statement creates the topic if it specifies PARTITIONS.";
            let hint = format!("Add PARTITIONS: … WITH (KAFKA_TOPIC='{topic}', PARTITIONS=1, …);");
            Err(vec![Diagnostic::new(MISSING_PROPERTY, message).at(name).detail(detail).hint(hint)])
        }
    }
}

/// Whether only its owner may create this topic. The processing log is declared like any other stream.
fn is_foreign(source: &SourceDef) -> bool {
    owner_of(&source.topic).is_some() && source.name != PROCESSING_LOG
}

fn never_made(topic: &str, name: Span) -> Diagnostic {
    let message = format!("topic \"{topic}\" does not exist, and only its owner can create it");
    Diagnostic::new(OWNED_TOPIC, message).at(name).hint("Choose a topic with another name.")
}

/// Fills in what WITH does not specify about a query's new topic from the input: the number of partitions, the largest
/// record and the retention. Output has the timestamps of the input, so with a shorter retention the cluster would
/// delete records as soon as they are written. Blocks.
pub(super) fn fill_from_input(
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

fn check(topic: &str, found: &TopicInfo, wanted: &WantedTopic) -> Result<(), Vec<Diagnostic>> {
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
    use crate::{Engine, Session};
    use headwater_language::config::Settings;

    /// How long a topic keeps its records, in ms, as the cluster writes it; `None` if it is not set.
    fn retention_of(admin: &dyn Admin, topic: &str) -> Result<Option<String>, TransportError> {
        Ok(admin.topic_settings(topic)?.remove(RETENTION))
    }

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
