//! ApiVersions: the APIs and versions that the broker supports.
//!
//! Separate because the response must not contain tagged fields, which older versions of librdkafka cannot read.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiVersionsResponse;
use kafka_protocol::messages::api_versions_response::ApiVersion;

use crate::net::{APIS, Api};

/// Lists all APIs; with an error code if the client's version of ApiVersions is not supported.
pub(crate) fn versions(known: bool) -> ApiVersionsResponse {
    let error_code = if known { 0 } else { ResponseError::UnsupportedVersion.code() };
    let api = |api: &Api| {
        ApiVersion::default()
            .with_api_key(api.key as i16)
            .with_min_version(api.advertised_min)
            .with_max_version(api.max)
    };
    ApiVersionsResponse::default().with_error_code(error_code).with_api_keys(APIS.iter().map(api).collect())
}
