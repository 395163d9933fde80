//! The rebalances of a group as its client sees them, and how the client responds: it accepts an assignment without
//! reading any of it.
//!
//! librdkafka keeps two separate lists: what the group assigned, and what the application assigned to the client. The
//! response to an assignment is an empty list, so the client has nothing to fetch and the group is satisfied. A
//! revocation is confirmed by `release`; until then librdkafka continues its heartbeats and the group waits.

use std::collections::VecDeque;
use std::sync::Arc;

use headwater_formats::record::TopicPartition;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::KafkaResult;
use rdkafka::types::RDKafkaRespErr;

use super::context::Context;
use super::errors;
use crate::transport::{MemberEvent, TransportError};

/// The membership state of one client: written by callbacks, read by its [`KafkaMember`](super::member::KafkaMember).
#[derive(Default)]
pub(super) struct Rebalances {
    events: VecDeque<Result<MemberEvent, TransportError>>,
    generation: MemberGeneration,
    /// `Revoked` was returned and is not confirmed yet.
    releasing: bool,
    /// The client is about to be closed: revocations will not be confirmed any more.
    leaving: bool,
}

/// The member id and generation under which offsets are committed; `None` while the member has no assignment.
#[derive(Clone, Default)]
pub(super) struct MemberGeneration(Option<Arc<ConsumerGroupMetadata>>);

impl MemberGeneration {
    /// The member id and generation as a transaction needs them.
    pub(super) fn metadata(&self) -> Option<&ConsumerGroupMetadata> {
        self.0.as_deref()
    }
}

impl Rebalances {
    /// Handles an event of the group. It is kept until the next poll, and answered at once if the caller need not
    /// confirm it.
    pub(super) fn rebalance(
        &mut self,
        client: &BaseConsumer<Context>,
        code: RDKafkaRespErr,
        partitions: &TopicPartitionList,
    ) {
        let answered = match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assigned(client, partitions),
            _ if self.leaving || client.assignment_lost() => self.lost(client),
            _ => {
                self.releasing = true;
                self.events.push_back(Ok(MemberEvent::Revoked));
                Ok(())
            }
        };
        if let Err(error) = answered {
            self.events.push_back(Err(errors::call_failed("could not respond to a rebalance of the group", &error)));
        }
    }

    /// The next event, in the form that `poll` returns.
    pub(super) fn take_event(&mut self) -> Option<Result<MemberEvent, TransportError>> {
        self.events.pop_front()
    }

    /// The current member id and generation.
    pub(super) fn generation(&self) -> MemberGeneration {
        self.generation.clone()
    }

    /// Confirms a revocation; false if there is none.
    pub(super) fn release(&mut self) -> bool {
        let releasing = std::mem::take(&mut self.releasing);
        if releasing {
            self.generation = MemberGeneration(None);
        }
        releasing
    }

    /// From now on everything is released immediately.
    pub(super) fn leave(&mut self) {
        self.leaving = true;
    }

    /// The generation is read here and not later: the group waits while an assignment is answered, and afterwards
    /// librdkafka forgets member id and generation one by one when it loses them. Without both, a commit would count as
    /// one from outside the group, which is not checked.
    fn assigned(&mut self, client: &BaseConsumer<Context>, partitions: &TopicPartitionList) -> KafkaResult<()> {
        self.generation = MemberGeneration(client.group_metadata().map(Arc::new));
        let named = |(topic, partition): &(String, i32)| TopicPartition::new(topic.as_str(), *partition);
        let mut assigned: Vec<_> = partitions.to_topic_map().keys().map(named).collect();
        assigned.sort_unstable();
        self.events.push_back(Ok(MemberEvent::Assigned(assigned)));
        client.assign(&TopicPartitionList::new())
    }

    fn lost(&mut self, client: &BaseConsumer<Context>) -> KafkaResult<()> {
        (self.generation, self.releasing) = (MemberGeneration(None), false);
        self.events.push_back(Ok(MemberEvent::Lost));
        client.unassign()
    }
}
