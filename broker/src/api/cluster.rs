//! Metadata, FindCoordinator and DescribeCluster: which broker hosts what. There is one broker, so the answer is always
//! this one.
//!
//! Separate because these responses carry the address that clients connect to next.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    BrokerId, DescribeClusterRequest, DescribeClusterResponse, FindCoordinatorRequest, FindCoordinatorResponse,
    MetadataRequest, MetadataResponse, TopicName,
};

use super::{Call, once, text, topic_name};
use crate::config::TOPICS_MADE_MAX;
use crate::core::BROKER_ID;
use crate::topics::Topic;

/// This broker.
pub(crate) const BROKER: BrokerId = BrokerId(BROKER_ID);

/// Lists topics with their partitions: those named in the request, or all of them if it names none.
pub(crate) fn metadata(call: &Call, request: MetadataRequest) -> MetadataResponse {
    let (host, port) = call.core.advertised(call.local);
    let broker = MetadataResponseBroker::default().with_node_id(BROKER).with_host(text(host)).with_port(port);
    let all = || call.core.topics.all().iter().map(|topic| described(topic)).collect();
    let may_create = (request.allow_auto_topic_creation || call.version < 4) && call.core.config.auto_create_topics;
    let mut creations_left = if may_create { TOPICS_MADE_MAX } else { 0 };
    let topics = match request.topics {
        Some(named) if !(named.is_empty() && call.version == 0) => {
            let named = once(named, |topic| (topic.name.clone(), topic.topic_id));
            named.into_iter().map(|topic| asked_topic(call, topic, &mut creations_left)).collect()
        }
        _ => all(),
    };
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id(Some(text(&call.core.cluster_id)))
        .with_controller_id(BROKER)
        .with_topics(topics)
}

/// Looks a topic up by id if the request has one, whatever name comes with it: the Java client sends an empty name
/// beside the id. `creations_left` is how many topics this request may still create.
fn asked_topic(call: &Call, asked: MetadataRequestTopic, creations_left: &mut usize) -> MetadataResponseTopic {
    match asked.name {
        Some(name) if asked.topic_id.is_nil() => named_topic(call, name, creations_left),
        _ => {
            let missing = || {
                MetadataResponseTopic::default()
                    .with_error_code(ResponseError::UnknownTopicId.code())
                    .with_topic_id(asked.topic_id)
                    .with_name((call.version < 12).then(TopicName::default))
            };
            call.core.topics.by_id(asked.topic_id).map_or_else(missing, |topic| described(&topic))
        }
    }
}

fn named_topic(call: &Call, name: TopicName, creations_left: &mut usize) -> MetadataResponseTopic {
    let found = match (call.core.topics.get(&name), creations_left.checked_sub(1)) {
        (Some(known), _) => Ok(known),
        (None, Some(left)) => {
            *creations_left = left;
            create_topic(call, &name)
        }
        (None, None) => check(&name),
    };
    match found {
        Ok(topic) => described(&topic),
        Err(error) => MetadataResponseTopic::default().with_error_code(error.code()).with_name(Some(name)),
    }
}

fn check(name: &str) -> Result<std::sync::Arc<Topic>, ResponseError> {
    crate::topics::check_name(name).map_err(|_| ResponseError::InvalidTopicException)?;
    Err(ResponseError::UnknownTopicOrPartition)
}

fn create_topic(call: &Call, name: &str) -> Result<std::sync::Arc<Topic>, ResponseError> {
    let topics = &call.core.topics;
    let settings = topics.settings_of_new([]).map_err(|error| error.code)?;
    match topics.create(name, call.core.config.default_partitions, settings, false) {
        Ok(_) => tracing::info!(topic = name, "created a topic automatically"),
        Err(error) if error.code == ResponseError::TopicAlreadyExists => {}
        Err(error) => return Err(error.code),
    }
    topics.get(name).ok_or(ResponseError::UnknownTopicOrPartition)
}

fn described(topic: &Topic) -> MetadataResponseTopic {
    let partition = |index| {
        MetadataResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(BROKER)
            .with_leader_epoch(crate::log::LEADER_EPOCH)
            .with_replica_nodes(vec![BROKER])
            .with_isr_nodes(vec![BROKER])
    };
    MetadataResponseTopic::default()
        .with_name(Some(topic_name(&topic.name)))
        .with_topic_id(topic.id)
        .with_partitions((0..topic.partitions()).map(partition).collect())
}

/// Returns this broker as the coordinator of every group and transactional id.
pub(crate) fn find_coordinator(call: &Call, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
    let (host, port) = call.core.advertised(call.local);
    if call.version < 4 {
        let found = FindCoordinatorResponse::default().with_node_id(BROKER).with_host(text(host)).with_port(port);
        // Kafka sends this text with error code 0 in versions 1 to 3.
        return if call.version >= 1 { found.with_error_message(Some(text("NONE"))) } else { found };
    }
    let coordinator =
        |key| Coordinator::default().with_key(key).with_node_id(BROKER).with_host(text(&host)).with_port(port);
    let coordinators = request.coordinator_keys.into_iter().map(coordinator).collect();
    FindCoordinatorResponse::default().with_coordinators(coordinators)
}

/// Describes the cluster, which consists of this broker.
pub(crate) fn describe(call: &Call, request: DescribeClusterRequest) -> DescribeClusterResponse {
    let (host, port) = call.core.advertised(call.local);
    let answer = DescribeClusterResponse::default();
    if call.version >= 1 && request.endpoint_type != 1 {
        let message = "This endpoint is a broker, not a controller.";
        return answer
            .with_error_code(ResponseError::UnsupportedEndpointType.code())
            .with_error_message(Some(text(message)));
    }
    let broker = DescribeClusterBroker::default().with_broker_id(BROKER).with_host(text(host)).with_port(port);
    answer.with_cluster_id(text(&call.core.cluster_id)).with_controller_id(BROKER).with_brokers(vec![broker])
}
