//! The rebalances of a group as its client sees them, and how the client responds: by taking an assignment
//! without reading a byte of it.
//!
//! librdkafka keeps two lists apart: what the group gave, and what the application assigned to the client. An
//! assignment is answered with an empty list, so the client has nothing to fetch and the group is content. A
//! revocation is answered by `release`, and until then librdkafka keeps up its heartbeats and the group waits.

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

/// The seat of one client: written by callbacks, read by its member.
#[derive(Default)]
pub(super) struct Seat {
    events: VecDeque<Result<MemberEvent, TransportError>>,
    place: Place,
    /// `Revoked` was returned and is not confirmed yet.
    releasing: bool,
    /// The client is about to be closed: nobody will answer any more.
    leaving: bool,
}

/// A place in a group, under which offsets are committed; none while the member has nothing.
#[derive(Clone, Default)]
pub(super) struct Place(Option<Arc<ConsumerGroupMetadata>>);

impl Place {
    /// Member and generation, in the form that a transaction wants.
    pub(super) fn metadata(&self) -> Option<&ConsumerGroupMetadata> {
        self.0.as_deref()
    }
}

impl Seat {
    /// Takes what the group says. It is kept until the next poll, and answered here where nobody needs to be asked.
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

    /// The next event, which is the same as a poll's.
    pub(super) fn take_event(&mut self) -> Option<Result<MemberEvent, TransportError>> {
        self.events.pop_front()
    }

    /// The place as it is now.
    pub(super) fn place(&self) -> Place {
        self.place.clone()
    }

    /// Ends the wait of a revocation; false when there is none.
    pub(super) fn release(&mut self) -> bool {
        let releasing = std::mem::take(&mut self.releasing);
        if releasing {
            self.place = Place(None);
        }
        releasing
    }

    /// From now on everything is given up at once.
    pub(super) fn leave(&mut self) {
        self.leaving = true;
    }

    /// The place is taken here and nowhere later: while it is answered the group stands still, and afterwards
    /// librdkafka forgets member and generation one by one when it loses them. Without both a commit would
    /// pass for one from outside, which is not checked.
    fn assigned(&mut self, client: &BaseConsumer<Context>, partitions: &TopicPartitionList) -> KafkaResult<()> {
        self.place = Place(client.group_metadata().map(Arc::new));
        let named = |(topic, partition): &(String, i32)| TopicPartition::new(topic.as_str(), *partition);
        let mut assigned: Vec<_> = partitions.to_topic_map().keys().map(named).collect();
        assigned.sort_unstable();
        self.events.push_back(Ok(MemberEvent::Assigned(assigned)));
        client.assign(&TopicPartitionList::new())
    }

    fn lost(&mut self, client: &BaseConsumer<Context>) -> KafkaResult<()> {
        (self.place, self.releasing) = (Place(None), false);
        self.events.push_back(Ok(MemberEvent::Lost));
        client.unassign()
    }
}
