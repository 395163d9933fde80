//! Telling a client that there are too many connections.
//!
//! Separate because to clients, a connection that is closed without a response looks like TLS on a plaintext port, and
//! that is what they report. The first request of nearly all clients, ApiVersions, can be answered with an error.

use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ApiKey, ApiVersionsResponse};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::frame::{Budget, read_frame, read_length};
use super::wire::{Route, WireError, write_answer};

/// How long to wait for the client's first request.
const PATIENCE: Duration = Duration::from_secs(1);
/// The maximum length of the first request.
const FRAME_BYTES_MAX: usize = 4 << 10;

/// Answers the first request with THROTTLING_QUOTA_EXCEEDED and closes the connection.
pub(super) async fn refuse(mut socket: TcpStream) {
    let outcome = tokio::time::timeout(PATIENCE, answer_first(&mut socket)).await;
    tracing::debug!(?outcome, "refused a connection");
}

async fn answer_first(socket: &mut TcpStream) -> Result<(), WireError> {
    let budget = Budget::new();
    let length = read_length(socket, &budget).await?.filter(|length| *length <= FRAME_BYTES_MAX);
    let Some(length) = length else { return Ok(()) };
    let (frame, _) = read_frame(socket, length, &budget).await?;
    let route = Route::read(&frame)?;
    if route.key == ApiKey::ApiVersions {
        let version = if super::API_VERSIONS.offers(route.version) { route.version } else { 0 };
        let answer = ApiVersionsResponse::default().with_error_code(ResponseError::ThrottlingQuotaExceeded.code());
        socket.write_all(&write_answer(route, &answer, version)?).await?;
        socket.shutdown().await?;
    }
    Ok(())
}
