//! ApiVersions: what the broker offers.
//!
//! Apart because the answer must carry no tagged fields: older librdkafka cannot read them.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiVersionsResponse;
use kafka_protocol::messages::api_versions_response::ApiVersion;

use crate::net::{APIS, Api};

/// All APIs; with an error when the client's version of this one is not known.
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
