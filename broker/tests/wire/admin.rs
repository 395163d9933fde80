//! Topics, settings and the cluster.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use headwater_broker::Config;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    AlterConfigsRequest, ApiVersionsRequest, BrokerId, CreatePartitionsRequest, CreateTopicsRequest,
    DeleteTopicsRequest, DescribeClusterRequest, DescribeConfigsRequest, DescribeLogDirsRequest, DescribeQuorumRequest,
    FindCoordinatorRequest, IncrementalAlterConfigsRequest, MetadataRequest, describe_quorum_request,
    incremental_alter_configs_request,
};

use crate::client::{Batch, Client, Fixture, batch, text, topic};
use crate::records::delete_records;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const UNKNOWN_TOPIC: i16 = ResponseError::UnknownTopicOrPartition.code();
const INVALID_CONFIG: i16 = ResponseError::InvalidConfig.code();

pub fn exercise(client: &mut Client) {
    exercise_api_versions(client);
    exercise_create_and_delete(client);
    exercise_metadata(client);
    exercise_partitions(client);
    exercise_describe_configs(client);
    exercise_alter_configs(client);
    exercise_incremental_alter_configs(client);
    exercise_cluster(client);
    exercise_log_dirs(client);
}

fn exercise_api_versions(client: &mut Client) {
    for version in 0..=4 {
        let answer = client.call(version, &ApiVersionsRequest::default());
        let produce = answer.api_keys.iter().find(|api| api.api_key == 0).expect("is offered");
        assert_eq!((answer.error_code, produce.min_version, produce.max_version), (0, 0, 9));
        assert!(answer.unknown_tagged_fields.is_empty() && answer.finalized_features_epoch == -1);
    }
}

fn creatable(name: &str, partitions: i32) -> CreatableTopic {
    CreatableTopic::default().with_name(topic(name)).with_num_partitions(partitions).with_replication_factor(1)
}

fn create(client: &mut Client, version: i16, creatable: CreatableTopic) -> i16 {
    let answer = client.call(version, &CreateTopicsRequest::default().with_topics(vec![creatable]));
    let topic = &answer.topics[0];
    assert_eq!(topic.error_message.is_some(), topic.error_code != 0);
    topic.error_code
}

fn config(name: &str, value: &str) -> Vec<CreatableTopicConfig> {
    vec![CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))]
}

fn exercise_create_and_delete(client: &mut Client) {
    for version in 2..=7 {
        let wanted = creatable("made", 3).with_configs(config("segment.bytes", "1000"));
        let check = CreateTopicsRequest::default().with_topics(vec![wanted.clone()]);
        let answer = client.call(version, &check.clone().with_validate_only(true));
        assert_eq!(answer.topics[0].error_code, 0, "only checked");
        let answer = client.call(version, &check);
        assert_eq!(answer.topics[0].error_code, 0);
        if version >= 5 {
            let configs = answer.topics[0].configs.clone().expect("configs");
            let segment = configs.iter().find(|config| &*config.name == "segment.bytes").expect("is shown");
            assert_eq!(
                (segment.value.as_deref().map(str::to_owned), segment.config_source),
                (Some("1000".to_owned()), 1)
            );
            assert_eq!((configs.len(), answer.topics[0].num_partitions), (33, 3));
        }
        refused_topics(client, version);
        delete(client, version - 1);
    }
    delete(client, 2);
}

fn refused_topics(client: &mut Client, version: i16) {
    let elsewhere = CreatableReplicaAssignment::default().with_partition_index(0).with_broker_ids(vec![BrokerId(9)]);
    for (wanted, error) in [
        (creatable("made", 1), ResponseError::TopicAlreadyExists),
        (creatable("a/b", 1), ResponseError::InvalidTopicException),
        (creatable("", 1), ResponseError::InvalidTopicException),
        (creatable("x", 0), ResponseError::InvalidPartitions),
        (creatable("x", 1).with_replication_factor(3), ResponseError::InvalidReplicationFactor),
        (creatable("x", 1).with_configs(config("no.such", "1")), ResponseError::InvalidConfig),
        (creatable("x", 1).with_configs(config("retention.ms", "x")), ResponseError::InvalidConfig),
        (
            creatable("x", -1).with_replication_factor(-1).with_assignments(vec![elsewhere]),
            ResponseError::InvalidReplicaAssignment,
        ),
    ] {
        assert_eq!(create(client, version, wanted), error.code());
    }
}

fn delete(client: &mut Client, version: i16) {
    if !exists(client, "made") {
        assert_eq!(create(client, 4, creatable("made", 1)), 0);
    }
    let request = |name: &str| match version {
        6 => DeleteTopicsRequest::default().with_topics(vec![DeleteTopicState::default().with_name(Some(topic(name)))]),
        _ => DeleteTopicsRequest::default().with_topic_names(vec![topic(name)]),
    };
    let deleted = client.call(version, &request("made"));
    assert_eq!(deleted.responses[0].error_code, 0);
    assert!(!exists(client, "made"));
    assert_eq!(client.call(version, &request("made")).responses[0].error_code, UNKNOWN_TOPIC);
}

fn exists(client: &mut Client, name: &str) -> bool {
    let asked = MetadataRequestTopic::default().with_name(Some(topic(name)));
    let request = MetadataRequest::default().with_topics(Some(vec![asked])).with_allow_auto_topic_creation(false);
    client.call(9, &request).topics[0].error_code == 0
}

fn exercise_metadata(client: &mut Client) {
    client.create_topic("known", 2);
    for version in 0..=12 {
        let create = version < 4;
        let named = |name: &str| {
            let asked = MetadataRequestTopic::default().with_name(Some(topic(name)));
            MetadataRequest::default().with_topics(Some(vec![asked])).with_allow_auto_topic_creation(create)
        };
        let answer = client.call(version, &named("known"));
        assert_eq!((answer.brokers.len(), answer.topics[0].partitions.len()), (1, 2));
        assert_eq!(answer.brokers[0].port, i32::from(client.stream.peer_addr().expect("is connected").port()));
        assert_eq!(answer.topics[0].partitions[1].leader_id, answer.brokers[0].node_id);
        let other = client.call(version, &named(&format!("fresh{version}")));
        assert_eq!(other.topics[0].error_code, if create { 0 } else { UNKNOWN_TOPIC });
        let all = MetadataRequest::default().with_topics(if version == 0 { Some(Vec::new()) } else { None });
        assert!(client.call(version, &all).topics.len() > 1);
        let invalid = client.call(version, &named("a/b"));
        assert_eq!(invalid.topics[0].error_code, ResponseError::InvalidTopicException.code());
    }
    let id = client.call(12, &MetadataRequest::default().with_topics(None)).topics[0].topic_id;
    let by_id = |id| {
        MetadataRequest::default()
            .with_topics(Some(vec![MetadataRequestTopic::default().with_name(None).with_topic_id(id)]))
    };
    assert_eq!(client.call(12, &by_id(id)).topics[0].error_code, 0);
    let unknown = client.call(12, &by_id(uuid::Uuid::from_u128(1)));
    assert_eq!(unknown.topics[0].error_code, ResponseError::UnknownTopicId.code());
}

fn exercise_partitions(client: &mut Client) {
    client.create_topic("growing", 1);
    for version in 0..=3 {
        let mut grow = |name: &str, count, check| {
            let wanted =
                CreatePartitionsTopic::default().with_name(topic(name)).with_count(count).with_assignments(None);
            let request = CreatePartitionsRequest::default().with_topics(vec![wanted]).with_validate_only(check);
            client.call(version, &request).results[0].error_code
        };
        let count = i32::from(version) + 2;
        assert_eq!(grow("growing", count, true), 0);
        assert_eq!(grow("growing", count, false), 0);
        assert_eq!(grow("growing", count, false), ResponseError::InvalidPartitions.code());
        assert_eq!(grow("nowhere", 5, false), UNKNOWN_TOPIC);
        assert_eq!(client.produce_some(("growing", count - 1), 1), 0);
    }
}

fn describe(client: &mut Client, version: i16, kind: i8, name: &str) -> (i16, Vec<DescribeConfigsResourceResult>) {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![resource])
        .with_include_synonyms(true)
        .with_include_documentation(version >= 3);
    let answer = client.call(version, &request);
    (answer.results[0].error_code, answer.results[0].configs.clone())
}

pub fn setting(client: &mut Client, name: &str, setting: &str) -> (Option<String>, i8) {
    let (_, configs) = describe(client, 4, TOPIC, name);
    let config = configs.into_iter().find(|config| &*config.name == setting).expect("is shown");
    (config.value.as_deref().map(str::to_owned), config.config_source)
}

fn exercise_describe_configs(client: &mut Client) {
    client.create_topic("shown", 1);
    for version in 1..=4 {
        let (error, configs) = describe(client, version, TOPIC, "shown");
        assert_eq!((error, configs.len()), (0, 33));
        let retention = configs.iter().find(|config| &*config.name == "retention.ms").expect("is shown");
        assert_eq!((retention.value.as_deref(), retention.config_source), (Some("-1"), 1), "a new topic keeps all");
        assert_eq!(&*retention.synonyms[1].name, "log.retention.ms");
        assert_eq!(retention.synonyms[1].value.as_deref(), Some("604800000"));
        if version >= 3 {
            assert_eq!(retention.config_type, 5);
            assert!(retention.documentation.is_some());
        }
        assert_eq!(describe(client, version, TOPIC, "nowhere").0, UNKNOWN_TOPIC);
        let (error, configs) = describe(client, version, BROKER, "1");
        assert!(error == 0 && configs.iter().all(|config| config.read_only));
        let retention = configs.iter().find(|config| &*config.name == "offsets.retention.minutes").expect("is shown");
        assert_eq!(retention.value.as_deref(), Some("-1"), "offsets are kept for ever");
        assert_eq!(describe(client, version, BROKER, "77").0, ResponseError::InvalidRequest.code());
        assert_eq!(describe(client, version, 99, "x").0, ResponseError::InvalidRequest.code());
    }
}

fn exercise_alter_configs(client: &mut Client) {
    client.create_topic("altered", 1);
    for version in 0..=2 {
        let mut alter = |name: &str, setting: &str, value: &str| {
            let config = AlterableConfig::default().with_name(text(setting)).with_value(Some(text(value)));
            let resource = AlterConfigsResource::default()
                .with_resource_type(TOPIC)
                .with_resource_name(text(name))
                .with_configs(vec![config]);
            client.call(version, &AlterConfigsRequest::default().with_resources(vec![resource])).responses[0].error_code
        };
        let value = format!("{}000", version + 1);
        assert_eq!(alter("altered", "flush.ms", "7"), 0);
        assert_eq!(alter("altered", "retention.ms", &value), 0);
        assert_eq!(alter("altered", "retention.ms", "x"), INVALID_CONFIG);
        assert_eq!(alter("nowhere", "retention.ms", "1"), UNKNOWN_TOPIC);
        assert_eq!(setting(client, "altered", "retention.ms"), (Some(value), 1));
        assert_eq!(setting(client, "altered", "flush.ms").1, 5, "all settings were replaced");
    }
}

fn exercise_incremental_alter_configs(client: &mut Client) {
    client.create_topic("edited", 1);
    for version in 0..=1 {
        let mut edit = |kind, edits: &[(&str, i8, Option<&str>)]| {
            let config = |(name, operation, value): &(&str, i8, Option<&str>)| {
                incremental_alter_configs_request::AlterableConfig::default()
                    .with_name(text(name))
                    .with_config_operation(*operation)
                    .with_value(value.map(text))
            };
            let resource = incremental_alter_configs_request::AlterConfigsResource::default()
                .with_resource_type(kind)
                .with_resource_name(text(if kind == BROKER { "1" } else { "edited" }))
                .with_configs(edits.iter().map(config).collect());
            let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
            client.call(version, &request).responses[0].error_code
        };
        assert_eq!(edit(TOPIC, &[("flush.ms", 0, Some("7")), ("cleanup.policy", 2, Some("compact"))]), 0);
        assert_eq!(edit(TOPIC, &[("flush.ms", 0, Some("8")), ("segment.ms", 0, Some("x"))]), INVALID_CONFIG);
        assert_eq!(edit(TOPIC, &[("flush.ms", 9, Some("8"))]), INVALID_CONFIG);
        assert_eq!(edit(TOPIC, &[("flush.ms", 0, None)]), INVALID_CONFIG);
        assert_eq!(edit(TOPIC, &[("flush.ms", 2, Some("8"))]), INVALID_CONFIG);
        assert_eq!(edit(BROKER, &[("num.partitions", 0, Some("8"))]), ResponseError::InvalidRequest.code());
        assert_eq!(setting(client, "edited", "flush.ms"), (Some("7".to_owned()), 1), "all or nothing");
        assert_eq!(setting(client, "edited", "cleanup.policy").0.as_deref(), Some("delete,compact"));
        let undo = [("flush.ms", 1, None), ("cleanup.policy", 3, Some("compact"))];
        let config = |(name, operation, value): &(&str, i8, Option<&str>)| {
            incremental_alter_configs_request::AlterableConfig::default()
                .with_name(text(name))
                .with_config_operation(*operation)
                .with_value(value.map(text))
        };
        let resource = incremental_alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text("edited"))
            .with_configs(undo.iter().map(config).collect());
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        assert_eq!(client.call(version, &request).responses[0].error_code, 0);
        assert_eq!(setting(client, "edited", "flush.ms").1, 5);
        assert_eq!(setting(client, "edited", "cleanup.policy").0.as_deref(), Some("delete"));
    }
}

/// A new topic has two settings of its own. When they are reset, by whichever request, Kafka's defaults are shown.
#[test]
fn a_setting_that_is_taken_back_has_kafka_s_default() {
    let fixture = Fixture::in_memory();
    let mut client = fixture.connect();
    for (at, (name, own, default)) in [
        ("retention.ms", "-1", "604800000"),
        ("message.timestamp.after.max.ms", "9223372036854775807", "3600000"),
        ("segment.bytes", "1073741824", "1073741824"),
    ]
    .into_iter()
    .enumerate()
    {
        let edit = |client: &mut Client, topic: &str, operation, value: Option<&str>| {
            let config = incremental_alter_configs_request::AlterableConfig::default()
                .with_name(text(name))
                .with_config_operation(operation)
                .with_value(value.map(text));
            let resource = incremental_alter_configs_request::AlterConfigsResource::default()
                .with_resource_type(TOPIC)
                .with_resource_name(text(topic))
                .with_configs(vec![config]);
            let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
            assert_eq!(client.call(1, &request).responses[0].error_code, 0);
        };
        let names = [format!("fresh{at}"), format!("set{at}"), format!("replaced{at}")];
        let [fresh, set, replaced] = names.each_ref().map(String::as_str);
        for topic in [fresh, set, replaced] {
            client.create_topic(topic, 1);
            assert_eq!(setting(&mut client, topic, name).0.as_deref(), Some(own));
        }
        edit(&mut client, set, 0, Some("86400000"));
        assert_eq!(setting(&mut client, set, name), (Some("86400000".to_owned()), 1));
        edit(&mut client, set, 1, None);
        edit(&mut client, fresh, 1, None);
        let resource = AlterConfigsResource::default().with_resource_type(TOPIC).with_resource_name(text(replaced));
        client.call(2, &AlterConfigsRequest::default().with_resources(vec![resource]));
        for topic in [fresh, set, replaced] {
            assert_eq!(setting(&mut client, topic, name), (Some(default.to_owned()), 5), "{topic}");
        }
    }
}

/// As in Kafka, the response has the name (if known) and the id of each topic to delete.
#[test]
fn a_deletion_names_the_topic_by_name_and_id() {
    let fixture = Fixture::in_memory();
    let mut client = fixture.connect();
    for by_id in [false, true] {
        client.create_topic("t", 1);
        let asked = MetadataRequestTopic::default().with_name(Some(topic("t")));
        let id = client.call(12, &MetadataRequest::default().with_topics(Some(vec![asked]))).topics[0].topic_id;
        let state = match by_id {
            true => DeleteTopicState::default().with_name(None).with_topic_id(id),
            false => DeleteTopicState::default().with_name(Some(topic("t"))),
        };
        let request = DeleteTopicsRequest::default().with_topics(vec![state]);
        let first = client.call(6, &request).responses.remove(0);
        assert_eq!((first.error_code, first.name, first.topic_id), (0, Some(topic("t")), id));
        let second = client.call(6, &request).responses.remove(0);
        let (name, id, error) = match by_id {
            true => (None, id, ResponseError::UnknownTopicId.code()),
            false => (Some(topic("t")), uuid::Uuid::nil(), UNKNOWN_TOPIC),
        };
        assert_eq!((second.error_code, second.name, second.topic_id), (error, name, id));
    }
    client.create_topic("t", 1);
    let by_name = DeleteTopicState::default().with_name(Some(topic("t")));
    let by_both = by_name.clone().with_topic_id(uuid::Uuid::from_u128(1));
    let by_neither = DeleteTopicState::default().with_name(None);
    for states in [vec![by_both], vec![by_neither], vec![by_name.clone(), by_name]] {
        let answer = client.call(6, &DeleteTopicsRequest::default().with_topics(states));
        let codes: Vec<i16> = answer.responses.iter().map(|one| one.error_code).collect();
        assert_eq!(codes, [ResponseError::InvalidRequest.code()]);
        assert!(exists(&mut client, "t"));
    }
}

/// The Java client asks for a topic by id and sends an empty name beside it. It expects the id in the response.
#[test]
fn metadata_by_id_is_answered_by_id() {
    let fixture = Fixture::in_memory();
    let mut client = fixture.connect();
    client.create_topic("t", 1);
    let known = client.call(12, &MetadataRequest::default().with_topics(None)).topics[0].topic_id;
    for name in [None, Some(topic(""))] {
        let by_id = |id| {
            let asked = MetadataRequestTopic::default().with_name(name.clone()).with_topic_id(id);
            MetadataRequest::default().with_topics(Some(vec![asked]))
        };
        let found = client.call(12, &by_id(known)).topics.remove(0);
        assert_eq!((found.error_code, found.name, found.topic_id), (0, Some(topic("t")), known));
        let other = uuid::Uuid::from_u128(7);
        let missing = client.call(12, &by_id(other)).topics.remove(0);
        let error = ResponseError::UnknownTopicId.code();
        assert_eq!((missing.error_code, missing.name, missing.topic_id), (error, None, other));
    }
}

/// One request creates at most a hundred topics; the missing ones are created when the client asks again.
#[test]
fn a_request_for_metadata_makes_few_topics() {
    let fixture = Fixture::in_memory();
    let mut client = fixture.connect();
    let names = (0..150).map(|at| MetadataRequestTopic::default().with_name(Some(topic(&format!("n{at}")))));
    let request = MetadataRequest::default().with_topics(Some(names.collect())).with_allow_auto_topic_creation(true);
    for made in [100, 150] {
        let answer = client.call(9, &request);
        assert_eq!(answer.topics.len(), 150);
        assert_eq!(answer.topics.iter().filter(|topic| topic.error_code == 0).count(), made);
        assert!(answer.topics.iter().all(|topic| matches!(topic.error_code, 0 | UNKNOWN_TOPIC)));
    }
}

fn exercise_cluster(client: &mut Client) {
    let port = i32::from(client.stream.peer_addr().expect("is connected").port());
    for version in 0..=1 {
        let answer = client.call(version, &DescribeClusterRequest::default());
        assert_eq!((answer.error_code, answer.brokers.len(), answer.brokers[0].port), (0, 1, port));
        assert_eq!(answer.cluster_id.len(), 22);
    }
    let controllers = client.call(1, &DescribeClusterRequest::default().with_endpoint_type(2));
    assert_eq!(controllers.error_code, ResponseError::UnsupportedEndpointType.code());
    for version in 0..=2 {
        let asked = |name, partition| {
            let partition = describe_quorum_request::PartitionData::default().with_partition_index(partition);
            describe_quorum_request::TopicData::default().with_topic_name(topic(name)).with_partitions(vec![partition])
        };
        let topics = vec![asked("__cluster_metadata", 0), asked("other", 0)];
        let answer = client.call(version, &DescribeQuorumRequest::default().with_topics(topics));
        let [metadata, other] = [0, 1].map(|at| &answer.topics[at].partitions[0]);
        assert_eq!((metadata.error_code, metadata.leader_id.0, metadata.current_voters.len()), (0, 1, 1));
        assert!(metadata.high_watermark > 0 && metadata.high_watermark == metadata.current_voters[0].log_end_offset);
        assert_eq!(other.error_code, UNKNOWN_TOPIC);
        let ports: Vec<i32> = answer.nodes.iter().map(|node| node.listeners[0].port.into()).collect();
        assert_eq!(ports, if version < 2 { vec![] } else { vec![port] });
    }
    for version in 0..=4 {
        let request = match version {
            4 => FindCoordinatorRequest::default().with_coordinator_keys(vec![text("g"), text("h")]),
            _ => FindCoordinatorRequest::default().with_key(text("g")),
        };
        let answer = client.call(version, &request);
        let ports =
            if version < 4 { vec![answer.port] } else { answer.coordinators.iter().map(|one| one.port).collect() };
        assert!(ports.iter().all(|found| *found == port), "{ports:?}");
        assert_eq!(answer.coordinators.len(), if version < 4 { 0 } else { 2 });
    }
}

fn exercise_log_dirs(client: &mut Client) {
    client.create_topic("measured", 2);
    client.produce_some(("measured", 1), 10);
    for version in 1..=4 {
        let asked = DescribableLogDirTopic::default().with_topic(topic("measured")).with_partitions(vec![0, 1]);
        let answer = client.call(version, &DescribeLogDirsRequest::default().with_topics(Some(vec![asked])));
        let sizes: Vec<i64> = answer.results[0].topics[0].partitions.iter().map(|one| one.partition_size).collect();
        assert!(sizes[0] == 0 && sizes[1] > 0, "{sizes:?}");
        let all = client.call(version, &DescribeLogDirsRequest::default().with_topics(None));
        assert!(all.results[0].topics.len() > 1);
    }
}

/// Goal: the last value of a key cannot be deleted by its offset. Method: a topic that is only compacted refuses it.
#[test]
fn records_of_a_topic_that_is_only_compacted_stay() {
    let fixture = Fixture::in_memory();
    let mut client = fixture.connect();
    let kept = (ResponseError::PolicyViolation.code(), -1);
    for (name, cleanup, expected) in [("a", "compact", kept), ("b", "compact,delete", (0, 1)), ("c", "delete", (0, 1))]
    {
        assert_eq!(create(&mut client, 4, creatable(name, 1).with_configs(config("cleanup.policy", cleanup))), 0);
        client.produce_some((name, 0), 2);
        assert_eq!(delete_records(&mut client, 2, (name, 0), 1), expected, "{cleanup}");
    }
}

/// Goal: what is expired leaves the log and the disk while clients write, and what is not stays. Method: records of 1970 in a topic
/// that keeps them for an hour and in one that keeps all, and then one of now.
#[test]
fn expired_records_are_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let fixture = Fixture::start(Config { retention_check_ms: 20, ..Config::in_folder(folder.path()) });
    let mut client = fixture.connect();
    let hour = config("retention.ms", "3600000");
    let topics = vec![creatable("hour", 1).with_configs(hour), creatable("ever", 1)];
    client.call(4, &CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(1_000));
    for name in ["hour", "ever"] {
        for _ in 0..5 {
            client.produce_some((name, 0), 2);
        }
    }
    let start = |client: &mut Client, name| client.fetch(12, (name, 0), 10, false).log_start_offset;
    while start(&mut client, "hour") < 10 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let bytes = |client: &mut Client, name| {
        let asked = DescribableLogDirTopic::default().with_topic(topic(name)).with_partitions(vec![0]);
        let answer = client.call(1, &DescribeLogDirsRequest::default().with_topics(Some(vec![asked])));
        answer.results[0].topics[0].partitions[0].partition_size
    };
    assert_eq!((bytes(&mut client, "hour"), start(&mut client, "ever")), (0, 0));
    assert!(bytes(&mut client, "ever") > 0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64;
    let produced = client.produce(9, ("hour", 0), batch(&Batch { time_ms: now, ..Batch::default() }));
    assert_eq!((produced.error_code, produced.base_offset), (0, 10));
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(client.fetch(12, ("hour", 0), 10, false).records.map(|records| records.is_empty()), Some(false));
}

#[test]
fn one_request_makes_so_many_partitions_and_no_more() {
    let fixture = Fixture::in_memory();
    let mut client = fixture.connect();
    let request = |topics: i32| {
        let topics = (0..topics).map(|at| creatable(&format!("t{at}"), 1_000)).collect();
        CreateTopicsRequest::default().with_topics(topics)
    };
    let codes = |answer: kafka_protocol::messages::CreateTopicsResponse| {
        answer.topics.iter().map(|topic| topic.error_code).collect::<Vec<_>>()
    };
    let excessive = ResponseError::PolicyViolation.code();
    assert_eq!(codes(client.call(7, &request(11))), [excessive; 11]);
    assert!(!exists(&mut client, "t0"));
    assert_eq!(codes(client.call(7, &request(10))), [0; 10]);
}

#[test]
fn a_topic_is_made_once_however_many_ask() {
    let fixture = Fixture::in_memory();
    let mut client = fixture.connect();
    let twice = CreateTopicsRequest::default().with_topics(vec![creatable("t", 1), creatable("t", 1)]);
    let answer = client.call(4, &twice);
    assert!(answer.topics.iter().all(|topic| topic.error_code == ResponseError::InvalidRequest.code()));
    let codes: Vec<i16> = std::thread::scope(|scope| {
        let create = || scope.spawn(|| create(&mut fixture.connect(), 4, creatable("t", 1)));
        let threads: Vec<_> = (0..8).map(|_| create()).collect();
        threads.into_iter().map(|thread| thread.join().expect("ends")).collect()
    });
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1);
}
