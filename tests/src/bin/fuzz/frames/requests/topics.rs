//! Requests that create, change and describe topics.
//!
//! Mutations of these can validly create topics with other names and many partitions; a caretaker deletes them.

use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::list_partition_reassignments_request::ListPartitionReassignmentsTopics;
use kafka_protocol::messages::{
    BrokerId, CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
    DescribeLogDirsRequest, ElectLeadersRequest, ListPartitionReassignmentsRequest, TopicName,
};

use super::{Added, Requests, text, topic};

/// A topic that requests create and delete.
const FLEETING: &str = "fleeting";

fn fleeting() -> TopicName {
    TopicName(text(FLEETING))
}

/// A topic that may be created, and one whose partitions are assigned, which is only checked.
pub(super) fn create_topics(to: &mut Requests) -> Added {
    let setting = |name, value| CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)));
    let created = CreatableTopic::default()
        .with_name(fleeting())
        .with_num_partitions(1)
        .with_replication_factor(1)
        .with_configs(vec![setting("retention.ms", "60000"), setting("cleanup.policy", "compact")]);
    let request = CreateTopicsRequest::default().with_timeout_ms(100);
    to.add(&request.clone().with_topics(vec![created.clone()]))?;
    let assigned = CreatableReplicaAssignment::default().with_partition_index(0).with_broker_ids(vec![BrokerId(1)]);
    let assigned = created.with_num_partitions(-1).with_replication_factor(-1).with_assignments(vec![assigned]);
    to.add(&request.with_topics(vec![assigned]).with_validate_only(true))
}

pub(super) fn delete_topics(to: &mut Requests) -> Added {
    let request = DeleteTopicsRequest::default().with_timeout_ms(100);
    match to.version {
        6.. => to.add(&request.with_topics(vec![DeleteTopicState::default().with_name(Some(fleeting()))])),
        _ => to.add(&request.with_topic_names(vec![fleeting()])),
    }
}

pub(super) fn delete_records(to: &mut Requests) -> Added {
    let deleted = DeleteRecordsPartition::default().with_partition_index(0).with_offset(1);
    let deleted = DeleteRecordsTopic::default().with_name(topic()).with_partitions(vec![deleted]);
    to.add(&DeleteRecordsRequest::default().with_topics(vec![deleted]).with_timeout_ms(100))
}

pub(super) fn create_partitions(to: &mut Requests) -> Added {
    let wanted = CreatePartitionsTopic::default().with_name(fleeting()).with_count(2).with_assignments(None);
    let request = CreatePartitionsRequest::default().with_topics(vec![wanted]).with_timeout_ms(100);
    to.add(&request.clone().with_validate_only(true))?;
    to.add(&request)
}

pub(super) fn describe_log_dirs(to: &mut Requests) -> Added {
    let asked = DescribableLogDirTopic::default().with_topic(topic()).with_partitions(vec![0, 1]);
    to.add(&DescribeLogDirsRequest::default().with_topics(Some(vec![asked])))?;
    to.add(&DescribeLogDirsRequest::default().with_topics(None))
}

pub(super) fn elect_leaders(to: &mut Requests) -> Added {
    let asked = TopicPartitions::default().with_topic(topic()).with_partitions(vec![0, 1]);
    to.add(&ElectLeadersRequest::default().with_topic_partitions(Some(vec![asked])).with_timeout_ms(100))
}

pub(super) fn list_reassignments(to: &mut Requests) -> Added {
    let asked = ListPartitionReassignmentsTopics::default().with_name(topic()).with_partition_indexes(vec![0, 1]);
    to.add(&ListPartitionReassignmentsRequest::default().with_topics(Some(vec![asked])).with_timeout_ms(100))
}
