//! Decoding requests and encoding responses.
//!
//! Separate because it does no I/O, and because it is the first code to see bytes from unknown clients.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable};

use super::apis::Api;
use super::shapes::shape;
use super::skim::{check_body, check_header};

/// The length of the length field of a frame, in bytes.
pub(super) const LENGTH_BYTES: usize = 4;
/// The API key, version and correlation id at the start of every request.
const ROUTE_BYTES: usize = 8;

/// Why a connection is closed; an error response is not possible.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("connection error: {0}")]
    Io(#[from] std::io::Error),
    #[error("invalid request length: {0} bytes")]
    Length(i32),
    #[error("the client uses TLS, which this broker does not support: connect with security.protocol=PLAINTEXT")]
    Tls,
    #[error("timed out waiting for the rest of a request")]
    RequestTimeout,
    #[error("timed out waiting for the client to read a response")]
    ResponseTimeout,
    #[error("could not read a segment for a response: {0}")]
    Segment(std::io::Error),
    #[error("API {key} version {version} is not supported")]
    Unsupported { key: i16, version: i16 },
    #[error("invalid request: {0}")]
    Malformed(String),
    #[error("could not encode a response: {0}")]
    Encoding(String),
}

/// The first bytes of a TLS handshake.
const TLS_HANDSHAKE: [u8; 2] = [0x16, 3];

impl WireError {
    /// The error for an invalid length, which may be the start of a TLS handshake.
    pub(super) fn length(prefix: [u8; LENGTH_BYTES]) -> WireError {
        match prefix.starts_with(&TLS_HANDSHAKE) {
            true => WireError::Tls,
            false => WireError::Length(i32::from_be_bytes(prefix)),
        }
    }
}

/// The API, version and correlation id of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    pub(super) key: ApiKey,
    pub(super) version: i16,
    pub(super) correlation_id: i32,
}

impl Route {
    /// Reads the first fields of a frame. ApiVersions is accepted in every version.
    pub(super) fn read(frame: &[u8]) -> Result<Route, WireError> {
        let mut bytes = frame.get(..ROUTE_BYTES).ok_or(WireError::Length(frame.len() as i32))?;
        let (key, version, correlation_id) = (bytes.get_i16(), bytes.get_i16(), bytes.get_i32());
        let api = Api::find(key).filter(|api| api.offers(version) || api.key == ApiKey::ApiVersions);
        let api = api.ok_or(WireError::Unsupported { key, version })?;
        Ok(Route { key: api.key, version, correlation_id })
    }
}

/// Removes the header from a frame and returns the client id.
pub(super) fn read_header(frame: &mut Bytes, route: Route) -> Result<String, WireError> {
    let version = route.key.request_header_version(route.version);
    // The client id comes after the route; since version 2 of the header, tagged fields follow it.
    check_header(version >= 2, frame.get(ROUTE_BYTES..).unwrap_or_default()).map_err(malformed)?;
    let header = RequestHeader::decode(frame, version).map_err(malformed)?;
    Ok(header.client_id.map(|id| id.to_string()).unwrap_or_default())
}

/// Decodes the body of a request.
pub(super) fn read_body<T: Decodable>(frame: &mut Bytes, route: Route) -> Result<T, WireError> {
    let shape = shape(route.key).ok_or_else(|| malformed("the API has no shape"))?;
    check_body(shape, route.version, frame).map_err(malformed)?;
    T::decode(frame, route.version).map_err(malformed)
}

/// Encodes a response as a whole frame.
pub(super) fn write_answer<T: Encodable>(route: Route, body: &T, version: i16) -> Result<BytesMut, WireError> {
    let header_version = route.key.response_header_version(version);
    let header = ResponseHeader::default().with_correlation_id(route.correlation_id);
    let size = body.compute_size(version).map_err(encoding_error)?;
    let mut frame = BytesMut::with_capacity(size + 64);
    frame.put_i32(0);
    header.encode(&mut frame, header_version).map_err(encoding_error)?;
    body.encode(&mut frame, version).map_err(encoding_error)?;
    let length = i32::try_from(frame.len() - LENGTH_BYTES).map_err(encoding_error)?;
    frame[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

fn malformed(error: impl std::fmt::Display) -> WireError {
    WireError::Malformed(error.to_string())
}

pub(super) fn encoding_error(error: impl std::fmt::Display) -> WireError {
    WireError::Encoding(error.to_string())
}
