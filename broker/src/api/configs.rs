//! DescribeConfigs, AlterConfigs and IncrementalAlterConfigs.
//!
//! Separate because configs belong to resources of their own: topics, whose configs can be changed, and the broker,
//! whose configs are read-only.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse as AlteredResource;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::incremental_alter_configs_request::AlterableConfig;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, DescribeConfigsRequest, DescribeConfigsResponse,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{Call, once, text};
use crate::config::Config;
use crate::core::BROKER_ID;
use crate::topics::{Edit, Origin, SETTINGS, Setting, SettingType, Settings, TopicError};

/// The resource types of the protocol.
pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;

/// The config sources of the protocol: where a value comes from.
const SOURCE_TOPIC: i8 = 1;
const SOURCE_STATIC_BROKER: i8 = 4;
const SOURCE_DEFAULT: i8 = 5;

pub(super) fn source(origin: Origin) -> i8 {
    match origin {
        Origin::Topic => SOURCE_TOPIC,
        Origin::Broker => SOURCE_STATIC_BROKER,
        Origin::Default => SOURCE_DEFAULT,
    }
}

/// What is returned with each config value.
#[derive(Clone, Copy)]
struct Shown {
    synonyms: bool,
    documentation: bool,
}

/// Describes the configs of topics and of the broker.
pub(crate) fn describe(call: &Call, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let documentation = request.include_documentation && call.version >= 3;
    let shown = Shown { synonyms: request.include_synonyms, documentation };
    let describe_one = |resource: DescribeConfigsResource| {
        let described = described(call, &resource, shown);
        let answer = DescribeConfigsResult::default()
            .with_error_message(None)
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name);
        match described {
            Ok(configs) => answer.with_configs(configs),
            Err(error) => answer.with_error_code(error.code.code()).with_error_message(Some(text(error.message))),
        }
    };
    let resources = once(request.resources, |one| (one.resource_type, one.resource_name.clone()));
    DescribeConfigsResponse::default().with_results(resources.into_iter().map(describe_one).collect())
}

fn described(
    call: &Call,
    resource: &DescribeConfigsResource,
    shown: Shown,
) -> Result<Vec<DescribeConfigsResourceResult>, TopicError> {
    let keys = resource.configuration_keys.as_ref();
    let wanted = |name: &str| keys.is_none_or(|keys| keys.is_empty() || keys.iter().any(|key| key.as_str() == name));
    match resource.resource_type {
        TOPIC => {
            let settings = topic_settings(call, &resource.resource_name)?;
            let wanted = SETTINGS.iter().filter(|setting| wanted(setting.name));
            Ok(wanted.map(|setting| topic_config(&settings, setting, shown)).collect())
        }
        BROKER => {
            check_broker(&resource.resource_name)?;
            let configs = broker_configs(call).into_iter().filter(|(name, ..)| wanted(name));
            Ok(configs.map(|(name, value, value_type)| broker_config(name, value, value_type)).collect())
        }
        _ => Err(unknown_resource()),
    }
}

fn topic_settings(call: &Call, name: &str) -> Result<Settings, TopicError> {
    let unknown =
        || TopicError::new(ResponseError::UnknownTopicOrPartition, format!("The topic '{name}' does not exist."));
    call.core.topics.get(name).map(|topic| topic.settings()).ok_or_else(unknown)
}

fn topic_config(settings: &Settings, setting: &'static Setting, shown: Shown) -> DescribeConfigsResourceResult {
    let (value, origin) = settings.value(setting);
    DescribeConfigsResourceResult::default()
        .with_name(text(setting.name))
        .with_value(Some(text(value)))
        .with_config_source(source(origin))
        .with_synonyms(if shown.synonyms { synonyms(settings, setting) } else { Vec::new() })
        .with_config_type(setting.value_type.code())
        .with_documentation(shown.documentation.then(|| text(setting.doc)))
}

/// The value in effect, followed by the values it overrides.
fn synonyms(settings: &Settings, setting: &Setting) -> Vec<DescribeConfigsSynonym> {
    let synonym = |(value, origin): (&str, Origin)| {
        let name = if origin == Origin::Topic { setting.name } else { setting.broker_name };
        DescribeConfigsSynonym::default()
            .with_name(text(name))
            .with_value(Some(text(value)))
            .with_source(source(origin))
    };
    settings.values(setting).map(synonym).collect()
}

fn broker_configs(call: &Call) -> Vec<(String, String, SettingType)> {
    let config = &call.core.config;
    let int = SettingType::Int(0, i64::from(i32::MAX));
    let at_least_1 = SettingType::Long(1, i64::MAX);
    let mut configs = vec![
        ("auto.create.topics.enable".to_owned(), config.auto_create_topics.to_string(), SettingType::Boolean),
        ("broker.id".to_owned(), BROKER_ID.to_string(), int),
        ("default.replication.factor".to_owned(), "1".to_owned(), int),
        (
            "group.consumer.heartbeat.interval.ms".to_owned(),
            config.consumer_heartbeat_ms.to_string(),
            SettingType::Int(1, i64::from(i32::MAX)),
        ),
        (
            "group.consumer.session.timeout.ms".to_owned(),
            config.consumer_session_timeout_ms.to_string(),
            SettingType::Int(1, i64::from(i32::MAX)),
        ),
        ("group.initial.rebalance.delay.ms".to_owned(), config.group_initial_delay_ms.to_string(), int),
        ("log.retention.check.interval.ms".to_owned(), config.retention_check_ms.to_string(), at_least_1),
        ("node.id".to_owned(), BROKER_ID.to_string(), int),
        ("num.partitions".to_owned(), config.default_partitions.to_string(), int),
        ("offsets.retention.check.interval.ms".to_owned(), config.offsets_retention_check_ms.to_string(), at_least_1),
        (
            "offsets.retention.minutes".to_owned(),
            offsets_retention_minutes(config),
            SettingType::Int(-1, i64::from(i32::MAX)),
        ),
    ];
    let defaults = SETTINGS.iter().map(|one| {
        let value = config.topic_defaults.get(one.name).map_or(one.default, String::as_str);
        (one.broker_name.to_owned(), value.to_owned(), one.value_type)
    });
    configs.extend(defaults);
    configs
}

/// Kafka's unit; -1 means for ever.
fn offsets_retention_minutes(config: &Config) -> String {
    config.offsets_retention_ms.map_or("-1".to_owned(), |ms| ms.div_ceil(60_000).to_string())
}

fn broker_config(name: String, value: String, value_type: SettingType) -> DescribeConfigsResourceResult {
    DescribeConfigsResourceResult::default()
        .with_name(text(name))
        .with_value(Some(text(value)))
        .with_read_only(true)
        .with_config_source(SOURCE_STATIC_BROKER)
        .with_config_type(value_type.code())
}

fn check_broker(name: &str) -> Result<(), TopicError> {
    if name.is_empty() || name == BROKER_ID.to_string() {
        return Ok(());
    }
    let message = format!("Unknown broker {name}: the only broker is {BROKER_ID}.");
    Err(TopicError::new(ResponseError::InvalidRequest, message))
}

fn unknown_resource() -> TopicError {
    TopicError::new(ResponseError::InvalidRequest, "Only topics and the broker have configs.")
}

/// Replaces all configs of a topic.
pub(crate) fn alter(call: &Call, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let alter_one = |resource: kafka_protocol::messages::alter_configs_request::AlterConfigsResource| {
        let given = resource.configs.iter();
        let given = given.map(|one| (one.name.to_string(), one.value.as_ref().map(StrBytes::to_string)));
        let target = (resource.resource_type, resource.resource_name.as_str());
        let altered = configure(call, target, request.validate_only, |settings| settings.replace(given));
        let (error_code, message) = outcome(altered);
        AlteredResource::default()
            .with_error_code(error_code)
            .with_error_message(message)
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name)
    };
    AlterConfigsResponse::default().with_responses(request.resources.into_iter().map(alter_one).collect())
}

/// Changes some configs of a topic: all of the changes or none.
pub(crate) fn alter_incrementally(
    call: &Call,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let alter_one = |resource: kafka_protocol::messages::incremental_alter_configs_request::AlterConfigsResource| {
        let target = (resource.resource_type, resource.resource_name.as_str());
        let altered = configure(call, target, request.validate_only, |settings| {
            resource.configs.iter().try_for_each(|one| settings.edit(&one.name, edit(one)?))
        });
        let (error_code, message) = outcome(altered);
        AlterConfigsResourceResponse::default()
            .with_error_code(error_code)
            .with_error_message(message)
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name)
    };
    IncrementalAlterConfigsResponse::default().with_responses(request.resources.into_iter().map(alter_one).collect())
}

fn edit(config: &AlterableConfig) -> Result<Edit, String> {
    let value = || {
        let value = config.value.as_ref().map(StrBytes::to_string);
        value.ok_or_else(|| format!("Null value not supported for: {}", config.name))
    };
    match config.config_operation {
        0 => Ok(Edit::Set(value()?)),
        1 => Ok(Edit::Unset),
        2 => Ok(Edit::Append(value()?)),
        3 => Ok(Edit::Subtract(value()?)),
        other => Err(format!("Unknown config operation: {other}")),
    }
}

fn configure(
    call: &Call,
    (resource_type, name): (i8, &str),
    only_check: bool,
    edit: impl FnOnce(&mut Settings) -> Result<(), String>,
) -> Result<(), TopicError> {
    match resource_type {
        TOPIC => call.core.topics.configure(name, only_check, edit),
        BROKER => {
            let message = "The configs of this broker cannot be changed while it is running.";
            Err(TopicError::new(ResponseError::InvalidRequest, message))
        }
        _ => Err(unknown_resource()),
    }
}

fn outcome(result: Result<(), TopicError>) -> (i16, Option<StrBytes>) {
    match result {
        Ok(()) => (0, None),
        Err(error) => (error.code.code(), Some(text(error.message))),
    }
}
