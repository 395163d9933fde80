//! CreateTopics, DeleteTopics, CreatePartitions and DeleteRecords.
//!
//! Separate because these change which logs exist and where they start.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse, DeleteRecordsRequest,
    DeleteRecordsResponse, DeleteTopicsRequest, DeleteTopicsResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::configs::source;
use super::{Call, text};
use crate::core::BROKER_ID;
use crate::topics::{SETTINGS, Settings, TopicError};

/// The maximum number of partitions that one request can create, as in Kafka.
const REQUEST_PARTITIONS_MAX: usize = 10_000;

/// Creates topics. A name that appears twice in the request is an error, and that topic is not created.
pub(crate) fn create(call: &Call, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for topic in &request.topics {
        *times.entry(topic.name.as_str()).or_default() += 1;
    }
    let too_many = request.topics.iter().map(wanted_partitions).sum::<usize>() > REQUEST_PARTITIONS_MAX;
    let twice = |name: &TopicName| times.get(name.as_str()).is_some_and(|times| *times > 1);
    let create_one = |topic: &CreatableTopic| {
        let created = match twice(&topic.name) {
            true => Err(TopicError::new(ResponseError::InvalidRequest, "Duplicate topic name.")),
            false if too_many => Err(excessive()),
            false => create_topic(call, topic, request.validate_only),
        };
        let answer = CreatableTopicResult::default().with_name(topic.name.clone()).with_error_message(None);
        match created {
            Ok(created) => created_answer(call.version, answer, &created),
            Err(error) => answer.with_error_code(error.code.code()).with_error_message(Some(text(error.message))),
        }
    };
    CreateTopicsResponse::default().with_topics(request.topics.iter().map(create_one).collect())
}

/// The number of partitions that a request asks for, as far as it gives one.
fn wanted_partitions(topic: &CreatableTopic) -> usize {
    usize::try_from(topic.num_partitions).unwrap_or(1).max(topic.assignments.len())
}

fn excessive() -> TopicError {
    let message = format!("Excessively large number of partitions per request: at most {REQUEST_PARTITIONS_MAX}.");
    TopicError::new(ResponseError::PolicyViolation, message)
}

/// A topic that was created, or that passed validation.
struct Created {
    id: Uuid,
    partitions: i32,
    settings: Settings,
}

fn create_topic(call: &Call, topic: &CreatableTopic, only_check: bool) -> Result<Created, TopicError> {
    crate::topics::check_name(&topic.name)
        .map_err(|problem| TopicError::new(ResponseError::InvalidTopicException, problem))?;
    let partitions = partitions(call, topic)?;
    let given = topic.configs.iter().map(|one| (one.name.to_string(), one.value.as_ref().map(StrBytes::to_string)));
    let settings = call.core.topics.settings_of_new(given)?;
    let id = call.core.topics.create(&topic.name, partitions, settings.clone(), only_check)?;
    Ok(Created { id, partitions, settings })
}

/// The number of partitions of a new topic: the given number, the number of assignments, or the broker's default.
fn partitions(call: &Call, topic: &CreatableTopic) -> Result<i32, TopicError> {
    if !topic.assignments.is_empty() {
        return assigned_partitions(topic);
    }
    if !matches!(topic.replication_factor, -1 | 1) {
        let message = "Replication factor must be 1: there is only one broker.";
        return Err(TopicError::new(ResponseError::InvalidReplicationFactor, message));
    }
    Ok(if topic.num_partitions == -1 { call.core.config.default_partitions } else { topic.num_partitions })
}

fn assigned_partitions(topic: &CreatableTopic) -> Result<i32, TopicError> {
    if topic.num_partitions != -1 || topic.replication_factor != -1 {
        let message = "Assignments cannot be combined with a number of partitions or a replication factor.";
        return Err(TopicError::new(ResponseError::InvalidRequest, message));
    }
    let mut indexes: Vec<i32> = topic.assignments.iter().map(|one| one.partition_index).collect();
    indexes.sort_unstable();
    let complete = indexes.iter().copied().eq(0..indexes.len() as i32);
    let here = topic.assignments.iter().all(|one| one.broker_ids.len() == 1 && one.broker_ids[0].0 == BROKER_ID);
    if !complete || !here {
        let message =
            format!("Partitions must be numbered consecutively from 0 and assigned to broker {BROKER_ID} only.");
        return Err(TopicError::new(ResponseError::InvalidReplicaAssignment, message));
    }
    Ok(indexes.len() as i32)
}

fn created_answer(version: i16, answer: CreatableTopicResult, created: &Created) -> CreatableTopicResult {
    let answer = if version >= 7 { answer.with_topic_id(created.id) } else { answer };
    if version < 5 {
        return answer;
    }
    let config = |setting| {
        let (value, origin) = created.settings.value(setting);
        CreatableTopicConfigs::default()
            .with_name(text(setting.name))
            .with_value(Some(text(value)))
            .with_config_source(source(origin))
    };
    answer
        .with_num_partitions(created.partitions)
        .with_replication_factor(1)
        .with_configs(Some(SETTINGS.iter().map(config).collect()))
}

/// Deletes topics together with the offsets that groups committed for them. A topic that is named twice is not deleted.
pub(crate) fn delete(call: &Call, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let named = |name: TopicName| DeleteTopicState::default().with_name(Some(name));
    let topics = if call.version >= 6 { request.topics } else { request.topic_names.into_iter().map(named).collect() };
    let key = |topic: &DeleteTopicState| (topic.name.clone(), topic.topic_id);
    let mut times: BTreeMap<(Option<TopicName>, Uuid), usize> = BTreeMap::new();
    topics.iter().for_each(|topic| *times.entry(key(topic)).or_default() += 1);
    let twice = |topic: &DeleteTopicState| times.get(&key(topic)).is_some_and(|times| *times > 1);
    let responses = super::once(topics, key).into_iter().map(|topic| delete_topic(call, &topic, twice(&topic)));
    DeleteTopicsResponse::default().with_responses(responses.collect())
}

fn delete_topic(call: &Call, asked: &DeleteTopicState, twice: bool) -> DeletableTopicResult {
    let answer = DeletableTopicResult::default().with_name(asked.name.clone()).with_topic_id(asked.topic_id);
    let deleted = name_of(call, asked, twice).and_then(|name| call.core.topics.delete(&name));
    match deleted {
        Ok(deleted) => {
            call.core.groups.forget_topic(&deleted.name);
            let id = if call.version >= 6 { deleted.id } else { Uuid::nil() };
            answer.with_name(Some(super::topic_name(&deleted.name))).with_topic_id(id)
        }
        Err(error) => {
            // The field exists since version 5.
            let message = (call.version >= 5).then(|| text(error.message));
            answer.with_error_code(error.code.code()).with_error_message(message)
        }
    }
}

/// The name of the topic to delete; the request gives its name or its id.
fn name_of(call: &Call, asked: &DeleteTopicState, twice: bool) -> Result<String, TopicError> {
    let invalid = |message: &str| Err(TopicError::new(ResponseError::InvalidRequest, message));
    match (&asked.name, asked.topic_id.is_nil()) {
        (None, true) => invalid("Neither topic name nor id were specified."),
        (Some(_), false) => invalid("You may not specify both topic name and topic id."),
        (Some(_), true) if twice => invalid("Duplicate topic name."),
        (None, false) if twice => invalid("Duplicate topic id."),
        (Some(name), true) => Ok(name.to_string()),
        (None, false) => {
            let unknown = || TopicError::new(ResponseError::UnknownTopicId, "This server does not host this topic ID.");
            call.core.topics.by_id(asked.topic_id).map(|topic| topic.name.clone()).ok_or_else(unknown)
        }
    }
}

/// Adds partitions to topics.
pub(crate) fn create_partitions(call: &Call, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let grow = |topic: CreatePartitionsTopic| {
        let grown = check_assignments(&topic)
            .and_then(|()| call.core.topics.grow(&topic.name, topic.count, request.validate_only));
        let answer = CreatePartitionsTopicResult::default().with_name(topic.name);
        match grown {
            Ok(()) => answer,
            Err(error) => answer.with_error_code(error.code.code()).with_error_message(Some(text(error.message))),
        }
    };
    CreatePartitionsResponse::default().with_results(request.topics.into_iter().map(grow).collect())
}

fn check_assignments(topic: &CreatePartitionsTopic) -> Result<(), TopicError> {
    let mut assigned = topic.assignments.iter().flatten();
    if assigned.all(|one| one.broker_ids.len() == 1 && one.broker_ids[0].0 == BROKER_ID) {
        return Ok(());
    }
    let message = format!("Partitions can be assigned to broker {BROKER_ID} only.");
    Err(TopicError::new(ResponseError::InvalidReplicaAssignment, message))
}

/// Deletes the records before an offset.
pub(crate) fn delete_records(call: &Call, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let start = may_delete(call, &topic.name)
                .and_then(|()| call.core.topics.delete_records(&topic.name, asked.partition_index, asked.offset));
            DeleteRecordsPartitionResult::default()
                .with_partition_index(asked.partition_index)
                .with_error_code(super::code(&start))
                .with_low_watermark(start.unwrap_or(-1))
        });
        DeleteRecordsTopicResult::default().with_partitions(partitions.collect()).with_name(topic.name.clone())
    });
    DeleteRecordsResponse::default().with_topics(topics.collect())
}

/// Records that are only compacted cannot be removed from the start, as in Kafka.
fn may_delete(call: &Call, topic: &str) -> Result<(), ResponseError> {
    let is_kept = call.core.topics.get(topic).is_some_and(|topic| !topic.settings().deletes());
    if is_kept { Err(ResponseError::PolicyViolation) } else { Ok(()) }
}
