//! The topics that belong to one query alone: its exchanges, and the changelogs of its stores.
//!
//! They are created when the query first runs and deleted when it is terminated. An exchange must keep its records until they
//! are read, and a changelog keeps the last value of each key, so neither has a retention time.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_connectors::transport::{Admin, NewTopic, Position, TransportError};
use headwater_formats::record::TopicPartition;
use headwater_language::catalog::QueryDef;
use headwater_language::definition::SourceDef;

use super::job::{group_of, own_topics};
use super::note::Note;
use super::topics::{self, BYTES_MAX, CLEANUP, RETENTION, TIMESTAMP_TYPE, WORDS_BYTES};

/// The size of the files in which the cluster keeps the records.
const SEGMENT_BYTES: i64 = 50 << 20;

/// Creates the topics of a query that do not exist, with the number of partitions of its output or, if there are some already, of
/// those. Fails if they have different numbers, or if a changelog is missing although the query has run. Blocks.
pub(super) fn ensure(admin: &dyn Admin, query: &QueryDef, service_id: &str) -> Result<(), TransportError> {
    let names = names(query, service_id);
    if names.is_empty() {
        return Ok(());
    }
    // A query without an output has the partitions of its input.
    let output = query.topology.sink().unwrap_or_else(|| query.topology.source());
    let (missing, existing) = sorted(admin, names)?;
    let partitions = match existing.first() {
        None => topics::partitions_of(admin, &output.topic)?,
        Some((_, partitions)) => *partitions,
    };
    check(&existing)?;
    if let Some((changelog, _)) = missing.iter().find(|(_, is_changelog)| *is_changelog)
        && has_run(admin, query, service_id)?
    {
        let message =
            format!("the state of query \"{}\" is gone: its changelog topic \"{changelog}\" was deleted", query.id);
        return Err(TransportError::lost(message));
    }
    let bytes_max = |source: &SourceDef| {
        let settings = admin.topic_settings(&source.topic)?;
        Ok(settings.get(BYTES_MAX).and_then(|bytes| bytes.parse::<i64>().ok()))
    };
    let bytes_max: Vec<Option<i64>> = query.topology.sources().map(bytes_max).collect::<Result<_, TransportError>>()?;
    let bytes_max = bytes_max.into_iter().flatten().max();
    // A record of an exchange also has the address of the record that it was made from.
    let bytes_max = bytes_max.map(|bytes| bytes.saturating_add(WORDS_BYTES).min(i32::MAX.into()).to_string());
    for (name, is_changelog) in missing {
        let settings = settings(is_changelog, bytes_max.as_deref());
        topics::make_if_missing(admin, &NewTopic { name, partitions, replicas: None, settings })?;
    }
    Ok(())
}

/// The topics that are missing, each with whether it is a changelog, and those that exist, with their numbers of partitions.
#[allow(clippy::type_complexity, reason = "two lists of pairs")]
fn sorted(
    admin: &dyn Admin,
    names: Vec<(String, bool)>,
) -> Result<(Vec<(String, bool)>, Vec<(String, i32)>), TransportError> {
    let (mut missing, mut existing) = (Vec::new(), Vec::new());
    for (name, is_changelog) in names {
        match admin.topic(&name)? {
            Some(topic) => existing.push((name, topic.partitions)),
            None => missing.push((name, is_changelog)),
        }
    }
    Ok((missing, existing))
}

/// Checks that all topics have the same number of partitions, which is that of the query's state.
fn check(existing: &[(String, i32)]) -> Result<(), TransportError> {
    let Some((first, partitions)) = existing.first() else { return Ok(()) };
    let Some((other, others)) = existing.iter().find(|(_, others)| others != partitions) else { return Ok(()) };
    let message = format!(
        "topics of one query must have the same number of partitions, but \"{first}\" has {partitions} and \"{other}\" has {others}"
    );
    Err(TransportError::lost(message))
}

/// Whether a query has processed rows: a position that it has committed has a stream time.
fn has_run(admin: &dyn Admin, query: &QueryDef, service_id: &str) -> Result<bool, TransportError> {
    let mut sources = Vec::new();
    for source in query.topology.sources() {
        let topic: Arc<str> = source.topic.as_str().into();
        let partitions = topics::partitions_of(admin, &topic)?;
        sources.extend((0..partitions).map(|partition| TopicPartition::new(topic.clone(), partition)));
    }
    let committed = admin.committed_offsets(&group_of(service_id, query), &sources)?;
    let has_time = |position: &Position| Note::read(&position.note).time_ms.is_some();
    Ok(committed.values().flatten().any(has_time))
}

/// The settings of a topic: those that a query relies on, whatever the defaults of the cluster are.
fn settings(is_changelog: bool, bytes_max: Option<&str>) -> BTreeMap<String, String> {
    let (cleanup, retention) = if is_changelog { ("compact", None) } else { ("delete", Some("-1")) };
    let kept = [(CLEANUP, Some(cleanup)), (RETENTION, retention), ("retention.bytes", retention)];
    // Records of an exchange are deleted once they are read, which frees whole segments; only closed segments are compacted.
    let most = bytes_max.and_then(|bytes| bytes.parse().ok()).unwrap_or(0);
    let segment = SEGMENT_BYTES.max(most).to_string();
    // The timestamp of a record of an exchange is the event time of its row.
    let settings = kept.into_iter().chain([
        (TIMESTAMP_TYPE, Some("CreateTime")),
        (BYTES_MAX, bytes_max),
        ("segment.bytes", Some(&segment)),
    ]);
    settings.filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect()
}

/// The names of the topics, and whether each is a changelog.
pub(super) fn names(query: &QueryDef, service_id: &str) -> Vec<(String, bool)> {
    let options = own_topics(service_id, query);
    let exchanges = query.topology.exchanges().map(|exchange| (options.own_topic(&exchange.topic), false));
    exchanges.chain(query.topology.stores().map(|store| (options.changelog(store), true))).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use headwater_connectors::transport::Transport as _;
    use headwater_connectors::transport::memory::MemoryTransport;
    use headwater_language::config::Settings;

    use std::time::Duration;

    use arrow::array::BinaryArray;
    use headwater_connectors::transport::SinkOptions;
    use headwater_formats::record::OutBatch;

    use super::super::driver::Driver;
    use super::super::job::Job;
    use super::*;
    use crate::{Engine, Session};

    /// A cluster with a table that counts records, and its query.
    async fn counting() -> (MemoryTransport, Arc<QueryDef>) {
        let cluster = MemoryTransport::new();
        let engine = Engine::driven(Arc::new(cluster.clone()), &Settings::default());
        let mut session = Session::new(Settings::default());
        for statement in [
            "CREATE STREAM s (k INT KEY, a INT) WITH (KAFKA_TOPIC = 's', PARTITIONS = 2, FORMAT = 'JSON');",
            "CREATE TABLE t AS SELECT a, COUNT(*) AS n FROM s GROUP BY a;",
        ] {
            engine.ask(&mut session, statement).await.expect("a good statement");
        }
        let catalog = engine.catalog().await.expect("a catalog");
        let query = catalog.queries().next().expect("a query").clone();
        (cluster, query)
    }

    #[tokio::test]
    async fn the_topics_of_a_query_keep_event_times_whatever_the_default_of_the_cluster() {
        let (cluster, query) = counting().await;
        let admin = cluster.admin();
        ensure(admin, &query, "default_").expect("topics");
        for (name, is_changelog) in names(&query, "default_") {
            let settings = admin.topic_settings(&name).expect("a topic");
            let setting = |name: &str| settings.get(name).map(String::as_str);
            assert_eq!(setting(TIMESTAMP_TYPE), Some("CreateTime"), "{name}");
            assert_eq!(setting(CLEANUP), Some(if is_changelog { "compact" } else { "delete" }), "{name}");
            assert_eq!(setting(RETENTION), (!is_changelog).then_some("-1"), "{name}");
            assert_eq!(setting("segment.bytes"), Some("52428800"), "{name}");
            assert_eq!(setting("retention.bytes"), (!is_changelog).then_some("-1"), "{name}");
        }
    }

    /// Goal: a query whose changelog was deleted says so, each time, instead of counting from zero. Method: it runs, its changelog is
    /// deleted, and it is started again.
    #[tokio::test]
    async fn a_changelog_that_was_deleted_is_reported() {
        let (cluster, query) = counting().await;
        let run = || -> Result<(), TransportError> {
            let job = Job { in_threads: false, ..Job::new(query.clone(), "default_", false).expect("a job") };
            let mut driver = Driver::new(Arc::new(cluster.clone()), job, Arc::default(), Arc::default())?;
            for step in 0..200 {
                driver.step(step * 1_000, Duration::ZERO)?;
            }
            driver.finish(300_000)
        };
        run().expect("nothing was read");
        let changelog = names(&query, "default_").into_iter().find(|(_, is_changelog)| *is_changelog).expect("one").0;
        cluster.admin().delete_topic(&changelog).expect("it exists");
        run().expect("it had no state");
        let batch = OutBatch {
            topic: "s".into(),
            partitions: None,
            keys: BinaryArray::from_iter_values([b"1"]),
            values: BinaryArray::from_iter_values([br#"{"A":1}"#]),
            timestamps_ms: None,
            headers: None,
        };
        cluster.open_sink(SinkOptions::default()).and_then(|mut sink| sink.write(&batch)).expect("a record");
        run().expect("it counts");
        cluster.admin().delete_topic(&changelog).expect("it exists");
        for _ in 0..2 {
            let error = run().expect_err("its state is gone");
            assert!(error.message.ends_with(&format!("its changelog topic \"{changelog}\" was deleted")), "{error}");
        }
        let other = NewTopic { name: changelog.clone(), partitions: 7, replicas: None, settings: BTreeMap::new() };
        cluster.admin().create_topic(&other).expect("a topic");
        let error = run().expect_err("it has other partitions");
        assert!(error.message.contains("must have the same number of partitions"), "{error}");
    }
}
