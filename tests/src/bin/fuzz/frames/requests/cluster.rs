//! Requests about the cluster, and about what this broker does not have.

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiVersionsRequest, DescribeAclsRequest, DescribeClientQuotasRequest, DescribeClusterRequest,
    DescribeQuorumRequest, DescribeUserScramCredentialsRequest, FindCoordinatorRequest, MetadataRequest, TopicName,
    describe_client_quotas_request, describe_quorum_request, describe_user_scram_credentials_request,
};

use super::{Added, GROUP, Requests, TRANSACTIONAL_ID, text, topic};

pub(super) fn api_versions(to: &mut Requests) -> Added {
    let request = ApiVersionsRequest::default();
    match to.version {
        3.. => to.add(&request.with_client_software_name(text("fuzz")).with_client_software_version(text("1.0"))),
        _ => to.add(&request),
    }
}

/// Versions without the field always create what is missing.
pub(super) fn metadata(to: &mut Requests) -> Added {
    let named = |name| MetadataRequestTopic::default().with_name(Some(name));
    let topics = vec![named(topic()), named(TopicName(text("automatic")))];
    to.add(&MetadataRequest::default().with_topics(Some(topics)).with_allow_auto_topic_creation(true))?;
    let all = if to.version == 0 { Some(Vec::new()) } else { None };
    to.add(&MetadataRequest::default().with_topics(all))
}

pub(super) fn find_coordinator(to: &mut Requests) -> Added {
    let request = FindCoordinatorRequest::default();
    match to.version {
        4.. => to.add(&request.with_key_type(1).with_coordinator_keys(vec![text(TRANSACTIONAL_ID), text("x")])),
        _ => to.add(&request.with_key(text(GROUP))),
    }
}

pub(super) fn describe_acls(to: &mut Requests) -> Added {
    let request = DescribeAclsRequest::default()
        .with_resource_type_filter(2)
        .with_resource_name_filter(Some(text("target")))
        .with_principal_filter(Some(text("User:ann")));
    to.add(&request.with_pattern_type_filter(3).with_operation(1).with_permission_type(1))
}

pub(super) fn describe_client_quotas(to: &mut Requests) -> Added {
    let component = describe_client_quotas_request::ComponentData::default()
        .with_entity_type(text("user"))
        .with_match(Some(text("ann")));
    to.add(&DescribeClientQuotasRequest::default().with_components(vec![component]).with_strict(true))
}

pub(super) fn describe_user_scram_credentials(to: &mut Requests) -> Added {
    let user = describe_user_scram_credentials_request::UserName::default().with_name(text("ann"));
    to.add(&DescribeUserScramCredentialsRequest::default().with_users(Some(vec![user])))
}

pub(super) fn describe_quorum(to: &mut Requests) -> Added {
    let name = TopicName(text("__cluster_metadata"));
    let asked = describe_quorum_request::PartitionData::default().with_partition_index(0);
    let asked = describe_quorum_request::TopicData::default().with_topic_name(name).with_partitions(vec![asked]);
    to.add(&DescribeQuorumRequest::default().with_topics(vec![asked]))
}

pub(super) fn describe_cluster(to: &mut Requests) -> Added {
    to.add(&DescribeClusterRequest::default().with_include_cluster_authorized_operations(true))
}
