//! Requests about consumer groups and their offsets.

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest,
    ListGroupsRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest, SyncGroupRequest,
};

use super::{Added, Requests, group, text, topic};

const MEMBER: &str = "member-1";
const SUBSCRIPTION: &[u8] = b"\x00\x00\x00\x00\x00\x01\x00\x06target\xff\xff\xff\xff";

pub(super) fn offset_commit(to: &mut Requests) -> Added {
    let offset = |index| {
        OffsetCommitRequestPartition::default()
            .with_partition_index(index)
            .with_committed_offset(5)
            .with_committed_metadata(Some(text("note")))
    };
    let offsets = OffsetCommitRequestTopic::default().with_name(topic()).with_partitions(vec![offset(0), offset(1)]);
    let request = OffsetCommitRequest::default().with_group_id(group()).with_topics(vec![offsets]);
    to.add(&request.clone().with_generation_id_or_member_epoch(-1))?;
    to.add(&request.with_generation_id_or_member_epoch(1).with_member_id(text(MEMBER)))
}

pub(super) fn offset_fetch(to: &mut Requests) -> Added {
    if to.version < 8 {
        let asked = OffsetFetchRequestTopic::default().with_name(topic()).with_partition_indexes(vec![0, 1]);
        return to.add(&OffsetFetchRequest::default().with_group_id(group()).with_topics(Some(vec![asked])));
    }
    let asked = OffsetFetchRequestTopics::default().with_name(topic()).with_partition_indexes(vec![0, 1]);
    let some = OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(Some(vec![asked]));
    let all = OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(None);
    to.add(&OffsetFetchRequest::default().with_groups(vec![some, all]).with_require_stable(true))
}

/// Of new members, which take part if the version needs no second request, and of one that is unknown.
pub(super) fn join_group(to: &mut Requests) -> Added {
    let protocol = |name| {
        JoinGroupRequestProtocol::default().with_name(text(name)).with_metadata(Bytes::from_static(SUBSCRIPTION))
    };
    let mut request = JoinGroupRequest::default()
        .with_group_id(group())
        .with_session_timeout_ms(6_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol("range"), protocol("roundrobin")]);
    if to.version >= 1 {
        request = request.with_rebalance_timeout_ms(10);
    }
    if to.version >= 5 {
        to.add(&request.clone().with_group_instance_id(Some(text("instance"))))?;
    }
    to.add(&request)?;
    to.add(&request.with_member_id(text(MEMBER)))
}

pub(super) fn sync_group(to: &mut Requests) -> Added {
    let assignment = SyncGroupRequestAssignment::default()
        .with_member_id(text(MEMBER))
        .with_assignment(Bytes::from_static(SUBSCRIPTION));
    let request = SyncGroupRequest::default()
        .with_group_id(group())
        .with_generation_id(1)
        .with_member_id(text(MEMBER))
        .with_assignments(vec![assignment]);
    match to.version {
        5.. => to.add(&request.with_protocol_type(Some(text("consumer"))).with_protocol_name(Some(text("range")))),
        _ => to.add(&request),
    }
}

pub(super) fn heartbeat(to: &mut Requests) -> Added {
    to.add(&HeartbeatRequest::default().with_group_id(group()).with_generation_id(1).with_member_id(text(MEMBER)))
}

pub(super) fn leave_group(to: &mut Requests) -> Added {
    let request = LeaveGroupRequest::default().with_group_id(group());
    match to.version {
        3.. => {
            let [member, instance] =
                [MemberIdentity::default().with_member_id(text(MEMBER)), MemberIdentity::default()];
            to.add(&request.with_members(vec![member, instance.with_group_instance_id(Some(text("instance")))]))
        }
        _ => to.add(&request.with_member_id(text(MEMBER))),
    }
}

pub(super) fn describe_groups(to: &mut Requests) -> Added {
    to.add(&DescribeGroupsRequest::default().with_groups(vec![group(), group()]))
}

pub(super) fn list_groups(to: &mut Requests) -> Added {
    let request = ListGroupsRequest::default();
    to.add(&request)?;
    match to.version {
        4.. => to.add(&request.with_states_filter(vec![text("Stable"), text("Empty")])),
        _ => Ok(()),
    }
}

pub(super) fn delete_groups(to: &mut Requests) -> Added {
    to.add(&DeleteGroupsRequest::default().with_groups_names(vec![group()]))
}

pub(super) fn offset_delete(to: &mut Requests) -> Added {
    let asked = OffsetDeleteRequestPartition::default().with_partition_index(1);
    let asked = OffsetDeleteRequestTopic::default().with_name(topic()).with_partitions(vec![asked]);
    to.add(&OffsetDeleteRequest::default().with_group_id(group()).with_topics(vec![asked]))
}
