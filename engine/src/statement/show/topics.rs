//! SHOW TOPICS.

use std::collections::HashMap;
use std::sync::Arc;

use headwater_connectors::schemas::{RegistryError, Schemas};
use headwater_connectors::transport::{Admin, Isolation, TopicInfo, TransportError};
use headwater_formats::format::FormatKind;
use headwater_formats::record::Side;
use headwater_language::catalog::Catalog;
use headwater_language::diagnostic::Diagnostic;
use headwater_planner::schemas::subject;

use super::super::Context;
use super::super::schemas::with_setting;
use crate::answer::{Facts, TopicListing};
use crate::runtime::{OWN_TOPICS, blocking, refused};

/// Topics that only SHOW ALL TOPICS lists.
const HIDDEN: [&str; 4] = [OWN_TOPICS, "_confluent", "__", "_schemas"];

/// Lists the topics of the cluster; with `extended`, with their sizes and formats.
pub(super) async fn run(all: bool, extended: bool, context: &mut Context<'_>) -> Result<Facts, Vec<Diagnostic>> {
    let transport = context.process.transport().clone();
    let formats = if extended { Some(Formats::new(&*context.catalog().await?, transport.schemas())) } else { None };
    let (topics, remark) = blocking(move || listed(transport.admin(), all, formats)).await?.map_err(refused)?;
    Ok(Facts::Topics { topics, extended, remark })
}

/// The topics, and why formats may be missing. Blocks.
fn listed(
    admin: &dyn Admin,
    all: bool,
    mut formats: Option<Formats>,
) -> Result<(Vec<TopicListing>, Option<String>), TransportError> {
    let is_hidden = |topic: &TopicInfo| HIDDEN.iter().any(|hidden| topic.name.starts_with(hidden));
    let listing = |TopicInfo { name, partitions, replicas }| {
        let offsets = if formats.is_some() { Some(offsets(admin, &name)?) } else { None };
        let formats = formats.as_mut().map(|formats| formats.of(&name));
        Ok(TopicListing { name, partitions, replicas, offsets, formats })
    };
    let topics = admin.topics()?.into_iter().filter(|topic| all || !is_hidden(topic)).map(listing);
    let topics = topics.collect::<Result<_, TransportError>>()?;
    Ok((topics, formats.and_then(|formats| formats.remark())))
}

fn offsets(admin: &dyn Admin, topic: &str) -> Result<i64, TransportError> {
    let marks = admin.watermarks(topic, Isolation::ReadUncommitted)?;
    Ok(marks.iter().map(|marks| marks.end - marks.start).sum())
}

/// What is known of the formats of topics.
struct Formats {
    /// The formats of key and value that a stream or table declares.
    declared: HashMap<String, [String; 2]>,
    schemas: Arc<dyn Schemas>,
    /// How the registry failed; then it is not asked for every other topic.
    failure: Option<RegistryError>,
}

impl Formats {
    fn new(catalog: &Catalog, schemas: Arc<dyn Schemas>) -> Self {
        let formats = catalog.sources().map(|source| {
            let formats = [&source.key, &source.value].map(|side| side.format.clone());
            (source.topic.clone(), formats)
        });
        Self { declared: formats.collect(), schemas, failure: None }
    }

    fn of(&mut self, topic: &str) -> [String; 2] {
        match self.declared.get(topic) {
            Some(declared) => declared.clone(),
            None => [Side::Key, Side::Value].map(|side| self.registered(topic, side)),
        }
    }

    fn registered(&mut self, topic: &str, side: Side) -> String {
        if self.failure.is_some() {
            return String::new();
        }
        match self.schemas.latest(&subject(topic, side)) {
            Ok(found) => FormatKind::of_schemas(found.schema.kind).to_string(),
            Err(error) => {
                let is_answer = matches!(error, RegistryError::NotFound { .. } | RegistryError::Invalid { .. });
                self.failure = Some(error).filter(|_| !is_answer);
                String::new()
            }
        }
    }

    /// Why the formats of some topics are not known: the registry failed. Nothing if there is none.
    fn remark(&self) -> Option<String> {
        let failure = self.failure.as_ref().filter(|failure| !matches!(failure, RegistryError::NotGiven))?;
        Some(format!("Formats that only the schema registry knows are not shown: {}", with_setting(failure)))
    }
}
