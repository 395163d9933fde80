//! ConsumerGroupHeartbeat and ConsumerGroupDescribe: consumer groups with the protocol of KIP-848.
//!
//! Separate from `membership` because the two protocols share no request: here a heartbeat does everything, and no request waits.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_group_describe_response::{
    Assignment as DescribedAssignment, DescribedGroup, Member as DescribedMember,
    TopicPartitions as DescribedPartitions,
};
use kafka_protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse, GroupId,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::membership::is_too_large;
use super::{Call, once, text, topic_name};
use crate::clock::now_ms;
use crate::group::{Catalog, ConsumerGroup, Heartbeat, Members, Partitions, Refusal, TopicShape};
use crate::topics::Topics;

/// The type of a member that uses the protocol of its group.
const CONSUMER_MEMBER: i8 = 1;

impl Catalog for Topics {
    fn shape(&self, topic: &str) -> Option<TopicShape> {
        self.get(topic).map(|topic| TopicShape { id: topic.id, partitions: topic.partitions() })
    }

    fn names(&self) -> Vec<String> {
        self.all().iter().map(|topic| topic.name.clone()).collect()
    }
}

/// Has a member join, stay or leave, and says which partitions it may read.
pub(crate) fn heartbeat(call: &Call, request: ConsumerGroupHeartbeatRequest) -> ConsumerGroupHeartbeatResponse {
    let group = request.group_id.to_string();
    let refused = |message| Err(Refusal::new(ResponseError::InvalidRequest, message));
    let reply = if group.is_empty() {
        refused("GroupId can't be empty.")
    } else if is_too_large(&group, subscription_bytes(&request)) {
        refused("The subscription is too large.")
    } else {
        call.core.groups.consumer_heartbeat(&group, &beat(call, request), &*call.core.topics, now_ms())
    };
    let response = ConsumerGroupHeartbeatResponse::default();
    let reply = match reply {
        Ok(reply) => reply,
        Err(Refusal { error, message }) => {
            return response.with_error_code(error.code()).with_error_message(Some(text(message)));
        }
    };
    let topic = |(id, partitions)| TopicPartitions::default().with_topic_id(id).with_partitions(partitions);
    let assignment = |partitions: Partitions| {
        Assignment::default().with_topic_partitions(by_topic(&partitions).into_iter().map(topic).collect())
    };
    response
        .with_member_id(Some(text(reply.member_id)))
        .with_member_epoch(reply.epoch)
        .with_heartbeat_interval_ms(i32::try_from(call.core.config.consumer_heartbeat_ms).unwrap_or(i32::MAX))
        .with_assignment(reply.assignment.map(assignment))
}

/// What of a request is kept for as long as the member stays.
fn subscription_bytes(request: &ConsumerGroupHeartbeatRequest) -> usize {
    let names = request.subscribed_topic_names.iter().flatten().map(|name| name.len());
    let pattern = request.subscribed_topic_regex.as_ref().map_or(0, |pattern| pattern.len());
    names.sum::<usize>() + pattern
}

fn beat(call: &Call, request: ConsumerGroupHeartbeatRequest) -> Heartbeat {
    // In version 0 the broker chooses the id of a new member.
    let is_nameless = call.version == 0 && request.member_epoch == 0 && request.member_id.is_empty();
    let owned = request.topic_partitions.map(|topics| {
        topics.iter().flat_map(|topic| topic.partitions.iter().map(|number| (topic.topic_id, *number))).collect()
    });
    Heartbeat {
        member_id: if is_nameless { Uuid::new_v4().to_string() } else { request.member_id.to_string() },
        epoch: request.member_epoch,
        instance_id: request.instance_id.as_ref().map(StrBytes::to_string),
        rack_id: request.rack_id.as_ref().map(StrBytes::to_string),
        client_id: call.client_id.clone(),
        client_host: format!("/{}", call.peer.ip()),
        rebalance_timeout_ms: Some(request.rebalance_timeout_ms).filter(|ms| *ms >= 0),
        topics: request.subscribed_topic_names.map(|names| names.iter().map(|name| name.to_string()).collect()),
        pattern: request.subscribed_topic_regex.as_ref().map(StrBytes::to_string),
        assignor: request.server_assignor.as_ref().map(StrBytes::to_string),
        owned,
    }
}

fn by_topic(partitions: &Partitions) -> BTreeMap<Uuid, Vec<i32>> {
    let mut topics: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
    for (id, number) in partitions {
        topics.entry(*id).or_default().push(*number);
    }
    topics
}

/// Describes groups with their members, what these have, and what they will have.
pub(crate) fn describe(call: &Call, request: ConsumerGroupDescribeRequest) -> ConsumerGroupDescribeResponse {
    let describe_one = |id: GroupId| {
        let described = call.core.groups.inspect(&id, |view| match view.members {
            Members::Consumer(group) => described(call.version, group),
            Members::Classic(_) => unknown(format!("Group {} is not a consumer group.", id.as_str())),
        });
        described.unwrap_or_else(|| unknown(format!("Group {} not found.", id.as_str()))).with_group_id(id)
    };
    let groups = once(request.group_ids, GroupId::clone);
    ConsumerGroupDescribeResponse::default().with_groups(groups.into_iter().map(describe_one).collect())
}

fn unknown(message: String) -> DescribedGroup {
    DescribedGroup::default()
        .with_error_code(ResponseError::GroupIdNotFound.code())
        .with_error_message(Some(text(message)))
}

fn described(version: i16, group: &ConsumerGroup) -> DescribedGroup {
    let members = group.members().map(|member| {
        let subscription = &member.subscription;
        let described = DescribedMember::default()
            .with_member_id(text(&member.id))
            .with_instance_id(member.instance_id.clone().map(text))
            .with_rack_id(member.rack_id.clone().map(text))
            .with_member_epoch(member.epoch)
            .with_client_id(text(&member.client_id))
            .with_client_host(text(&member.client_host))
            .with_subscribed_topic_names(subscription.topics.iter().map(|name| topic_name(name)).collect())
            .with_subscribed_topic_regex(subscription.pattern.as_ref().map(|pattern| text(pattern.text())))
            .with_assignment(described_assignment(group, &member.assigned))
            .with_target_assignment(described_assignment(group, &group.target(&member.id)));
        if version >= 1 { described.with_member_type(CONSUMER_MEMBER) } else { described }
    });
    DescribedGroup::default()
        .with_group_state(text(group.state_name()))
        .with_group_epoch(group.epoch())
        .with_assignment_epoch(group.target_epoch())
        .with_assignor_name(text(group.assignor().name()))
        .with_members(members.collect())
}

/// Partitions of topics that are gone have no name, and are left out.
fn described_assignment(group: &ConsumerGroup, partitions: &Partitions) -> DescribedAssignment {
    let topics = by_topic(partitions).into_iter().filter_map(|(id, partitions)| {
        let described = DescribedPartitions::default().with_topic_id(id).with_partitions(partitions);
        Some(described.with_topic_name(topic_name(group.topic_name(id)?)))
    });
    DescribedAssignment::default().with_topic_partitions(topics.collect())
}
