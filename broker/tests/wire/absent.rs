//! Requests about what the broker does not have are answered, so that tools go on.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::{
    DescribeAclsRequest, DescribeClientQuotasRequest, DescribeUserScramCredentialsRequest, ElectLeadersRequest,
    ListConfigResourcesRequest, ListPartitionReassignmentsRequest, describe_client_quotas_request,
    describe_user_scram_credentials_request, list_partition_reassignments_request,
};

use crate::client::{Client, text, topic};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const CLIENT_METRICS: i8 = 16;

pub fn exercise(client: &mut Client) {
    client.create_topic("absent", 2);
    exercise_replicas(client);
    exercise_security(client);
    exercise_config_resources(client);
}

fn exercise_replicas(client: &mut Client) {
    let reassigned = list_partition_reassignments_request::ListPartitionReassignmentsTopics::default()
        .with_name(topic("absent"))
        .with_partition_indexes(vec![0]);
    for topics in [None, Some(vec![reassigned])] {
        let answer = client.call(0, &ListPartitionReassignmentsRequest::default().with_topics(topics));
        assert_eq!((answer.error_code, answer.topics.len()), (0, 0));
    }
    for version in 0..=2 {
        let all = client.call(version, &ElectLeadersRequest::default().with_topic_partitions(None));
        assert_eq!((all.error_code, all.replica_election_results.len()), (0, 0));
        let some = TopicPartitions::default().with_topic(topic("absent")).with_partitions(vec![1, 2]);
        let answer = client.call(version, &ElectLeadersRequest::default().with_topic_partitions(Some(vec![some])));
        let results = &answer.replica_election_results[0].partition_result;
        let found: Vec<_> = results.iter().map(|result| (result.partition_id, result.error_code)).collect();
        let [leads, unknown] = [ResponseError::ElectionNotNeeded, ResponseError::UnknownTopicOrPartition];
        assert_eq!(found, [(1, leads.code()), (2, unknown.code())]);
    }
}

fn exercise_security(client: &mut Client) {
    for version in 0..=1 {
        let component = describe_client_quotas_request::ComponentData::default().with_entity_type(text("user"));
        let request = DescribeClientQuotasRequest::default().with_components(vec![component]);
        let answer = client.call(version, &request);
        assert_eq!((answer.error_code, answer.entries), (0, Some(Vec::new())));
    }
    let all = client.call(0, &DescribeUserScramCredentialsRequest::default().with_users(None));
    assert_eq!((all.error_code, all.results.len()), (0, 0));
    let user = describe_user_scram_credentials_request::UserName::default().with_name(text("ann"));
    let one = client.call(0, &DescribeUserScramCredentialsRequest::default().with_users(Some(vec![user])));
    assert_eq!((&*one.results[0].user, one.results[0].error_code), ("ann", ResponseError::ResourceNotFound.code()));
    for version in 1..=3 {
        let request = DescribeAclsRequest::default().with_resource_type_filter(1).with_pattern_type_filter(1);
        let answer = client.call(version, &request.with_operation(1).with_permission_type(1));
        assert_eq!((answer.error_code, answer.resources.len()), (ResponseError::SecurityDisabled.code(), 0));
    }
}

fn exercise_config_resources(client: &mut Client) {
    assert!(client.call(0, &ListConfigResourcesRequest::default()).config_resources.is_empty());
    for (types, expected) in [
        (vec![], vec![(TOPIC, "absent"), (BROKER, "1")]),
        (vec![TOPIC], vec![(TOPIC, "absent")]),
        (vec![BROKER], vec![(BROKER, "1")]),
        (vec![CLIENT_METRICS], vec![]),
    ] {
        let answer = client.call(1, &ListConfigResourcesRequest::default().with_resource_types(types));
        let found = answer.config_resources.iter().map(|one| (one.resource_type, &*one.resource_name));
        // Others have made topics, too.
        let found: Vec<_> = found.filter(|(kind, name)| *kind != TOPIC || *name == "absent").collect();
        assert_eq!((answer.error_code, found), (0, expected));
    }
}
