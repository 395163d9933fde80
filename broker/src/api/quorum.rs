//! DescribeQuorum: who keeps the metadata. There is one broker, so it leads itself.
//!
//! Separate because it is the only request about the log of the metadata, which is the journal here.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_quorum_request;
use kafka_protocol::messages::describe_quorum_response::{Listener, Node, PartitionData, ReplicaState, TopicData};
use kafka_protocol::messages::{BrokerId, DescribeQuorumRequest, DescribeQuorumResponse};

use super::cluster::BROKER;
use super::{Call, text};
use crate::clock::now_ms;
use crate::log::LEADER_EPOCH;

/// The topic that stands for the metadata.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// Describes the quorum of the metadata.
pub(crate) fn describe(call: &Call, request: DescribeQuorumRequest) -> DescribeQuorumResponse {
    let topic = |asked: describe_quorum_request::TopicData| {
        let is_metadata = &**asked.topic_name == METADATA_TOPIC;
        let partitions = asked.partitions.iter();
        let partitions = partitions.map(|one| partition(call, is_metadata, one.partition_index)).collect();
        TopicData::default().with_topic_name(asked.topic_name).with_partitions(partitions)
    };
    let answer = DescribeQuorumResponse::default().with_topics(request.topics.into_iter().map(topic).collect());
    if call.version < 2 {
        return answer;
    }
    let (host, port) = call.core.advertised(call.local);
    let port = u16::try_from(port).unwrap_or_default();
    let listener = Listener::default().with_name(text("PLAINTEXT")).with_host(text(host)).with_port(port);
    answer.with_nodes(vec![Node::default().with_node_id(BROKER).with_listeners(vec![listener])])
}

fn partition(call: &Call, is_metadata: bool, index: i32) -> PartitionData {
    let answer = PartitionData::default().with_partition_index(index);
    if !is_metadata || index != 0 {
        return answer.with_error_code(ResponseError::UnknownTopicOrPartition.code()).with_leader_id(BrokerId(-1));
    }
    let end = i64::try_from(call.core.journal.changes()).unwrap_or(i64::MAX);
    let voter = ReplicaState::default().with_replica_id(BROKER).with_log_end_offset(end);
    let now_ms = now_ms();
    let voter = match call.version {
        0 => voter,
        _ => voter.with_last_fetch_timestamp(now_ms).with_last_caught_up_timestamp(now_ms),
    };
    answer
        .with_leader_id(BROKER)
        .with_leader_epoch(LEADER_EPOCH)
        .with_high_watermark(end)
        .with_current_voters(vec![voter])
}
