//! The topics that belong to one query alone: its exchanges, and the changelogs of its stores.
//!
//! They are created when the query first runs and deleted when it is terminated. Nothing in an exchange is deleted before
//! it is read, and a changelog keeps the last value of each key, so neither has a retention.

use std::collections::BTreeMap;

use headwater_connectors::transport::{Admin, NewTopic, TransportError, TransportErrorKind};
use headwater_language::catalog::QueryDef;

use super::job::own_topics;
use super::opening::partitions_of;
use super::topics::{self, BYTES_MAX, CLEANUP, RETENTION, WORDS_BYTES};

/// The settings of a changelog.
const CHANGELOG: &[(&str, &str)] = &[(CLEANUP, "compact")];

/// The settings of an exchange, whatever the cluster's are: no record goes before it is read, and each keeps the event time
/// of its row.
const EXCHANGE: &[(&str, &str)] =
    &[(CLEANUP, "delete"), (RETENTION, "-1"), ("retention.bytes", "-1"), ("message.timestamp.type", "CreateTime")];

/// Creates the topics that a query lacks, with as many partitions as its output. Blocks.
pub(super) fn ensure(admin: &dyn Admin, query: &QueryDef, service_id: &str) -> Result<(), TransportError> {
    let names = names(query, service_id);
    let (Some(sink), false) = (query.topology.sink(), names.is_empty()) else { return Ok(()) };
    let partitions = partitions_of(admin, &sink.topic)?;
    let input = admin.topic_settings(&query.topology.source().topic)?;
    let bytes_max = input.get(BYTES_MAX).and_then(|bytes| bytes.parse::<i64>().ok());
    // A record of an exchange carries the address of the record that it was made from.
    let bytes_max = bytes_max.map(|bytes| bytes.saturating_add(WORDS_BYTES).min(i32::MAX.into()).to_string());
    for (name, is_changelog) in names {
        let mut settings: BTreeMap<String, String> =
            bytes_max.iter().map(|b| (BYTES_MAX.to_owned(), b.clone())).collect();
        let own = if is_changelog { CHANGELOG } else { EXCHANGE };
        settings.extend(own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        topics::make_if_missing(admin, &NewTopic { name, partitions, replicas: None, settings })?;
    }
    Ok(())
}

/// Deletes the topics of a query that was terminated. Blocks.
pub(crate) fn delete(admin: &dyn Admin, query: &QueryDef, service_id: &str) -> Result<(), TransportError> {
    for (name, _) in names(query, service_id) {
        match admin.delete_topic(&name) {
            Err(error) if error.kind != TransportErrorKind::UnknownTopic => return Err(error),
            _ => {}
        }
    }
    Ok(())
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

    use headwater_connectors::transport::Transport as _;
    use headwater_connectors::transport::memory::MemoryTransport;
    use headwater_language::config::Settings;

    use super::*;
    use crate::{Engine, Session};

    /// Goal: neither the size nor the time limits of a cluster change what an exchange holds. Method: the settings that its
    /// topic is created with.
    #[tokio::test]
    async fn an_exchange_keeps_every_record_and_its_time() {
        let cluster = MemoryTransport::new();
        let engine = Engine::driven(Arc::new(cluster.clone()), &Settings::default());
        let mut session = Session::new(Settings::default());
        for statement in [
            "SET 'headwater.unfinished.aggregates' = 'true';",
            "CREATE STREAM s (k STRING KEY) WITH (KAFKA_TOPIC = 's', PARTITIONS = 1, VALUE_FORMAT = 'JSON');",
            "CREATE TABLE o AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;",
        ] {
            engine.ask(&mut session, statement).await.unwrap_or_else(|errors| panic!("{statement}: {errors:?}"));
        }
        let catalog = engine.catalog().await.expect("it is known");
        let query = catalog.queries().next().expect("there is one");
        ensure(cluster.admin(), query, "default").expect("there is room");
        let of = |name: &str| cluster.admin().topic_settings(name).expect("it exists");
        for (name, is_changelog) in names(query, "default") {
            let (settings, own) = (of(&name), if is_changelog { CHANGELOG } else { EXCHANGE });
            own.iter().for_each(|(name, value)| assert_eq!(settings.get(*name).map(String::as_str), Some(*value)));
        }
    }
}
