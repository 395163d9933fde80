//! An [`Admin`] whose calls fail according to a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headwater_formats::record::{RecordLimits, TopicPartition};

use super::Call;
use super::gate::Gate;
use crate::transport::{
    Admin, Extent, Glance, Isolation, NewTopic, Position, TopicId, TopicInfo, Transport, TransportError, Watermarks,
};

/// The [`Admin`] of a transport that follows a plan.
pub(super) struct FaultyAdmin(pub(super) Gate<Arc<dyn Transport>>);

impl FaultyAdmin {
    fn call<R>(
        &self,
        call: Call,
        make: impl FnOnce(&dyn Admin) -> Result<R, TransportError>,
    ) -> Result<R, TransportError> {
        self.0.call(call, |transport| make(transport.admin()))
    }
}

impl Admin for FaultyAdmin {
    fn topics(&self) -> Result<Vec<TopicInfo>, TransportError> {
        self.call(Call::Topics, |admin| admin.topics())
    }

    fn topic(&self, name: &str) -> Result<Option<TopicInfo>, TransportError> {
        self.call(Call::Topic, |admin| admin.topic(name))
    }

    fn create_topic(&self, topic: &NewTopic) -> Result<(), TransportError> {
        self.call(Call::CreateTopic, |admin| admin.create_topic(topic))
    }

    fn delete_topic(&self, name: &str) -> Result<(), TransportError> {
        self.call(Call::DeleteTopic, |admin| admin.delete_topic(name))
    }

    fn watermarks(&self, topic: &str, isolation: Isolation) -> Result<Vec<Watermarks>, TransportError> {
        self.call(Call::Watermarks, |admin| admin.watermarks(topic, isolation))
    }

    fn extent(&self, topic: &str, isolation: Isolation) -> Result<Extent, TransportError> {
        self.call(Call::Extent, |admin| admin.extent(topic, isolation))
    }

    fn topic_id(&self, topic: &str) -> Result<Option<TopicId>, TransportError> {
        self.call(Call::TopicId, |admin| admin.topic_id(topic))
    }

    fn glance(&self, topic: &str) -> Result<Option<Glance>, TransportError> {
        self.call(Call::Glance, |admin| admin.glance(topic))
    }

    fn glance_now(&self, topic: &str) -> Result<Option<Glance>, TransportError> {
        self.call(Call::GlanceNow, |admin| admin.glance_now(topic))
    }

    fn offsets_for_times(
        &self,
        times_ms: &BTreeMap<TopicPartition, i64>,
    ) -> Result<BTreeMap<TopicPartition, Option<i64>>, TransportError> {
        self.call(Call::OffsetsForTimes, |admin| admin.offsets_for_times(times_ms))
    }

    fn topic_settings(&self, topic: &str) -> Result<BTreeMap<String, String>, TransportError> {
        self.call(Call::TopicSettings, |admin| admin.topic_settings(topic))
    }

    fn committed_offsets(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<Position>>, TransportError> {
        self.call(Call::CommittedOffsets, |admin| admin.committed_offsets(group, partitions))
    }

    fn record_limits(&self, topic: &str) -> Result<RecordLimits, TransportError> {
        self.call(Call::RecordLimits, |admin| admin.record_limits(topic))
    }

    fn cluster_id(&self) -> Result<Option<String>, TransportError> {
        self.call(Call::ClusterId, |admin| admin.cluster_id())
    }

    fn group_members(&self, groups: &[String]) -> Result<BTreeMap<String, usize>, TransportError> {
        self.call(Call::GroupMembers, |admin| admin.group_members(groups))
    }

    fn groups(&self) -> Result<BTreeSet<String>, TransportError> {
        self.call(Call::Groups, |admin| admin.groups())
    }

    fn delete_group(&self, group: &str) -> Result<bool, TransportError> {
        self.call(Call::DeleteGroup, |admin| admin.delete_group(group))
    }

    fn delete_records(&self, before: &BTreeMap<TopicPartition, i64>) -> Result<(), TransportError> {
        self.call(Call::DeleteRecords, |admin| admin.delete_records(before))
    }
}
