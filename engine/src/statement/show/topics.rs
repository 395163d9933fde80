//! SHOW TOPICS.

use headwater_connectors::transport::{Admin, Isolation, TopicInfo, TransportError};
use headwater_language::diagnostic::Diagnostic;

use super::super::Context;
use crate::answer::{Facts, TopicListing};
use crate::runtime::{OWN_TOPICS, blocking, refused};

/// Topics that only SHOW ALL TOPICS lists.
const HIDDEN: [&str; 4] = [OWN_TOPICS, "_confluent", "__", "_schemas"];

/// Lists the topics of the cluster; with `extended`, with their sizes.
pub(super) async fn run(all: bool, extended: bool, context: &mut Context<'_>) -> Result<Facts, Vec<Diagnostic>> {
    let transport = context.process.transport().clone();
    let topics = blocking(move || listed(transport.admin(), all, extended)).await?.map_err(refused)?;
    Ok(Facts::Topics { topics, extended })
}

/// Blocks.
fn listed(admin: &dyn Admin, all: bool, extended: bool) -> Result<Vec<TopicListing>, TransportError> {
    let is_hidden = |topic: &TopicInfo| HIDDEN.iter().any(|hidden| topic.name.starts_with(hidden));
    let listing = |TopicInfo { name, partitions, replicas }| {
        let offsets = if extended { Some(offsets(admin, &name)?) } else { None };
        Ok(TopicListing { name, partitions, replicas, offsets })
    };
    admin.topics()?.into_iter().filter(|topic| all || !is_hidden(topic)).map(listing).collect()
}

fn offsets(admin: &dyn Admin, topic: &str) -> Result<i64, TransportError> {
    let marks = admin.watermarks(topic, Isolation::ReadUncommitted)?;
    Ok(marks.iter().map(|marks| marks.end - marks.start).sum())
}
