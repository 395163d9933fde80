//! A member of a consumer group whose calls fail according to a plan.

use std::collections::BTreeMap;
use std::time::Duration;

use headwater_formats::record::TopicPartition;

use super::Call;
use super::gate::Gate;
use crate::transport::{Member, MemberEvent, Membership, Position, TransportError};

/// A member that follows a plan.
pub(super) struct FaultyMember(pub(super) Gate<Box<dyn Member>>);

impl Member for FaultyMember {
    fn poll(&mut self, timeout: Duration) -> Result<Option<MemberEvent>, TransportError> {
        self.0.call_mut(Call::PollMember, |member| member.poll(timeout))
    }

    fn release(&mut self) -> Result<(), TransportError> {
        self.0.call_mut(Call::Release, |member| member.release())
    }

    fn commit(&mut self, offsets: &BTreeMap<TopicPartition, Position>) -> Result<(), TransportError> {
        self.0.call_mut(Call::CommitOffsets, |member| member.commit(offsets))
    }

    fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<Position>>, TransportError> {
        self.0.call(Call::Committed, |member| member.committed(partitions))
    }

    fn refresh(&mut self) -> Result<(), TransportError> {
        self.0.call_mut(Call::Refresh, |member| member.refresh())
    }

    /// Makes no request, so it cannot fail.
    fn membership(&self) -> Membership {
        self.0.known(|member| member.membership())
    }
}
