//! DescribeLogDirs: the size of each log.
//!
//! Separate because it is the only request about disk usage.

use std::collections::BTreeSet;

use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};

use super::{Call, text, topic_name};
use crate::config::Storage;
use crate::topics::Topic;

/// Describes the single log directory: the requested partitions, or all of them.
pub(crate) fn describe(call: &Call, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
    let named = request.topics.as_ref().map(|topics| {
        let partitions = |one: &DescribableLogDirTopic| {
            let topic = one.topic.to_string();
            one.partitions.iter().map(move |partition| (topic.clone(), *partition)).collect::<Vec<_>>()
        };
        topics.iter().flat_map(partitions).collect::<BTreeSet<(String, i32)>>()
    });
    let wanted = |topic: &Topic, partition: i32| {
        named.as_ref().is_none_or(|named| named.contains(&(topic.name.clone(), partition)))
    };
    let topics = call.core.topics.all();
    let described = topics.iter().map(|topic| {
        let logs = topic.logs().into_iter().zip(0..).filter(|(_, partition)| wanted(topic, *partition));
        let partition = |(log, index): (std::sync::Arc<crate::log::Log>, i32)| {
            let bytes = i64::try_from(log.bytes()).unwrap_or(i64::MAX);
            DescribeLogDirsPartition::default().with_partition_index(index).with_partition_size(bytes)
        };
        let partitions = logs.map(partition).collect();
        DescribeLogDirsTopic::default().with_name(topic_name(&topic.name)).with_partitions(partitions)
    });
    let described = described.filter(|topic| !topic.partitions.is_empty()).collect();
    let folder = match &call.core.config.storage {
        Storage::Folder(folder) => folder.display().to_string(),
        Storage::Memory => "memory".to_owned(),
    };
    let result = DescribeLogDirsResult::default().with_log_dir(text(folder)).with_topics(described);
    DescribeLogDirsResponse::default().with_results(vec![result])
}
