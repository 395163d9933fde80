//! Requests about what a single broker without security does not have: other replicas, quotas, users, access lists. They are
//! answered like by a Kafka that has none of it, so that tools that ask for everything go on.
//!
//! Separate because none of these handlers looks further than the names of topics.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_user_scram_credentials_response::DescribeUserScramCredentialsResult;
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::list_config_resources_response::ConfigResource;
use kafka_protocol::messages::{
    DescribeAclsRequest, DescribeAclsResponse, DescribeClientQuotasRequest, DescribeClientQuotasResponse,
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse, ElectLeadersRequest,
    ElectLeadersResponse, ListConfigResourcesRequest, ListConfigResourcesResponse, ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
};

use super::configs::{BROKER, TOPIC};
use super::{Call, once, text};
use crate::core::BROKER_ID;

/// The reassignments of partitions to other brokers: there are never any.
pub(crate) fn reassignments(_: &Call, _: ListPartitionReassignmentsRequest) -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse::default()
}

/// Elects leaders: the only broker leads every partition already. A request for all partitions names only those that change.
pub(crate) fn elect_leaders(call: &Call, request: ElectLeadersRequest) -> ElectLeadersResponse {
    let topic = |topic: TopicPartitions| {
        let elect = |partition: i32| {
            let error = match call.core.topics.log(&topic.topic, partition) {
                Ok(_) => ResponseError::ElectionNotNeeded,
                Err(error) => error,
            };
            PartitionResult::default()
                .with_partition_id(partition)
                .with_error_code(error.code())
                .with_error_message(Some(text(error.to_string())))
        };
        let partitions = once(topic.partitions.clone(), |partition| *partition).into_iter().map(elect).collect();
        ReplicaElectionResult::default().with_topic(topic.topic.clone()).with_partition_result(partitions)
    };
    let topics = once(request.topic_partitions.unwrap_or_default(), |topic| topic.topic.clone());
    ElectLeadersResponse::default().with_replica_election_results(topics.into_iter().map(topic).collect())
}

/// The quotas of clients: there are none.
pub(crate) fn quotas(_: &Call, _: DescribeClientQuotasRequest) -> DescribeClientQuotasResponse {
    DescribeClientQuotasResponse::default().with_entries(Some(Vec::new()))
}

/// The credentials of users: there are no users.
pub(crate) fn credentials(
    _: &Call,
    request: DescribeUserScramCredentialsRequest,
) -> DescribeUserScramCredentialsResponse {
    let users = once(request.users.unwrap_or_default(), |user| user.name.clone());
    let unknown = users.into_iter().map(|user| {
        let message = format!("Attempt to describe a user credential that does not exist: {}", &*user.name);
        DescribeUserScramCredentialsResult::default()
            .with_user(user.name)
            .with_error_code(ResponseError::ResourceNotFound.code())
            .with_error_message(Some(text(message)))
    });
    DescribeUserScramCredentialsResponse::default().with_results(unknown.collect())
}

/// The access lists: whoever reaches the port can do everything.
pub(crate) fn access_lists(_: &Call, _: DescribeAclsRequest) -> DescribeAclsResponse {
    DescribeAclsResponse::default()
        .with_error_code(ResponseError::SecurityDisabled.code())
        .with_error_message(Some(text("The broker has no access lists: anyone who reaches it can do everything.")))
}

/// The resources that have configs: topics and the broker. In version 0 only metrics of clients are asked for.
pub(crate) fn config_resources(call: &Call, request: ListConfigResourcesRequest) -> ListConfigResourcesResponse {
    let types = request.resource_types;
    let is_wanted = |resource_type: i8| call.version > 0 && (types.is_empty() || types.contains(&resource_type));
    let resource = |resource_type: i8, name: String| {
        ConfigResource::default().with_resource_type(resource_type).with_resource_name(text(name))
    };
    let topics = call.core.topics.all().into_iter().filter(|_| is_wanted(TOPIC));
    let mut resources: Vec<_> = topics.map(|topic| resource(TOPIC, topic.name.clone())).collect();
    resources.extend(is_wanted(BROKER).then(|| resource(BROKER, BROKER_ID.to_string())));
    ListConfigResourcesResponse::default().with_config_resources(resources)
}
