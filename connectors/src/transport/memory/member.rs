//! A member of a consumer group of a simulated cluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use headwater_formats::record::TopicPartition;

use super::Shared;
use super::group::{MemberGeneration, MemberId};
use crate::transport::{GroupPlan, Member, MemberEvent, Membership, Position, TransportError};

/// A member. The cluster keeps its next event; its own view of the membership is kept here, so that a member whose
/// session has ended still acts on it until it polls.
pub(super) struct MemoryMember {
    cluster: Shared,
    plan: GroupPlan,
    process: Arc<str>,
    id: MemberId,
    /// Set from `Assigned` until it is released or lost.
    generation: Option<MemberGeneration>,
}

impl MemoryMember {
    pub(super) fn join(cluster: Shared, plan: GroupPlan, process: Arc<str>) -> Result<Self, TransportError> {
        let id = cluster.lock().join(&plan, &process)?;
        Ok(Self { cluster, plan, process, id, generation: None })
    }
}

impl Member for MemoryMember {
    /// Never blocks: in a simulated cluster no time passes during a call.
    fn poll(&mut self, _: Duration) -> Result<Option<MemberEvent>, TransportError> {
        let mut cluster = self.cluster.lock();
        cluster.check_topics(&self.plan)?;
        if !cluster.group(&self.plan.group).is_member(self.id) {
            self.id = cluster.join(&self.plan, &self.process)?;
            if self.generation.take().is_some() {
                return Ok(Some(MemberEvent::Lost));
            }
        }
        let group = cluster.group(&self.plan.group);
        let event = group.take_event(self.id);
        if let Some(MemberEvent::Assigned(_)) = event {
            self.generation = Some(group.generation_of(self.id));
        }
        Ok(event)
    }

    fn release(&mut self) -> Result<(), TransportError> {
        let mut cluster = self.cluster.lock();
        // A member that lost its session while releasing has nothing to release: it rejoins at its next poll.
        if cluster.group(&self.plan.group).is_member(self.id) && !cluster.release(&self.plan.group, self.id) {
            return Err(TransportError::invalid(format!(
                "no partitions are revoked from this member of group \"{}\"",
                self.plan.group
            )));
        }
        self.generation = None;
        Ok(())
    }

    fn commit(&mut self, offsets: &BTreeMap<TopicPartition, Position>) -> Result<(), TransportError> {
        self.cluster.lock().commit_outside(&self.membership(), offsets)
    }

    fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<Position>>, TransportError> {
        let (cluster, group) = (self.cluster.lock(), &self.plan.group);
        Ok(partitions.iter().map(|partition| (partition.clone(), cluster.committed(group, partition))).collect())
    }

    fn refresh(&mut self) -> Result<(), TransportError> {
        self.cluster.lock().refresh(&self.plan.group);
        Ok(())
    }

    fn membership(&self) -> Membership {
        Membership::of_member(&self.plan.group, self.generation)
    }
}

impl Drop for MemoryMember {
    fn drop(&mut self) {
        self.cluster.lock().leave(&self.plan.group, self.id);
    }
}
