//! OffsetCommit, OffsetFetch and OffsetDelete: the committed offsets of groups.
//!
//! Separate from membership because a consumer can commit offsets without being a member.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestPartition;
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest,
    OffsetFetchResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{Call, code, once, text, topic_name};
use crate::clock::now_ms;
use crate::group::{Caller, GroupView, Offsets};
use crate::meta::{CommittedOffset, PartitionOffset};
use crate::topic_partition::TopicPartition;

/// The maximum length of the metadata of a committed offset, in bytes: Kafka's `offset.metadata.max.bytes`.
const METADATA_BYTES_MAX: usize = 4_096;

/// Commits the offsets that pass the checks; each of the others is refused by itself.
///
/// For how long they are kept is the broker's to say: the retention time that requests could have up to version 4 is ignored.
pub(crate) fn commit(call: &Call, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let caller = Caller {
        member_id: request.member_id.to_string(),
        instance_id: request.group_instance_id.as_ref().map(StrBytes::to_string),
        generation: request.generation_id_or_member_epoch,
    };
    let mut legal = Vec::new();
    let mut checked = Vec::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let offset = committed_offset(call, &topic.name, partition);
            checked.push(offset.as_ref().map(|_| ()).map_err(|error| *error));
            legal.extend(offset);
        }
    }
    let committed = call.core.groups.commit(&request.group_id, &caller, &legal, now_ms());
    let mut checked = checked.into_iter();
    let answers = request.topics.into_iter().map(|topic| {
        let partition = |partition: &OffsetCommitRequestPartition| {
            let result = checked.next().unwrap_or(Ok(())).and(committed);
            OffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code(&result))
        };
        let partitions = topic.partitions.iter().map(partition).collect();
        OffsetCommitResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions)
    });
    OffsetCommitResponse::default().with_topics(answers.collect())
}

fn committed_offset(
    call: &Call,
    topic: &str,
    partition: &OffsetCommitRequestPartition,
) -> Result<PartitionOffset, ResponseError> {
    let metadata = partition.committed_metadata.as_ref().map(StrBytes::to_string);
    let at = TopicPartition::new(topic, partition.partition_index);
    let epoch = if call.version >= 6 { partition.committed_leader_epoch } else { -1 };
    checked_offset(call, at, partition.committed_offset, epoch, metadata)
}

/// Checks an offset before it is committed: the partition must exist and the metadata must not be too long.
pub(super) fn checked_offset(
    call: &Call,
    at: TopicPartition,
    offset: i64,
    leader_epoch: i32,
    metadata: Option<String>,
) -> Result<PartitionOffset, ResponseError> {
    call.core.topics.log(&at.topic, at.partition)?;
    if metadata.as_ref().is_some_and(|text| text.len() > METADATA_BYTES_MAX) {
        return Err(ResponseError::OffsetMetadataTooLarge);
    }
    Ok(PartitionOffset {
        at,
        committed: CommittedOffset { offset, leader_epoch, metadata, committed_ms: Some(now_ms()) },
    })
}

/// A group and the partitions whose offsets are requested; `None` for all.
struct OffsetQuery {
    group: String,
    partitions: Option<Vec<TopicPartition>>,
}

/// Returns committed offsets; a request can name several groups since version 8.
pub(crate) fn fetch(call: &Call, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let stable = request.require_stable;
    if call.version < 8 {
        let partitions = request.topics.map(|topics| {
            topics.iter().flat_map(|topic| partitions_of(&topic.name, &topic.partition_indexes)).collect()
        });
        let wanted = OffsetQuery { group: request.group_id.to_string(), partitions };
        let topics = by_topic(fetched(call, &wanted, stable)).into_iter();
        return OffsetFetchResponse::default().with_topics(topics.map(old_topic).collect());
    }
    let groups = once(request.groups, |group| group.group_id.clone()).into_iter().map(|group| {
        let member_id = group.member_id.as_ref().map(StrBytes::as_str);
        let check = |view: GroupView<'_>| view.members.check_fetch(member_id, group.member_epoch);
        if let Some(Err(error)) = call.core.groups.inspect(&group.group_id, check) {
            return OffsetFetchResponseGroup::default().with_error_code(error.code()).with_group_id(group.group_id);
        }
        let partitions = group.topics.map(|topics| {
            topics.iter().flat_map(|topic| partitions_of(&topic.name, &topic.partition_indexes)).collect()
        });
        let wanted = OffsetQuery { group: group.group_id.to_string(), partitions };
        let topics = by_topic(fetched(call, &wanted, stable)).into_iter().map(new_topic);
        OffsetFetchResponseGroup::default().with_group_id(group.group_id).with_topics(topics.collect())
    });
    OffsetFetchResponse::default().with_groups(groups.collect())
}

fn partitions_of(topic: &str, indexes: &[i32]) -> Vec<TopicPartition> {
    indexes.iter().map(|index| TopicPartition::new(topic, *index)).collect()
}

type FetchedOffset = (TopicPartition, Result<CommittedOffset, ResponseError>);

fn fetched(call: &Call, wanted: &OffsetQuery, stable: bool) -> Vec<FetchedOffset> {
    let read = |offsets: &Offsets| {
        let all = || offsets.committed().keys().cloned().collect();
        let partitions = wanted.partitions.clone().unwrap_or_else(all);
        partitions.into_iter().map(|at| fetched_one(offsets, at, stable)).collect()
    };
    let nothing = Offsets::default();
    call.core.groups.inspect(&wanted.group, |view| read(view.offsets)).unwrap_or_else(|| read(&nothing))
}

fn fetched_one(offsets: &Offsets, at: TopicPartition, stable: bool) -> FetchedOffset {
    if stable && offsets.is_unstable(&at) {
        return (at, Err(ResponseError::UnstableOffsetCommit));
    }
    let none = CommittedOffset { offset: -1, leader_epoch: -1, metadata: Some(String::new()), committed_ms: None };
    let committed = offsets.committed().get(&at).cloned().unwrap_or(none);
    (at, Ok(committed))
}

fn by_topic(fetched: Vec<FetchedOffset>) -> Vec<(String, Vec<FetchedOffset>)> {
    let mut topics: Vec<(String, Vec<FetchedOffset>)> = Vec::new();
    for one in fetched {
        match topics.last_mut() {
            Some((topic, partitions)) if *topic == one.0.topic => partitions.push(one),
            _ => topics.push((one.0.topic.clone(), vec![one])),
        }
    }
    topics
}

fn old_topic((topic, partitions): (String, Vec<FetchedOffset>)) -> OffsetFetchResponseTopic {
    let partition = |(at, committed): FetchedOffset| {
        let error_code = code(&committed);
        let answer = OffsetFetchResponsePartition::default().with_partition_index(at.partition);
        let (offset, epoch, metadata) = parts(committed);
        answer
            .with_committed_offset(offset)
            .with_committed_leader_epoch(epoch)
            .with_metadata(metadata)
            .with_error_code(error_code)
    };
    OffsetFetchResponseTopic::default()
        .with_name(topic_name(&topic))
        .with_partitions(partitions.into_iter().map(partition).collect())
}

fn new_topic((topic, partitions): (String, Vec<FetchedOffset>)) -> OffsetFetchResponseTopics {
    let partition = |(at, committed): FetchedOffset| {
        let error_code = code(&committed);
        let answer = OffsetFetchResponsePartitions::default().with_partition_index(at.partition);
        let (offset, epoch, metadata) = parts(committed);
        answer
            .with_committed_offset(offset)
            .with_committed_leader_epoch(epoch)
            .with_metadata(metadata)
            .with_error_code(error_code)
    };
    OffsetFetchResponseTopics::default()
        .with_name(topic_name(&topic))
        .with_partitions(partitions.into_iter().map(partition).collect())
}

fn parts(committed: Result<CommittedOffset, ResponseError>) -> (i64, i32, Option<StrBytes>) {
    match committed {
        Ok(committed) => (committed.offset, committed.leader_epoch, committed.metadata.map(text)),
        Err(_) => (-1, -1, Some(StrBytes::default())),
    }
}

/// Deletes a group's offsets for topics that no member subscribes to.
pub(crate) fn delete(call: &Call, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let subscribed = call.core.groups.inspect(&request.group_id, |view| view.members.subscribed_topics());
    let Some(subscribed) = subscribed else {
        return OffsetDeleteResponse::default().with_error_code(ResponseError::GroupIdNotFound.code());
    };
    let subscribed = subscribed.unwrap_or_default();
    let mut deleted = Vec::new();
    let topics = request.topics.into_iter().map(|topic| {
        let partition = |index: i32| {
            let at = TopicPartition::new(&topic.name, index);
            let error_code = match subscribed.contains(&at.topic) {
                true => ResponseError::GroupSubscribedToTopic.code(),
                false => code(&call.core.topics.log(&at.topic, at.partition)),
            };
            if error_code == 0 {
                deleted.push(at);
            }
            OffsetDeleteResponsePartition::default().with_partition_index(index).with_error_code(error_code)
        };
        let partitions = topic.partitions.iter().map(|one| one.partition_index).map(partition).collect();
        OffsetDeleteResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions)
    });
    let topics = topics.collect();
    let result = call.core.groups.delete_offsets(&request.group_id, deleted);
    OffsetDeleteResponse::default().with_error_code(code(&result)).with_topics(topics)
}
