//! Requests about settings.

use kafka_protocol::messages::alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::{
    AlterConfigsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest, ListConfigResourcesRequest,
    incremental_alter_configs_request as incremental,
};

use super::{Added, Requests, TOPIC, text};

/// The numbers of the kinds of resources.
const TOPIC_RESOURCE: i8 = 2;
const BROKER_RESOURCE: i8 = 4;

pub(super) fn describe(to: &mut Requests) -> Added {
    let topic = DescribeConfigsResource::default().with_resource_type(TOPIC_RESOURCE).with_resource_name(text(TOPIC));
    let some = topic.clone().with_configuration_keys(Some(vec![text("retention.ms"), text("segment.bytes")]));
    let broker = DescribeConfigsResource::default()
        .with_resource_type(BROKER_RESOURCE)
        .with_resource_name(text("1"))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default().with_include_synonyms(true);
    to.add(&request.clone().with_resources(vec![some]))?;
    to.add(&request.clone().with_resources(vec![broker]))?;
    match to.version {
        3.. => to.add(&request.with_resources(vec![topic]).with_include_documentation(true)),
        _ => Ok(()),
    }
}

pub(super) fn alter(to: &mut Requests) -> Added {
    let setting = AlterableConfig::default().with_name(text("retention.ms")).with_value(Some(text("60000")));
    let altered = AlterConfigsResource::default()
        .with_resource_type(TOPIC_RESOURCE)
        .with_resource_name(text(TOPIC))
        .with_configs(vec![setting]);
    to.add(&AlterConfigsRequest::default().with_resources(vec![altered]))
}

pub(super) fn alter_incrementally(to: &mut Requests) -> Added {
    let setting = |name, operation, value| {
        incremental::AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(operation)
            .with_value(Some(text(value)))
    };
    let altered = incremental::AlterConfigsResource::default()
        .with_resource_type(TOPIC_RESOURCE)
        .with_resource_name(text(TOPIC))
        .with_configs(vec![setting("segment.bytes", 0, "100000"), setting("cleanup.policy", 2, "compact")]);
    to.add(&IncrementalAlterConfigsRequest::default().with_resources(vec![altered]))
}

pub(super) fn list_resources(to: &mut Requests) -> Added {
    match to.version {
        1.. => {
            to.add(&ListConfigResourcesRequest::default().with_resource_types(vec![TOPIC_RESOURCE, BROKER_RESOURCE]))
        }
        _ => to.add(&ListConfigResourcesRequest::default()),
    }
}
