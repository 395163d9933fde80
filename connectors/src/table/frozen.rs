//! The logs of a query's topics as they were when the query first looked at them: every scan of it reads from the same ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_formats::record::TopicPartition;
use parking_lot::Mutex;

use crate::transport::{Admin, Extent, Isolation, LossCause, Lost, TransportError, TransportErrorKind};

/// The logs of one query, each frozen when a scan first asks for it.
#[derive(Debug, Default)]
pub struct FrozenLogs {
    topics: Mutex<BTreeMap<Arc<str>, Place>>,
}

/// The log of a topic once it is frozen; who asks first freezes it, the others wait.
type Place = Arc<Mutex<Option<Arc<Extent>>>>;

impl FrozenLogs {
    /// The logs of a topic. Blocks where they are not frozen yet; fails as the cluster's answers fail.
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

    /// The topics that were deleted and created again since they were frozen: what was read of them is of either. To be
    /// asked when all is read. Blocks; fails as the cluster's answers fail.
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

/// Whether a topic is another than the one that is meant. One that is gone was there until all was read.
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

    /// What is written or created later is not seen by scans that are planned later.
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
