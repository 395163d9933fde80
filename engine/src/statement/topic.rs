//! The topic behind a declaration, which exists already or is created with it.

use std::collections::BTreeMap;

use headwater_connectors::transport::{Admin, NewTopic, TopicInfo, TransportError};
use headwater_language::catalog::owner_of;
use headwater_language::definition::{SourceDef, SourceKind};
use headwater_language::diagnostic::{Diagnostic, MISSING_PROPERTY, OWNED_TOPIC, Span, TOPIC_MISMATCH};
use headwater_planner::define::{Definition, WantedTopic, cleanup_policy};

use super::Context;
use crate::failure::transport;
use crate::runtime::blocking;
use crate::runtime::complaints::PROCESSING_LOG;
use crate::runtime::topics::{self, BYTES_MAX, CLEANUP, RETENTION};

/// Makes sure that the topic of a definition exists as it was declared. Blocks.
pub(super) fn ensure(admin: &dyn Admin, definition: &Definition, name: Span) -> Result<(), Vec<Diagnostic>> {
    let topic = &definition.source.topic;
    let Some(wanted) = missing(admin, definition, name)? else { return Ok(()) };
    match topics::make(admin, &new_topic(topic, wanted)).map_err(|e| vec![transport(&e)])? {
        true => Ok(()),
        // Another process has created it first, so it must be checked.
        false => ensure(admin, definition, name),
    }
}

/// Fails as [`ensure`] does, and creates nothing: a statement that fails must not leave schemas behind.
pub(super) async fn verify(definition: &Definition, name: Span, context: &Context<'_>) -> Result<(), Vec<Diagnostic>> {
    let (transport, definition) = (context.process.transport().clone(), definition.clone());
    blocking(move || missing(transport.admin(), &definition, name).map(drop)).await?
}

/// The topic that a definition needs and that does not exist. Fails as [`ensure`] does, and creates nothing. Blocks.
fn missing<'d>(
    admin: &dyn Admin,
    definition: &'d Definition,
    name: Span,
) -> Result<Option<&'d WantedTopic>, Vec<Diagnostic>> {
    let topic = &definition.source.topic;
    let found = admin.topic(topic).map_err(|e| vec![transport(&e)])?;
    match (found, &definition.topic) {
        (Some(found), Some(wanted)) => check(topic, &found, wanted).map(|()| None),
        (Some(_), None) => Ok(None),
        (None, Some(_)) if is_foreign(&definition.source) => Err(vec![never_made(topic, name)]),
        (None, Some(wanted)) => Ok(Some(wanted)),
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
/// record and, for a stream, the retention. Output has the timestamps of the input, so with a shorter retention the
/// cluster would delete records as soon as they are written. Blocks.
pub(super) fn fill_from_input(
    admin: &dyn Admin,
    definition: &mut Definition,
    (input, partitions): (&str, i32),
    span: Span,
) -> Result<(), TransportError> {
    let SourceDef { kind, window, .. } = definition.source;
    let nothing = || WantedTopic { partitions, replicas: None, settings: BTreeMap::new(), span };
    let wanted = definition.topic.get_or_insert_with(nothing);
    wanted.settings.insert(CLEANUP.to_owned(), cleanup_policy(kind, window).to_owned());
    let mut theirs = admin.topic_settings(input)?;
    let kept = match definition.retention_ms {
        Some(ms) => Some(ms.to_string()),
        // A table has its rows until they are replaced.
        None => theirs.remove(RETENTION).filter(|_| kind == SourceKind::Stream),
    };
    wanted.settings.extend(kept.map(|ms| (RETENTION.to_owned(), ms)));
    wanted.settings.extend(theirs.remove(BYTES_MAX).map(|bytes| (BYTES_MAX.to_owned(), bytes)));
    Ok(())
}

fn check(topic: &str, found: &TopicInfo, wanted: &WantedTopic) -> Result<(), Vec<Diagnostic>> {
    let mut errors = Vec::new();
    let mut differs = |what: &str, there: i32, said: i32| {
        if there != said {
            let unit = if there == 1 { what.trim_end_matches('s') } else { what };
            let message = format!("topic \"{topic}\" exists with {there} {unit}, not {said}");
            let hint = format!("Omit {}, or set it to {there}.", what.to_uppercase());
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
    use crate::answer::Answer;
    use crate::{Engine, Session};
    use headwater_language::config::Settings;

    /// How long a topic keeps its records, in ms, as the cluster writes it; `None` if it is not set.
    fn retention_of(admin: &dyn Admin, topic: &str) -> Result<Option<String>, TransportError> {
        Ok(admin.topic_settings(topic)?.remove(RETENTION))
    }

    /// A cluster after statements ran beside a topic "kept" that keeps its records for 5 s, and the answer to the last of them.
    async fn after(statements: &str) -> (MemoryTransport, String) {
        let cluster = MemoryTransport::new();
        let settings = BTreeMap::from([(RETENTION.to_owned(), "5000".to_owned())]);
        let topic = NewTopic { name: "kept".to_owned(), partitions: 3, replicas: None, settings };
        cluster.admin().create_topic(&topic).expect("a new topic");
        let engine = Engine::driven(std::sync::Arc::new(cluster.clone()), &Settings::default());
        let mut session = Session::new(Settings::default());
        let mut answered = String::new();
        for statement in statements.split_inclusive(';') {
            if let Answer::Done { message, .. } = engine.ask(&mut session, statement).await.expect("a good statement") {
                answered = message;
            }
        }
        (cluster, answered)
    }

    /// The retention of two topics after these statements.
    async fn retention_after(statements: &str, topics: [&str; 2]) -> [Option<String>; 2] {
        let (cluster, _) = after(statements).await;
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

    /// What was answered to the last of some statements, and the settings of topic "T".
    async fn table_of(statements: &str) -> (String, BTreeMap<String, String>) {
        let declared = "CREATE STREAM s (k INT KEY, a INT) WITH (KAFKA_TOPIC = 'kept', FORMAT = 'JSON');";
        let (cluster, answered) = after(&format!("{declared}{statements}")).await;
        (answered, cluster.admin().topic_settings("T").expect("a topic"))
    }

    fn has(settings: &BTreeMap<String, String>, policy: &str, retention: Option<&str>) {
        assert_eq!(settings.get(CLEANUP).map(String::as_str), Some(policy));
        assert_eq!(settings.get(RETENTION).map(String::as_str), retention);
    }

    #[tokio::test]
    async fn a_table_keeps_the_latest_row_of_each_key() {
        let (answered, settings) = table_of("CREATE TABLE t AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;").await;
        assert!(answered.contains("Table \"T\" created by query CTAS_T_"), "{answered}");
        has(&settings, "compact", None);
    }

    #[tokio::test]
    async fn windows_are_kept_as_long_as_their_retention() {
        let created = |with: &str, window: &str| {
            format!("CREATE TABLE t {with} AS SELECT k, COUNT(*) AS n FROM s WINDOW TUMBLING ({window}) GROUP BY k;")
        };
        let settings = |statement: String| async move { table_of(&statement).await.1 };
        has(&settings(created("", "SIZE 10 SECONDS")).await, "compact,delete", Some("86400000"));
        let short = "SIZE 10 SECONDS, GRACE PERIOD 0 SECONDS";
        has(&settings(created("", short)).await, "compact,delete", Some("10000"));
        has(&settings(created("WITH (RETENTION_MS = 9000)", short)).await, "compact,delete", Some("10000"));
        let longer = created("WITH (RETENTION_MS = 11000, PARTITIONS = 1)", short);
        has(&settings(longer).await, "compact,delete", Some("11000"));
        has(&settings(created("WITH (RETENTION_MS = -1)", short)).await, "compact,delete", Some("-1"));
    }
}
