//! Requests of transactional producers, and about them.

use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, DescribeProducersRequest, DescribeTransactionsRequest,
    EndTxnRequest, InitProducerIdRequest, ListTransactionsRequest, TransactionalId, TxnOffsetCommitRequest,
};

use super::{Added, Requests, group, text, topic, transactional_id};

/// Of another transactional id, so that the known producer is not fenced.
pub(super) fn init_producer_id(to: &mut Requests) -> Added {
    let other = TransactionalId(text("other"));
    let request = InitProducerIdRequest::default().with_transaction_timeout_ms(10_000);
    to.add(&request)?;
    let request = request.with_transactional_id(Some(other));
    to.add(&request)?;
    match to.version {
        3.. => to.add(&request.with_producer_id(to.producer_id()).with_producer_epoch(0)),
        _ => Ok(()),
    }
}

pub(super) fn add_partitions(to: &mut Requests) -> Added {
    let added = AddPartitionsToTxnTopic::default().with_name(topic()).with_partitions(vec![0, 1]);
    let request = AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(transactional_id())
        .with_v3_and_below_producer_id(to.producer_id())
        .with_v3_and_below_producer_epoch(to.known.producer_epoch)
        .with_v3_and_below_topics(vec![added]);
    to.add(&request)
}

pub(super) fn add_offsets(to: &mut Requests) -> Added {
    let request = AddOffsetsToTxnRequest::default()
        .with_transactional_id(transactional_id())
        .with_producer_id(to.producer_id())
        .with_producer_epoch(to.known.producer_epoch)
        .with_group_id(group());
    to.add(&request)
}

pub(super) fn offset_commit(to: &mut Requests) -> Added {
    let offset = TxnOffsetCommitRequestPartition::default()
        .with_partition_index(1)
        .with_committed_offset(3)
        .with_committed_metadata(Some(text("note")));
    let offsets = TxnOffsetCommitRequestTopic::default().with_name(topic()).with_partitions(vec![offset]);
    let request = TxnOffsetCommitRequest::default()
        .with_transactional_id(transactional_id())
        .with_group_id(group())
        .with_producer_id(to.producer_id())
        .with_producer_epoch(to.known.producer_epoch)
        .with_topics(vec![offsets]);
    to.add(&request)
}

pub(super) fn end(to: &mut Requests) -> Added {
    let request = EndTxnRequest::default()
        .with_transactional_id(transactional_id())
        .with_producer_id(to.producer_id())
        .with_producer_epoch(to.known.producer_epoch);
    to.add(&request)?;
    to.add(&request.with_committed(true))
}

pub(super) fn describe_producers(to: &mut Requests) -> Added {
    let asked = TopicRequest::default().with_name(topic()).with_partition_indexes(vec![0, 1]);
    to.add(&DescribeProducersRequest::default().with_topics(vec![asked]))
}

pub(super) fn describe(to: &mut Requests) -> Added {
    to.add(&DescribeTransactionsRequest::default().with_transactional_ids(vec![transactional_id()]))
}

pub(super) fn list(to: &mut Requests) -> Added {
    let request = ListTransactionsRequest::default()
        .with_state_filters(vec![text("Ongoing")])
        .with_producer_id_filters(vec![to.producer_id()]);
    match to.version {
        1.. => to.add(&request.with_duration_filter(1)),
        _ => to.add(&request),
    }
}
