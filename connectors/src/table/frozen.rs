//! The logs of a query's topics, frozen when the query first looks at them: all of its scans read up to the same
//! offsets.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_formats::record::TopicPartition;
use parking_lot::Mutex;

use crate::transport::{Admin, Extent, Isolation, LossCause, Lost, TransportError, TransportErrorKind};

/// The logs of one query, each frozen when a scan first asks for it.
#[derive(Debug, Default)]
pub struct FrozenLogs {
    topics: Mutex<BTreeMap<Arc<str>, Slot>>,
}

/// The log of a topic once it is frozen. The first scan that asks freezes it; the others wait.
type Slot = Arc<Mutex<Option<Arc<Extent>>>>;

impl FrozenLogs {
    /// Returns the frozen logs of a topic. Blocks if they are not frozen yet; fails if the cluster cannot be asked.
    pub fn of(&self, admin: &dyn Admin, topic: &Arc<str>, isolation: Isolation) -> Result<Arc<Extent>, TransportError> {
        let place = self.topics.lock().entry(topic.clone()).or_default().clone();
        let mut frozen = place.lock();
        if let Some(extent) = &*frozen {
            return Ok(extent.clone());
        }
        let extent = Arc::new(admin.extent(topic, isolation)?);
        *frozen = Some(extent.clone());
        Ok(extent)
    }

    /// The topics that were deleted and created again since they were frozen, so that the records read may come from
    /// either topic. Call it after everything was read. Blocks; fails if the cluster cannot be asked.
    pub fn recreated(&self, admin: &dyn Admin) -> Result<Vec<Lost>, TransportError> {
        let frozen: Vec<_> = self.topics.lock().iter().map(|(topic, place)| (topic.clone(), place.clone())).collect();
        let mut lost = Vec::new();
        for (topic, place) in frozen {
            let meant = place.lock().as_ref().and_then(|extent| extent.id);
            if meant.is_some() && is_other(admin.topic_id(&topic), meant)? {
                let partition = TopicPartition::new(topic, 0);
                lost.push(Lost { partition, cause: LossCause::Recreated, from: 0, to: 0 });
            }
        }
        Ok(lost)
    }
}

/// Whether a topic is not the expected one. A topic that no longer exists counts as the expected one: it existed until
/// everything was read.
fn is_other<T: PartialEq>(found: Result<T, TransportError>, meant: T) -> Result<bool, TransportError> {
    match found {
        Ok(found) => Ok(found != meant),
        Err(error) if error.kind == TransportErrorKind::UnknownTopic => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::memory::MemoryTransport;
    use crate::transport::{NewTopic, Transport};

    #[test]
    fn tells_topics_that_were_created_again() {
        let cluster = MemoryTransport::new();
        let create = |name: &str| {
            let topic = NewTopic { name: name.to_owned(), partitions: 2, replicas: None, settings: BTreeMap::new() };
            cluster.admin().create_topic(&topic).unwrap();
        };
        ["kept", "again", "gone"].into_iter().for_each(create);
        let frozen = FrozenLogs::default();
        for topic in ["kept", "again", "gone"] {
            frozen.of(cluster.admin(), &topic.into(), Isolation::ReadCommitted).unwrap();
        }
        assert_eq!(frozen.recreated(cluster.admin()).unwrap(), []);
        ["again", "gone"].into_iter().for_each(|topic| cluster.admin().delete_topic(topic).unwrap());
        create("again");
        let lost: Vec<String> = frozen.recreated(cluster.admin()).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(lost, ["topic \"again\" was deleted and created again while it was read"]);
    }

    /// Records written and topics created after the first scan are not visible to scans that are planned later.
    #[test]
    fn is_frozen_once() {
        let cluster = MemoryTransport::new();
        let topic = NewTopic { name: "t".to_owned(), partitions: 1, replicas: None, settings: BTreeMap::new() };
        cluster.admin().create_topic(&topic).unwrap();
        let frozen = FrozenLogs::default();
        let first = frozen.of(cluster.admin(), &"t".into(), Isolation::ReadCommitted).unwrap();
        cluster.add_partitions("t", 3).unwrap();
        assert_eq!(frozen.of(cluster.admin(), &"t".into(), Isolation::ReadCommitted).unwrap(), first);
    }
}
