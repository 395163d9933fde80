//! InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, TxnOffsetCommit and EndTxn.
//!
//! Separate because these are the producer's own requests, from the beginning of a transaction to its end.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestPartition;
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    EndTxnRequest, EndTxnResponse, InitProducerIdRequest, InitProducerIdResponse, TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::group_offsets::checked_offset;
use super::{Call, code};
use crate::clock::now_ms;
use crate::group::{Caller, UNKNOWN_GENERATION};
use crate::log::Producer;
use crate::topic_partition::TopicPartition;

/// Replaces PRODUCER_FENCED by INVALID_PRODUCER_EPOCH for clients that do not know it: those with a request version
/// below `known_from`.
fn fenced<T>(result: Result<T, ResponseError>, version: i16, known_from: i16) -> Result<T, ResponseError> {
    result.map_err(|error| match error {
        ResponseError::ProducerFenced if version < known_from => ResponseError::InvalidProducerEpoch,
        error => error,
    })
}

/// Assigns a producer id, with or without a transactional id.
pub(crate) fn init_producer_id(call: &Call, request: InitProducerIdRequest) -> InitProducerIdResponse {
    let transactions = &call.core.transactions;
    let claimed = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
    let claimed = Some(claimed).filter(|claimed| call.version >= 3 && claimed.id >= 0);
    let initialized = match &request.transactional_id {
        None => transactions.initialize_idempotent(),
        Some(id) if id.is_empty() => Err(ResponseError::InvalidRequest),
        Some(id) => {
            let rooms = (&*call.core.topics, &call.core.groups);
            transactions.initialize(rooms, id, request.transaction_timeout_ms, claimed, now_ms())
        }
    };
    let answer = InitProducerIdResponse::default();
    match fenced(initialized, call.version, 4) {
        Ok(producer) => answer.with_producer_id(producer.id.into()).with_producer_epoch(producer.epoch),
        Err(error) => answer.with_error_code(error.code()).with_producer_id((-1).into()).with_producer_epoch(-1),
    }
}

/// Adds partitions to the transaction: all of them or none.
pub(crate) fn add_partitions(call: &Call, request: AddPartitionsToTxnRequest) -> AddPartitionsToTxnResponse {
    let producer = Producer { id: request.v3_and_below_producer_id.0, epoch: request.v3_and_below_producer_epoch };
    let topics = request.v3_and_below_topics;
    let named = |topic: &AddPartitionsToTxnTopic| {
        let name = topic.name.to_string();
        topic.partitions.iter().map(|index| TopicPartition::new(&name, *index)).collect::<Vec<_>>()
    };
    let partitions: Vec<TopicPartition> = topics.iter().flat_map(named).collect();
    let is_known = |at: &TopicPartition| call.core.topics.log(&at.topic, at.partition).is_ok();
    let added = match partitions.iter().all(is_known) {
        true => {
            let id = &request.v3_and_below_transactional_id;
            let added = call.core.transactions.add_partitions(&call.core.topics, id, producer, &partitions, now_ms());
            fenced(added, call.version, 2)
        }
        false => Err(ResponseError::OperationNotAttempted),
    };
    let result = |at: &TopicPartition| match is_known(at) {
        true => code(&added),
        false => ResponseError::UnknownTopicOrPartition.code(),
    };
    let answers = topics.iter().map(|topic| {
        let partition = |at: TopicPartition| {
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(at.partition)
                .with_partition_error_code(result(&at))
        };
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name.clone())
            .with_results_by_partition(named(topic).into_iter().map(partition).collect())
    });
    AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(answers.collect())
}

/// Adds a group whose offsets the transaction will commit.
pub(crate) fn add_offsets(call: &Call, request: AddOffsetsToTxnRequest) -> AddOffsetsToTxnResponse {
    let producer = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
    let added = match request.group_id.is_empty() {
        true => Err(ResponseError::InvalidGroupId),
        false => call.core.transactions.add_group(&request.transactional_id, producer, &request.group_id, now_ms()),
    };
    AddOffsetsToTxnResponse::default().with_error_code(code(&fenced(added, call.version, 2)))
}

/// Stores offsets that take effect when the transaction commits.
pub(crate) fn commit_offsets(call: &Call, request: TxnOffsetCommitRequest) -> TxnOffsetCommitResponse {
    let producer = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
    let member = call.version >= 3;
    let caller = Caller {
        member_id: if member { request.member_id.to_string() } else { String::new() },
        instance_id: request.group_instance_id.as_ref().filter(|_| member).map(StrBytes::to_string),
        generation: if member { request.generation_id } else { UNKNOWN_GENERATION },
    };
    let mut checked = Vec::new();
    let mut legal = Vec::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let metadata = partition.committed_metadata.as_ref().map(StrBytes::to_string);
            let at = TopicPartition::new(&topic.name, partition.partition_index);
            let epoch = if call.version >= 2 { partition.committed_leader_epoch } else { -1 };
            let offset = checked_offset(call, at, partition.committed_offset, epoch, metadata);
            checked.push(offset.as_ref().map(|_| ()).map_err(|error| *error));
            legal.extend(offset);
        }
    }
    let group = (request.group_id.as_str(), &caller);
    let transactions = &call.core.transactions;
    let kept =
        transactions.commit_offsets(&call.core.groups, &request.transactional_id, producer, group, &legal, now_ms());
    // PRODUCER_FENCED is not defined in any version of this response.
    let kept = fenced(kept, call.version, i16::MAX);
    let mut checked = checked.into_iter();
    let topics = request.topics.iter().map(|topic| {
        let partition = |partition: &TxnOffsetCommitRequestPartition| {
            let result = checked.next().unwrap_or(Ok(())).and(kept);
            TxnOffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code(&result))
        };
        let partitions = topic.partitions.iter().map(partition).collect();
        TxnOffsetCommitResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions)
    });
    TxnOffsetCommitResponse::default().with_topics(topics.collect())
}

/// Commits or aborts the transaction.
pub(crate) fn end(call: &Call, request: EndTxnRequest) -> EndTxnResponse {
    let producer = Producer { id: request.producer_id.0, epoch: request.producer_epoch };
    let rooms = (&*call.core.topics, &call.core.groups);
    let ended = call.core.transactions.end(rooms, &request.transactional_id, producer, request.committed, now_ms());
    EndTxnResponse::default().with_error_code(code(&fenced(ended, call.version, 2)))
}
