//! Consumer groups and their offsets.

use std::time::Duration;

use bytes::Bytes;
use headwater_broker::Config;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse,
    LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest,
    SyncGroupRequest,
};

use crate::client::{Client, Fixture, text, topic};

pub fn group(id: &str) -> GroupId {
    GroupId(text(id))
}

pub fn exercise(client: &mut Client) {
    exercise_membership(client);
    exercise_looking(client);
    exercise_offsets(client);
    exercise_offset_delete(client);
}

pub fn join_request(id: &str, member: &str) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(subscription());
    JoinGroupRequest::default()
        .with_group_id(group(id))
        .with_session_timeout_ms(30_000)
        .with_rebalance_timeout_ms(30_000)
        .with_member_id(text(member))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

/// The metadata of a consumer that subscribes to the topic `subscribed`.
fn subscription() -> Bytes {
    Bytes::from_static(b"\x00\x00\x00\x00\x00\x01\x00\x0asubscribed\xff\xff\xff\xff")
}

/// Joins as the only member, in two steps if the version requires that.
pub fn join(client: &mut Client, version: i16, id: &str) -> JoinGroupResponse {
    let mut answer = client.call(version, &join_request(id, ""));
    if version >= 4 {
        assert_eq!(answer.error_code, ResponseError::MemberIdRequired.code());
        answer = client.call(version, &join_request(id, &answer.member_id));
    }
    assert_eq!((answer.error_code, &answer.leader), (0, &answer.member_id));
    assert_eq!(answer.members[0].metadata, subscription());
    answer
}

pub fn sync(client: &mut Client, version: i16, id: &str, joined: &JoinGroupResponse) -> (i16, Bytes) {
    let assignment = SyncGroupRequestAssignment::default()
        .with_member_id(joined.member_id.clone())
        .with_assignment(Bytes::from_static(b"all"));
    let mut request = SyncGroupRequest::default()
        .with_group_id(group(id))
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
        .with_assignments(vec![assignment]);
    if version >= 5 {
        request = request.with_protocol_type(Some(text("consumer"))).with_protocol_name(Some(text("range")));
    }
    let answer = client.call(version, &request);
    (answer.error_code, answer.assignment)
}

pub fn heartbeat(client: &mut Client, version: i16, id: &str, member: &str, generation: i32) -> i16 {
    let request = HeartbeatRequest::default()
        .with_group_id(group(id))
        .with_generation_id(generation)
        .with_member_id(text(member));
    client.call(version, &request).error_code
}

fn leave(client: &mut Client, version: i16, id: &str, member: &str) -> i16 {
    let request = LeaveGroupRequest::default().with_group_id(group(id));
    if version < 3 {
        return client.call(version, &request.with_member_id(text(member))).error_code;
    }
    let request = request.with_members(vec![MemberIdentity::default().with_member_id(text(member))]);
    client.call(version, &request).members[0].error_code
}

/// The state of a group.
pub fn state(client: &mut Client, id: &str) -> String {
    let answer = client.call(5, &DescribeGroupsRequest::default().with_groups(vec![group(id)]));
    answer.groups[0].group_state.to_string()
}

fn exercise_membership(client: &mut Client) {
    for version in 0..=9 {
        let id = format!("members{version}");
        let joined = join(client, version, &id);
        assert_eq!(joined.generation_id, 1);
        assert_eq!(joined.protocol_name.as_deref(), Some("range"));
        assert_eq!(joined.protocol_type.is_some(), version >= 7);
        let sync_version = version.min(5);
        assert_eq!(sync(client, sync_version, &id, &joined), (0, Bytes::from_static(b"all")));
        let stale = joined.clone().with_generation_id(9);
        assert_eq!(sync(client, sync_version, &id, &stale).0, ResponseError::IllegalGeneration.code());
        let version = version.min(4);
        assert_eq!(heartbeat(client, version, &id, &joined.member_id, 1), 0);
        assert_eq!(heartbeat(client, version, &id, "stranger", 1), ResponseError::UnknownMemberId.code());
        assert_eq!(leave(client, version.min(5), &id, &joined.member_id), 0);
        assert_eq!(leave(client, version.min(5), &id, &joined.member_id), ResponseError::UnknownMemberId.code());
    }
    let joined = join(client, 9, "members5b");
    assert_eq!(leave(client, 5, "members5b", &joined.member_id), 0);
    for version in 0..=9 {
        let nameless = client.call(version, &join_request("", ""));
        assert_eq!(nameless.error_code, ResponseError::InvalidGroupId.code());
        let stranger = client.call(version, &join_request("members0", "stranger"));
        assert_eq!(stranger.error_code, ResponseError::UnknownMemberId.code());
    }
}

fn exercise_looking(client: &mut Client) {
    let joined = join(client, 5, "looked-at");
    sync(client, 3, "looked-at", &joined);
    for version in 0..=6 {
        let request = DescribeGroupsRequest::default().with_groups(vec![group("looked-at"), group("nowhere")]);
        let answer = client.call(version, &request);
        let (known, unknown) = (&answer.groups[0], &answer.groups[1]);
        assert_eq!((known.error_code, &*known.group_state, &*known.protocol_data), (0, "Stable", "range"));
        assert_eq!((&*known.members[0].client_id, known.members[0].member_assignment.as_ref()), ("raw", &b"all"[..]));
        let error = if version >= 6 { ResponseError::GroupIdNotFound.code() } else { 0 };
        assert_eq!((&*unknown.group_state, unknown.error_code), ("Dead", error));
    }
    for version in 0..=5 {
        let all = client.call(version, &ListGroupsRequest::default());
        let listed = all.groups.iter().find(|one| &**one.group_id == "looked-at").expect("is listed");
        assert_eq!(&*listed.protocol_type, "consumer");
        assert_eq!(&*listed.group_state, if version >= 4 { "Stable" } else { "" });
        assert_eq!(&*listed.group_type, if version >= 5 { "classic" } else { "" });
        if version >= 4 {
            let empty = ListGroupsRequest::default().with_states_filter(vec![text("Empty")]);
            assert!(client.call(version, &empty).groups.iter().all(|one| &**one.group_id != "looked-at"));
        }
    }
    for version in 0..=2 {
        let request = DeleteGroupsRequest::default().with_groups_names(vec![group("looked-at"), group("nowhere")]);
        let codes: Vec<i16> = client.call(version, &request).results.iter().map(|one| one.error_code).collect();
        assert_eq!(codes, [ResponseError::NonEmptyGroup.code(), ResponseError::GroupIdNotFound.code()]);
    }
}

pub fn commit(
    client: &mut Client,
    version: i16,
    id: &str,
    (name, partition): (&str, i32),
    offset: i64,
    member: (&str, i32),
) -> i16 {
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(partition)
        .with_committed_offset(offset)
        .with_committed_metadata(Some(text("note")));
    let committed = OffsetCommitRequestTopic::default().with_name(topic(name)).with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(group(id))
        .with_member_id(text(member.0))
        .with_generation_id_or_member_epoch(member.1)
        .with_topics(vec![committed]);
    client.call(version, &request).topics[0].partitions[0].error_code
}

/// The committed offset and metadata of one partition; with `all`, the request names no partitions.
pub fn committed(
    client: &mut Client,
    version: i16,
    id: &str,
    (name, partition): (&str, i32),
    all: bool,
) -> (i64, String) {
    if version < 8 {
        let asked = OffsetFetchRequestTopic::default().with_name(topic(name)).with_partition_indexes(vec![partition]);
        let topics = if all { None } else { Some(vec![asked]) };
        let answer = client.call(version, &OffsetFetchRequest::default().with_group_id(group(id)).with_topics(topics));
        let found = &answer.topics[0].partitions[0];
        return (found.committed_offset, found.metadata.as_deref().unwrap_or_default().to_owned());
    }
    let asked = OffsetFetchRequestTopics::default().with_name(topic(name)).with_partition_indexes(vec![partition]);
    let topics = if all { None } else { Some(vec![asked]) };
    let asked = OffsetFetchRequestGroup::default().with_group_id(group(id)).with_topics(topics);
    let answer = client.call(version, &OffsetFetchRequest::default().with_groups(vec![asked]));
    let found = &answer.groups[0].topics[0].partitions[0];
    (found.committed_offset, found.metadata.as_deref().unwrap_or_default().to_owned())
}

fn exercise_offsets(client: &mut Client) {
    client.create_topic("committed", 2);
    for version in 2..=8 {
        let offset = i64::from(version) * 10;
        assert_eq!(commit(client, version, "reader", ("committed", 1), offset, ("", -1)), 0);
        assert_eq!(committed(client, version, "reader", ("committed", 1), false), (offset, "note".to_owned()));
        let missing = commit(client, version, "reader", ("nowhere", 0), 1, ("", -1));
        assert_eq!(missing, ResponseError::UnknownTopicOrPartition.code());
        let stranger = commit(client, version, "reader", ("committed", 1), 1, ("stranger", 4));
        assert_eq!(stranger, ResponseError::UnknownMemberId.code());
    }
    for version in 1..=8 {
        assert_eq!(committed(client, version, "reader", ("committed", 1), false).0, 80);
        assert_eq!(committed(client, version, "reader", ("committed", 0), false), (-1, String::new()));
        assert_eq!(committed(client, version, "nobody", ("committed", 0), false).0, -1);
        if version >= 2 {
            assert_eq!(committed(client, version, "reader", ("committed", 1), true).0, 80);
        }
    }
}

fn exercise_offset_delete(client: &mut Client) {
    client.create_topic("subscribed", 1);
    let joined = join(client, 5, "deleting");
    sync(client, 3, "deleting", &joined);
    let member = (joined.member_id.as_str(), joined.generation_id);
    for name in ["subscribed", "committed"] {
        assert_eq!(commit(client, 7, "deleting", (name, 0), 5, member), 0);
    }
    let mut delete = |name: &str| {
        let partition = OffsetDeleteRequestPartition::default().with_partition_index(0);
        let asked = OffsetDeleteRequestTopic::default().with_name(topic(name)).with_partitions(vec![partition]);
        let request = OffsetDeleteRequest::default().with_group_id(group("deleting")).with_topics(vec![asked]);
        let answer = client.call(0, &request);
        (answer.error_code, answer.topics[0].partitions[0].error_code)
    };
    assert_eq!(delete("subscribed"), (0, ResponseError::GroupSubscribedToTopic.code()));
    assert_eq!(delete("committed"), (0, 0));
    assert_eq!(committed(client, 7, "deleting", ("subscribed", 0), false).0, 5);
    assert_eq!(committed(client, 7, "deleting", ("committed", 0), false).0, -1);
    let nobody = OffsetDeleteRequest::default().with_group_id(group("nobody"));
    assert_eq!(client.call(0, &nobody).error_code, ResponseError::GroupIdNotFound.code());
}

#[test]
fn two_members_share_a_generation() {
    let fixture = Fixture::in_memory();
    let (mut one, mut two) = (fixture.connect(), fixture.connect());
    let first = join(&mut one, 2, "g");
    sync(&mut one, 1, "g", &first);
    two.send(2, &join_request("g", ""));
    while heartbeat(&mut one, 1, "g", &first.member_id, 1) != ResponseError::RebalanceInProgress.code() {}
    let leader = one.call(2, &join_request("g", &first.member_id));
    let follower = two.receive::<JoinGroupRequest>(2);
    assert_eq!((leader.generation_id, follower.generation_id), (2, 2));
    assert_eq!((leader.members.len(), follower.members.len(), &follower.leader), (2, 0, &first.member_id));
}

#[test]
fn a_member_that_falls_silent_is_replaced() {
    let fixture = Fixture::in_memory();
    let (mut one, mut two) = (fixture.connect(), fixture.connect());
    let silent = one.call(2, &join_request("g", "").with_session_timeout_ms(50));
    sync(&mut one, 1, "g", &silent);
    let second = two.call(2, &join_request("g", ""));
    assert_eq!((second.error_code, &second.leader), (0, &second.member_id));
    assert_eq!(heartbeat(&mut one, 1, "g", &silent.member_id, 1), ResponseError::UnknownMemberId.code());
}

/// Goal: offsets that nobody needs leave, and those of a member stay. Method: a group with a member and one that never had any, until the
/// member leaves, too.
#[test]
fn offsets_that_nobody_needs_expire() {
    let config = Config { offsets_retention_ms: Some(100), offsets_retention_check_ms: 10, ..Config::in_memory() };
    let fixture = Fixture::start(config);
    let mut client = fixture.connect();
    client.create_topic("subscribed", 1);
    let joined = join(&mut client, 2, "members");
    sync(&mut client, 1, "members", &joined);
    assert_eq!(commit(&mut client, 7, "members", ("subscribed", 0), 5, (&joined.member_id, 1)), 0);
    assert_eq!(commit(&mut client, 7, "nobody", ("subscribed", 0), 6, ("", -1)), 0);
    let listed = |client: &mut Client| {
        let answer = client.call(4, &ListGroupsRequest::default());
        answer.groups.iter().map(|one| one.group_id.to_string()).collect::<Vec<_>>()
    };
    while listed(&mut client).len() == 2 {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(listed(&mut client), ["members"]);
    assert_eq!(committed(&mut client, 7, "nobody", ("subscribed", 0), false).0, -1);
    assert_eq!(committed(&mut client, 7, "members", ("subscribed", 0), false).0, 5);
    assert_eq!(leave(&mut client, 2, "members", &joined.member_id), 0);
    while !listed(&mut client).is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_topic_made_anew_does_not_inherit_offsets() {
    let fixture = Fixture::in_memory();
    let mut client = fixture.connect();
    client.create_topic("t", 1);
    assert_eq!(commit(&mut client, 7, "g", ("t", 0), 5, ("", -1)), 0);
    let delete = kafka_protocol::messages::DeleteTopicsRequest::default().with_topic_names(vec![topic("t")]);
    assert_eq!(client.call(1, &delete).responses[0].error_code, 0);
    client.create_topic("t", 1);
    assert_eq!(committed(&mut client, 7, "g", ("t", 0), false).0, -1);
}
