//! Frames: bytes to request and answer to bytes.
//!
//! Apart because it is still, and because it is what strangers' bytes meet first.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable};

use super::apis::Api;
use super::shapes::shape;
use super::skim::{check_body, check_header};

/// Bytes in front of a frame that give its length.
pub(super) const LENGTH_BYTES: usize = 4;
/// API, version and correlation id come first in every request.
const ROUTE_BYTES: usize = 8;

/// Why a connection ends; there is no way to answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
    #[error("a request of {0} bytes is too short or too long")]
    Length(i32),
    #[error("it speaks TLS, and this broker does not: connect with security.protocol=PLAINTEXT")]
    Tls,
    #[error("the rest of a request did not arrive")]
    Stalled,
    #[error("an answer was not taken")]
    NotTaken,
    #[error("the API {key} in version {version} is not offered")]
    NotOffered { key: i16, version: i16 },
    #[error("a request cannot be read: {0}")]
    Malformed(String),
    #[error("an answer cannot be written: {0}")]
    Unwritable(String),
}

/// How a TLS handshake begins.
const TLS_HANDSHAKE: [u8; 2] = [0x16, 3];

impl WireError {
    /// What a length that cannot be one says about its sender.
    pub(super) fn length(prefix: [u8; LENGTH_BYTES]) -> WireError {
        match prefix.starts_with(&TLS_HANDSHAKE) {
            true => WireError::Tls,
            false => WireError::Length(i32::from_be_bytes(prefix)),
        }
    }
}

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    pub(super) key: ApiKey,
    pub(super) version: i16,
    pub(super) correlation_id: i32,
}

impl Route {
    /// Reads the first fields of a frame. ApiVersions is let through in every version.
    pub(super) fn read(frame: &[u8]) -> Result<Route, WireError> {
        let mut bytes = frame.get(..ROUTE_BYTES).ok_or(WireError::Length(frame.len() as i32))?;
        let (key, version, correlation_id) = (bytes.get_i16(), bytes.get_i16(), bytes.get_i32());
        let api = Api::find(key).filter(|api| api.offers(version) || api.key == ApiKey::ApiVersions);
        let api = api.ok_or(WireError::NotOffered { key, version })?;
        Ok(Route { key: api.key, version, correlation_id })
    }
}

/// Takes the header from a frame and gives the client's name.
pub(super) fn read_header(frame: &mut Bytes, route: Route) -> Result<String, WireError> {
    let version = route.key.request_header_version(route.version);
    // The client's name comes behind the route; from version 2 of the header on tagged fields follow.
    check_header(version >= 2, frame.get(ROUTE_BYTES..).unwrap_or_default()).map_err(malformed)?;
    let header = RequestHeader::decode(frame, version).map_err(malformed)?;
    Ok(header.client_id.map(|id| id.to_string()).unwrap_or_default())
}

/// Reads the body of a request.
pub(super) fn read_body<T: Decodable>(frame: &mut Bytes, route: Route) -> Result<T, WireError> {
    let shape = shape(route.key).ok_or_else(|| malformed("it has no shape"))?;
    check_body(shape, route.version, frame).map_err(malformed)?;
    T::decode(frame, route.version).map_err(malformed)
}

/// A whole frame with an answer.
pub(super) fn write_answer<T: Encodable>(route: Route, body: &T, version: i16) -> Result<BytesMut, WireError> {
    let header_version = route.key.response_header_version(version);
    let header = ResponseHeader::default().with_correlation_id(route.correlation_id);
    let size = body.compute_size(version).map_err(unwritable)?;
    let mut frame = BytesMut::with_capacity(size + 64);
    frame.put_i32(0);
    header.encode(&mut frame, header_version).map_err(unwritable)?;
    body.encode(&mut frame, version).map_err(unwritable)?;
    let length = i32::try_from(frame.len() - LENGTH_BYTES).map_err(unwritable)?;
    frame[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

fn malformed(error: impl std::fmt::Display) -> WireError {
    WireError::Malformed(error.to_string())
}

fn unwritable(error: impl std::fmt::Display) -> WireError {
    WireError::Unwritable(error.to_string())
}
