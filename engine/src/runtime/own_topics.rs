//! The topics that belong to one query alone: its exchanges, and the changelogs of its stores.
//!
//! They are created when the query first runs and deleted when it is terminated. An exchange must keep its records until they
//! are read, and a changelog keeps the last value of each key, so neither has a retention time.

use std::collections::BTreeMap;

use headwater_connectors::transport::{Admin, NewTopic, TransportError, TransportErrorKind};
use headwater_language::catalog::QueryDef;
use headwater_language::definition::SourceDef;

use super::job::own_topics;
use super::topics::{self, BYTES_MAX, CLEANUP, RETENTION, TIMESTAMP_TYPE, WORDS_BYTES};

/// Creates the topics of a query that do not exist, with the number of partitions of its output. Blocks.
pub(super) fn ensure(admin: &dyn Admin, query: &QueryDef, service_id: &str) -> Result<(), TransportError> {
    let names = names(query, service_id);
    let (Some(sink), false) = (query.topology.sink(), names.is_empty()) else { return Ok(()) };
    let partitions = topics::partitions_of(admin, &sink.topic)?;
    let bytes_max = |source: &SourceDef| {
        let settings = admin.topic_settings(&source.topic)?;
        Ok(settings.get(BYTES_MAX).and_then(|bytes| bytes.parse::<i64>().ok()))
    };
    let bytes_max: Vec<Option<i64>> = query.topology.sources().map(bytes_max).collect::<Result<_, TransportError>>()?;
    let bytes_max = bytes_max.into_iter().flatten().max();
    // A record of an exchange also has the address of the record that it was made from.
    let bytes_max = bytes_max.map(|bytes| bytes.saturating_add(WORDS_BYTES).min(i32::MAX.into()).to_string());
    for (name, is_changelog) in names {
        let settings = settings(is_changelog, bytes_max.as_deref());
        topics::make_if_missing(admin, &NewTopic { name, partitions, replicas: None, settings })?;
    }
    Ok(())
}

/// The settings of a topic: those that a query relies on, whatever the defaults of the cluster are.
fn settings(is_changelog: bool, bytes_max: Option<&str>) -> BTreeMap<String, String> {
    let (cleanup, retention) = if is_changelog { ("compact", None) } else { ("delete", Some("-1")) };
    let kept = [(CLEANUP, Some(cleanup)), (RETENTION, retention), ("retention.bytes", retention)];
    // The timestamp of a record of an exchange is the event time of its row.
    let settings = kept.into_iter().chain([(TIMESTAMP_TYPE, Some("CreateTime")), (BYTES_MAX, bytes_max)]);
    settings.filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect()
}

/// Deletes the topics of a query that was terminated. If one cannot be deleted, the others still are, and the first error
/// is returned. Blocks.
pub(crate) fn delete(admin: &dyn Admin, query: &QueryDef, service_id: &str) -> Result<(), TransportError> {
    let failure = |(name, _): (String, bool)| match admin.delete_topic(&name) {
        Err(error) if error.kind != TransportErrorKind::UnknownTopic => Some(error),
        _ => None,
    };
    let failures: Vec<TransportError> = names(query, service_id).into_iter().filter_map(failure).collect();
    failures.into_iter().next().map_or(Ok(()), Err)
}

/// The names of the topics, and whether each is a changelog.
fn names(query: &QueryDef, service_id: &str) -> Vec<(String, bool)> {
    let options = own_topics(service_id, query);
    let exchanges = query.topology.exchanges().map(|exchange| (options.own_topic(&exchange.topic), false));
    exchanges.chain(query.topology.stores().map(|store| (options.changelog(store), true))).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use headwater_connectors::transport::Transport as _;
    use headwater_connectors::transport::faults::{Call, Fault, FaultyTransport, Plan};
    use headwater_connectors::transport::memory::MemoryTransport;
    use headwater_language::config::Settings;

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
            assert_eq!(setting("retention.bytes"), (!is_changelog).then_some("-1"), "{name}");
        }
    }

    /// Refuses the first deletion.
    #[derive(Default)]
    struct FirstRefused(AtomicBool);

    impl Plan for FirstRefused {
        fn fault(&self, call: Call) -> Option<Fault> {
            (call == Call::DeleteTopic && !self.0.swap(true, Ordering::Relaxed)).then_some(Fault::Refused)
        }

        fn cut(&self, records: usize) -> usize {
            records
        }
    }

    #[tokio::test]
    async fn the_others_are_deleted_if_one_cannot_be() {
        let (cluster, query) = counting().await;
        ensure(cluster.admin(), &query, "default_").expect("topics");
        let faulty = FaultyTransport::new(Arc::new(cluster.clone()), Arc::<FirstRefused>::default());
        delete(faulty.admin(), &query, "default_").expect_err("the first one is refused");
        let exists = |(name, _): &(String, bool)| cluster.admin().topic(name).expect("an answer").is_some();
        assert_eq!(names(&query, "default_").iter().map(exists).collect::<Vec<_>>(), [true, false]);
        delete(faulty.admin(), &query, "default_").expect("one is there, one is not");
    }
}
