//! Topics, offsets and settings of a simulated cluster.

use std::collections::{BTreeMap, BTreeSet};

use headwater_formats::record::{RecordLimits, TopicPartition};

use super::Shared;
use crate::transport::{
    Admin, Extent, Glance, Isolation, NewTopic, Position, TopicId, TopicInfo, TransportError, Watermarks,
};

/// The [`Admin`] of a simulated cluster.
pub(super) struct MemoryAdmin {
    pub(super) cluster: Shared,
}

impl Admin for MemoryAdmin {
    fn topics(&self) -> Result<Vec<TopicInfo>, TransportError> {
        Ok(self.cluster.lock().topics())
    }

    fn topic(&self, name: &str) -> Result<Option<TopicInfo>, TransportError> {
        Ok(self.cluster.lock().topic(name).cloned())
    }

    fn create_topic(&self, topic: &NewTopic) -> Result<(), TransportError> {
        self.cluster.lock().create(topic)
    }

    fn delete_topic(&self, name: &str) -> Result<(), TransportError> {
        self.cluster.lock().delete(name)
    }

    fn watermarks(&self, topic: &str, isolation: Isolation) -> Result<Vec<Watermarks>, TransportError> {
        Ok(self.cluster.lock().logs(topic)?.iter().map(|log| log.watermarks(isolation)).collect())
    }

    fn extent(&self, topic: &str, isolation: Isolation) -> Result<Extent, TransportError> {
        let cluster = self.cluster.lock();
        let marks = cluster.logs(topic)?.iter().map(|log| log.watermarks(isolation)).collect();
        Ok(Extent { id: Some(cluster.topic_id(topic)?), marks })
    }

    fn topic_id(&self, topic: &str) -> Result<Option<TopicId>, TransportError> {
        self.cluster.lock().topic_id(topic).map(Some)
    }

    fn glance(&self, topic: &str) -> Result<Option<Glance>, TransportError> {
        let cluster = self.cluster.lock();
        let glance = |partitions| Ok(Glance { id: Some(cluster.topic_id(topic)?), partitions });
        cluster.topic(topic).map(|info| glance(info.partitions)).transpose()
    }

    fn glance_now(&self, topic: &str) -> Result<Option<Glance>, TransportError> {
        self.glance(topic)
    }

    fn offsets_for_times(
        &self,
        times_ms: &BTreeMap<TopicPartition, i64>,
    ) -> Result<BTreeMap<TopicPartition, Option<i64>>, TransportError> {
        let cluster = self.cluster.lock();
        let find = |(partition, time_ms): (&TopicPartition, &i64)| {
            Ok((partition.clone(), cluster.log(partition)?.offset_for_time(*time_ms)))
        };
        times_ms.iter().map(find).collect()
    }

    fn topic_settings(&self, topic: &str) -> Result<BTreeMap<String, String>, TransportError> {
        Ok(self.cluster.lock().settings(topic)?.clone())
    }

    fn committed_offsets(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<Position>>, TransportError> {
        let cluster = self.cluster.lock();
        Ok(partitions.iter().map(|partition| (partition.clone(), cluster.committed(group, partition))).collect())
    }

    fn record_limits(&self, topic: &str) -> Result<RecordLimits, TransportError> {
        self.cluster.lock().limits(topic)
    }

    fn cluster_id(&self) -> Result<Option<String>, TransportError> {
        Ok(Some("memory".to_owned()))
    }

    fn group_members(&self, groups: &[String]) -> Result<BTreeMap<String, usize>, TransportError> {
        let cluster = self.cluster.lock();
        Ok(groups.iter().map(|group| (group.clone(), cluster.members(group))).collect())
    }

    fn groups(&self) -> Result<BTreeSet<String>, TransportError> {
        Ok(self.cluster.lock().groups())
    }

    fn delete_group(&self, group: &str) -> Result<bool, TransportError> {
        Ok(self.cluster.lock().delete_group(group))
    }

    fn delete_records(&self, before: &BTreeMap<TopicPartition, i64>) -> Result<(), TransportError> {
        let mut cluster = self.cluster.lock();
        before.iter().try_for_each(|(partition, offset)| {
            let log = cluster.log_mut(partition)?;
            if *offset > log.watermarks(Isolation::ReadUncommitted).end {
                let message = format!("records of {partition} could not be deleted: offset {offset} is out of range");
                return Err(TransportError::other(message));
            }
            log.delete_before(*offset);
            Ok(())
        })
    }
}
