//! DescribeProducers, DescribeTransactions and ListTransactions: administration of transactions.
//!
//! Separate from the producer's own requests because these change nothing.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_producers_response::{PartitionResponse, ProducerState, TopicResponse};
use kafka_protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use kafka_protocol::messages::list_transactions_response::TransactionState as ListedTransaction;
use kafka_protocol::messages::{
    DescribeProducersRequest, DescribeProducersResponse, DescribeTransactionsRequest, DescribeTransactionsResponse,
    ListTransactionsRequest, ListTransactionsResponse, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;

use super::{Call, once, text, topic_name};
use crate::clock::now_ms;
use crate::log::ProducerActivity;
use crate::txn::{Phase, Transaction};

/// All transaction states that a client can filter by.
const STATES: &[&str] =
    &["Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead"];

/// Describes the producers that partitions keep state for.
pub(crate) fn describe_producers(call: &Call, request: DescribeProducersRequest) -> DescribeProducersResponse {
    let topics = once(request.topics, |topic| topic.name.clone()).into_iter().map(|topic| {
        let partition = |index: i32| {
            let answer = PartitionResponse::default().with_partition_index(index);
            match call.core.topics.log(&topic.name, index) {
                Ok((log, _)) => answer.with_active_producers(log.activity().iter().map(producer_state).collect()),
                Err(error) => answer.with_error_code(error.code()).with_error_message(Some(text(error.to_string()))),
            }
        };
        let partitions = once(topic.partition_indexes, |index| *index).into_iter().map(partition).collect();
        TopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions)
    });
    DescribeProducersResponse::default().with_topics(topics.collect())
}

fn producer_state(activity: &ProducerActivity) -> ProducerState {
    ProducerState::default()
        .with_producer_id(activity.producer.id.into())
        .with_producer_epoch(i32::from(activity.producer.epoch))
        .with_last_sequence(activity.last_sequence)
        .with_last_timestamp(activity.last_timestamp_ms)
        .with_current_txn_start_offset(activity.transaction_start.unwrap_or(-1))
}

/// Describes transactional ids and their open transactions.
pub(crate) fn describe_transactions(call: &Call, request: DescribeTransactionsRequest) -> DescribeTransactionsResponse {
    let describe_one = |id: TransactionalId| {
        let described = call.core.transactions.inspect(&id, described);
        let missing = || {
            TransactionState::default()
                .with_error_code(ResponseError::TransactionalIdNotFound.code())
                .with_producer_id((-1).into())
                .with_producer_epoch(-1)
        };
        described.unwrap_or_else(missing).with_transactional_id(id)
    };
    let ids = once(request.transactional_ids, TransactionalId::clone);
    let states = ids.into_iter().map(describe_one).collect();
    DescribeTransactionsResponse::default().with_transaction_states(states)
}

fn described(transaction: &Transaction) -> TransactionState {
    let producer = transaction.producer();
    let (since_ms, topics) = match transaction.phase() {
        Phase::Ongoing { since_ms, partitions, .. } => (*since_ms, topic_data(partitions)),
        Phase::Decided(ended) => (-1, topic_data(&ended.partitions)),
        Phase::Idle { .. } => (-1, Vec::new()),
    };
    TransactionState::default()
        .with_transaction_state(text(transaction.state_name()))
        .with_transaction_timeout_ms(transaction.timeout_ms())
        .with_transaction_start_time_ms(since_ms)
        .with_producer_id(producer.id.into())
        .with_producer_epoch(producer.epoch)
        .with_topics(topics)
}

/// Groups partitions by topic; they are sorted, so partitions of the same topic are adjacent.
fn topic_data<'a>(partitions: impl IntoIterator<Item = &'a crate::topic_partition::TopicPartition>) -> Vec<TopicData> {
    let mut topics: Vec<TopicData> = Vec::new();
    for at in partitions {
        match topics.last_mut() {
            Some(topic) if topic.topic.as_str() == at.topic => topic.partitions.push(at.partition),
            _ => {
                topics.push(TopicData::default().with_topic(topic_name(&at.topic)).with_partitions(vec![at.partition]));
            }
        }
    }
    topics
}

/// Lists transactional ids, filtered by state, producer id and duration.
pub(crate) fn list_transactions(call: &Call, request: ListTransactionsRequest) -> ListTransactionsResponse {
    let now_ms = now_ms();
    let wanted = |transaction: &Transaction| {
        let states = &request.state_filters;
        let producers = &request.producer_id_filters;
        let old = match transaction.phase() {
            Phase::Ongoing { since_ms, .. } => now_ms - since_ms > request.duration_filter,
            _ => false,
        };
        (states.is_empty() || states.iter().any(|state| state.as_str() == transaction.state_name()))
            && (producers.is_empty() || producers.contains(&transaction.producer().id.into()))
            && (call.version < 1 || request.duration_filter < 0 || old)
    };
    let listed = |id: String| {
        let summarize = |transaction: &Transaction| {
            wanted(transaction).then(|| (transaction.producer().id, transaction.state_name()))
        };
        let (producer_id, state) = call.core.transactions.inspect(&id, summarize)??;
        let listed = ListedTransaction::default().with_transactional_id(TransactionalId(text(id)));
        Some(listed.with_producer_id(producer_id.into()).with_transaction_state(text(state)))
    };
    let unknown = |state: &&StrBytes| !STATES.contains(&state.as_str());
    ListTransactionsResponse::default()
        .with_unknown_state_filters(request.state_filters.iter().filter(unknown).cloned().collect())
        .with_transaction_states(call.core.transactions.ids().into_iter().filter_map(listed).collect())
}
