//! Consumer groups with the protocol of KIP-848, and the protocols that the broker does not offer.

use std::time::{Duration, Instant};

use headwater_broker::Config;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse, DescribeGroupsRequest, ListGroupsRequest, OffsetFetchRequest,
};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::Message;
use rdkafka::util::Timeout;

use crate::client::{Client, Fixture, text, topic};
use crate::groups::{commit, committed, group, join_request};

pub fn exercise(client: &mut Client) {
    client.create_topic("assigned", 3);
    for version in 0..=1 {
        exercise_version(client, version);
    }
    exercise_conflicts(client);
}

/// The heartbeat of a member that joins and subscribes to the topic `assigned`.
fn joining(id: &str, member: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group(id))
        .with_member_id(text(member))
        .with_rebalance_timeout_ms(30_000)
        .with_subscribed_topic_names(Some(vec![topic("assigned")]))
        .with_topic_partitions(Some(Vec::new()))
}

fn still(id: &str, member: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group(id))
        .with_member_id(text(member))
        .with_member_epoch(epoch)
}

fn assigned(answer: &ConsumerGroupHeartbeatResponse) -> Option<Vec<i32>> {
    let assignment = answer.assignment.as_ref()?;
    Some(assignment.topic_partitions.iter().flat_map(|topic| topic.partitions.clone()).collect())
}

fn exercise_version(client: &mut Client, version: i16) {
    let id = format!("consumers{version}");
    // In version 0 the broker chooses the id.
    let joined = client.call(version, &joining(&id, if version == 0 { "" } else { "mine" }));
    assert_eq!((joined.error_code, joined.member_epoch, assigned(&joined)), (0, 1, Some(vec![0, 1, 2])));
    assert!(joined.heartbeat_interval_ms > 0);
    let member = joined.member_id.clone().expect("has an id");
    assert!(if version == 0 { !member.is_empty() } else { &*member == "mine" });
    let topic_id = joined.assignment.expect("is assigned").topic_partitions[0].topic_id;
    let owned = TopicPartitions::default().with_topic_id(topic_id).with_partitions(vec![0, 1, 2]);
    let kept = client.call(version, &still(&id, &member, 1).with_topic_partitions(Some(vec![owned])));
    assert_eq!((kept.error_code, kept.member_epoch, kept.assignment), (0, 1, None));
    exercise_description(client, version, &id, &member);
    exercise_epochs(client, version, &id, &member);
    let left = client.call(version, &still(&id, &member, -1));
    assert_eq!((left.error_code, left.member_epoch), (0, -1));
}

fn exercise_description(client: &mut Client, version: i16, id: &str, member: &str) {
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![group(id), group("nobody")]);
    let described = client.call(version, &request).groups;
    assert_eq!((described[0].error_code, &*described[0].group_state), (0, "Stable"));
    assert_eq!(
        (described[0].group_epoch, described[0].assignment_epoch, &*described[0].assignor_name),
        (1, 1, "uniform")
    );
    let found = &described[0].members[0];
    assert_eq!((&*found.member_id, found.member_epoch, &*found.client_id), (member, 1, "raw"));
    assert_eq!(&*found.subscribed_topic_names[0], "assigned");
    for assignment in [&found.assignment, &found.target_assignment] {
        let topic = &assignment.topic_partitions[0];
        assert_eq!((&**topic.topic_name, &topic.partitions[..]), ("assigned", &[0, 1, 2][..]));
    }
    assert_eq!(found.member_type, if version == 0 { -1 } else { 1 });
    assert_eq!(described[1].error_code, ResponseError::GroupIdNotFound.code());
    let listed = client.call(5, &ListGroupsRequest::default().with_types_filter(vec![text("consumer")])).groups;
    let listed = listed.iter().find(|one| *one.group_id == *group(id)).expect("is listed");
    let shown = (&*listed.group_type, &*listed.group_state, &*listed.protocol_type);
    assert_eq!(shown, ("consumer", "Stable", "consumer"));
}

fn exercise_epochs(client: &mut Client, version: i16, id: &str, member: &str) {
    let mut beat = |member: &str, epoch| client.call(version, &still(id, member, epoch)).error_code;
    assert_eq!(beat(member, 7), ResponseError::FencedMemberEpoch.code());
    assert_eq!(beat("stranger", 1), ResponseError::UnknownMemberId.code());
    assert_eq!(beat(member, -2), ResponseError::InvalidRequest.code());
    let at = ("assigned", 1);
    for (version, epoch, error) in [(9, 1, 0), (9, 2, ResponseError::StaleMemberEpoch.code()), (8, 1, 0)] {
        assert_eq!(commit(client, version, id, at, 40, (member, epoch)), error);
    }
    assert_eq!(commit(client, 9, id, at, 1, ("", -1)), ResponseError::UnknownMemberId.code());
    assert_eq!(committed(client, 9, id, at, false).0, 40);
    for (member, epoch, error) in [
        (member, 1, 0),
        (member, 2, ResponseError::StaleMemberEpoch.code()),
        ("x", 1, ResponseError::UnknownMemberId.code()),
    ] {
        let asked = OffsetFetchRequestGroup::default().with_group_id(group(id));
        let asked = asked.with_member_id(Some(text(member))).with_member_epoch(epoch).with_topics(None);
        let answer = client.call(9, &OffsetFetchRequest::default().with_groups(vec![asked]));
        assert_eq!((answer.groups[0].error_code, answer.groups[0].topics.len()), (error, usize::from(error == 0)));
    }
}

/// A group has members with one protocol, and without members either can begin.
fn exercise_conflicts(client: &mut Client) {
    let unsupported = joining("refused", "m").with_server_assignor(Some(text("sticky")));
    assert_eq!(client.call(1, &unsupported).error_code, ResponseError::UnsupportedAssignor.code());
    let unreadable = joining("refused", "m").with_subscribed_topic_regex(Some(text("(")));
    assert_eq!(client.call(1, &unreadable).error_code, ResponseError::InvalidRegularExpression.code());
    let nameless = client.call(1, &joining("", "m"));
    assert_eq!((nameless.error_code, nameless.error_message.is_some()), (ResponseError::InvalidRequest.code(), true));

    assert_eq!(client.call(1, &joining("either", "m")).error_code, 0);
    let classic = client.call(2, &join_request("either", ""));
    assert_eq!(classic.error_code, ResponseError::InconsistentGroupProtocol.code());
    let described = client.call(6, &DescribeGroupsRequest::default().with_groups(vec![group("either")]));
    assert_eq!(described.groups[0].error_code, ResponseError::GroupIdNotFound.code());
    assert_eq!(client.call(1, &still("either", "m", -1)).error_code, 0);
    let classic = client.call(2, &join_request("either", ""));
    assert_eq!(classic.error_code, 0);
    let refused = client.call(1, &joining("either", "m"));
    assert_eq!(refused.error_code, ResponseError::GroupIdNotFound.code());
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![group("either")]);
    assert_eq!(client.call(1, &request).groups[0].error_code, ResponseError::GroupIdNotFound.code());
}

/// Clients look here for what the broker does not offer, and fall back or say so by themselves.
#[test]
fn newer_protocols_are_not_offered() {
    let fixture = Fixture::in_memory();
    let answer = fixture.connect().call(3, &ApiVersionsRequest::default());
    let max = |key: ApiKey| answer.api_keys.iter().find(|api| api.api_key == key as i16).map(|api| api.max_version);
    for key in [ApiKey::ShareGroupHeartbeat, ApiKey::ShareGroupDescribe, ApiKey::ShareFetch, ApiKey::ShareAcknowledge] {
        assert_eq!(max(key), None, "share groups");
    }
    // The second transaction protocol (`transaction.version` 2) begins with these versions.
    for (key, first) in
        [(ApiKey::EndTxn, 5), (ApiKey::TxnOffsetCommit, 5), (ApiKey::AddPartitionsToTxn, 4), (ApiKey::Produce, 12)]
    {
        assert!(max(key).is_some_and(|max| max < first), "{key:?}");
    }
    assert!(answer.supported_features.is_empty() && answer.finalized_features.is_empty());
}

/// A member of librdkafka, with the protocol of KIP-848.
fn consumer(fixture: &Fixture, more: &[(&str, &str)]) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", fixture.address()).set("group.id", "g").set("group.protocol", "consumer");
    config.set("auto.offset.reset", "earliest").set("enable.auto.commit", "false");
    more.iter().for_each(|(name, value)| {
        config.set(*name, *value);
    });
    config.create().expect("is valid")
}

fn assignments(consumers: &[&BaseConsumer]) -> Vec<usize> {
    let of = |consumer: &&BaseConsumer| {
        let _ = consumer.poll(Timeout::After(Duration::from_millis(20)));
        consumer.assignment().map_or(0, |list| list.count())
    };
    consumers.iter().map(of).collect()
}

fn wait_for(consumers: &[&BaseConsumer], expected: &[usize]) {
    let begin = Instant::now();
    while assignments(consumers) != expected {
        assert!(begin.elapsed() < Duration::from_secs(60), "{:?} instead of {expected:?}", assignments(consumers));
    }
}

fn quick() -> Config {
    Config { consumer_heartbeat_ms: 50, consumer_session_timeout_ms: 2_000, ..Config::in_memory() }
}

/// Goal: members of librdkafka share partitions, take over those of members that leave, and continue where these committed.
#[test]
fn librdkafka_shares_partitions_and_continues_at_commits() {
    let fixture = Fixture::start(quick());
    let mut client = fixture.connect();
    client.create_topic("shared", 4);
    (0..4).for_each(|partition| {
        client.produce_some(("shared", partition), 10);
    });
    let one = consumer(&fixture, &[]);
    one.subscribe(&["shared"]).expect("subscribes");
    let mut read = 0;
    while read < 40 {
        if let Some(message) = one.poll(Timeout::After(Duration::from_secs(30))) {
            assert_eq!(message.expect("reads").topic(), "shared");
            read += 1;
        }
    }
    one.commit_consumer_state(CommitMode::Sync).expect("commits");
    let two = consumer(&fixture, &[("client.id", "two")]);
    two.subscribe(&["shared"]).expect("subscribes");
    wait_for(&[&one, &two], &[2, 2]);
    drop(one);
    wait_for(&[&two], &[4]);
    (0..4).for_each(|partition| {
        client.produce_some(("shared", partition), 1);
    });
    let mut offsets = Vec::new();
    while offsets.len() < 4 {
        if let Some(message) = two.poll(Timeout::After(Duration::from_secs(30))) {
            offsets.push(message.expect("reads").offset());
        }
    }
    assert_eq!(offsets, [10; 4], "everything before was committed");
}

/// A static member that restarts has its partitions again, and nobody else has them meanwhile; a pattern finds new topics.
#[test]
fn librdkafka_comes_back_as_a_static_member_and_subscribes_by_pattern() {
    let fixture = Fixture::start(Config { consumer_session_timeout_ms: 30_000, ..quick() });
    let mut client = fixture.connect();
    client.create_topic("shared1", 4);
    let instance = [("group.instance.id", "i")];
    let (fixed, other) = (consumer(&fixture, &instance), consumer(&fixture, &[]));
    fixed.subscribe(&["^shared.*"]).expect("subscribes");
    other.subscribe(&["^shared.*"]).expect("subscribes");
    wait_for(&[&fixed, &other], &[2, 2]);
    drop(fixed);
    (0..20).for_each(|_| assert_eq!(assignments(&[&other]), [2]));
    let back = consumer(&fixture, &instance);
    back.subscribe(&["^shared.*"]).expect("subscribes");
    wait_for(&[&back, &other], &[2, 2]);
    client.create_topic("shared2", 2);
    wait_for(&[&back, &other], &[3, 3]);
}

/// Members do not survive the broker: they are unknown to the next one, and join again by themselves.
#[test]
fn librdkafka_joins_again_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let storage = Config::in_folder(folder.path()).storage;
    let start = |listen| Fixture::start(Config { listen, storage: storage.clone(), ..quick() });
    let fixture = start("127.0.0.1:0".parse().expect("an address"));
    let address = fixture.address().parse().expect("an address");
    fixture.connect().create_topic("shared", 2);
    let member = consumer(&fixture, &[]);
    member.subscribe(&["shared"]).expect("subscribes");
    wait_for(&[&member], &[2]);
    drop(fixture);
    let fixture = start(address);
    let mut client = fixture.connect();
    let mut is_member = || {
        let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![group("g")]);
        client.call(1, &request).groups[0].members.iter().any(|member| member.member_epoch > 0)
    };
    let begin = Instant::now();
    while !is_member() {
        assert!(begin.elapsed() < Duration::from_secs(60));
        let _ = member.poll(Timeout::After(Duration::from_millis(20)));
    }
    fixture.connect().produce_some(("shared", 1), 1);
    let offset = loop {
        // Errors of the lost connection come first.
        if let Some(Ok(message)) = member.poll(Timeout::After(Duration::from_secs(30))) {
            break message.offset();
        }
    };
    assert_eq!(offset, 0);
}
