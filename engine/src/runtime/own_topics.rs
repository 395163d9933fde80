//! The topics that belong to one query alone: its exchanges, and the changelogs of its stores.
//!
//! They are created when the query first runs and deleted when it is terminated. Nothing in an exchange is deleted before
//! it is read, and a changelog keeps the last value of each key, so neither has a retention.

use std::collections::BTreeMap;

use headwater_connectors::transport::{Admin, NewTopic, TransportError, TransportErrorKind};
use headwater_language::catalog::QueryDef;

use super::job::own_topics;
use super::opening::partitions_of;
use super::topics::{self, BYTES_MAX, RETENTION, WORDS_BYTES};

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
        match is_changelog {
            true => drop(settings.insert("cleanup.policy".to_owned(), "compact".to_owned())),
            false => {
                settings.insert("cleanup.policy".to_owned(), "delete".to_owned());
                settings.insert(RETENTION.to_owned(), "-1".to_owned());
            }
        }
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
