//! One connection: a frame in, an answer out, in order.
//!
//! Apart because the order is the contract: a client may send ahead, and the broker handles one request
//! of a connection after the other, as Kafka does.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::dispatch::answer;
use super::wire::{Route, WireError, read_header};
use crate::api::Call;
use crate::config::REQUEST_BYTES_MAX;
use crate::core::Core;

/// Serves a connection until it ends, and says why when the client broke the protocol.
pub(super) async fn serve(mut socket: TcpStream, peer: SocketAddr, core: Arc<Core>, bytes_in_flight: Arc<Semaphore>) {
    match serve_requests(&mut socket, peer, &core, &bytes_in_flight).await {
        Ok(()) | Err(WireError::Io(_)) => tracing::debug!(%peer, "a connection ended"),
        Err(error) => tracing::warn!(%peer, %error, "closed a connection"),
    }
}

async fn serve_requests(
    socket: &mut TcpStream,
    peer: SocketAddr,
    core: &Arc<Core>,
    bytes_in_flight: &Semaphore,
) -> Result<(), WireError> {
    socket.set_nodelay(true)?;
    let local = socket.local_addr()?;
    while let Some(length) = read_length(socket).await? {
        let allowed = bytes_in_flight.acquire_many(length as u32).await;
        let mut frame = read_frame(socket, length).await?;
        let route = Route::read(&frame)?;
        let client_id = if is_readable(route) { read_header(&mut frame, route)? } else { String::new() };
        let call = Call { core: Arc::clone(core), version: route.version, client_id, peer, local };
        let answer = tokio::select! {
            biased; // a request is begun even if its client has gone: it may have wanted no answer
            answer = answer(&call, route, frame) => answer?,
            () = hung_up(socket) => return Ok(()),
        };
        drop(allowed);
        if let Some(answer) = answer {
            socket.write_all(&answer).await?;
        }
    }
    Ok(())
}

/// Comes back when the client has closed the connection, and never while further requests wait in it.
async fn hung_up(socket: &TcpStream) {
    if let Ok(1..) = socket.peek(&mut [0]).await {
        std::future::pending::<()>().await;
    }
}

/// The header of a version that is not known cannot be read further than the route.
fn is_readable(route: Route) -> bool {
    super::Api::find(route.key as i16).is_some_and(|api| api.offers(route.version))
}

/// The length of the next frame; `None` at the end of the connection.
async fn read_length(socket: &mut TcpStream) -> Result<Option<usize>, WireError> {
    let mut prefix = [0; super::wire::LENGTH_BYTES];
    match socket.read_exact(&mut prefix).await {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let length = i32::from_be_bytes(prefix);
    match usize::try_from(length) {
        Ok(bytes) if bytes <= REQUEST_BYTES_MAX => Ok(Some(bytes)),
        _ => Err(WireError::Length(length)),
    }
}

async fn read_frame(socket: &mut TcpStream, length: usize) -> Result<Bytes, WireError> {
    let mut frame = BytesMut::with_capacity(length);
    let mut rest = socket.take(length as u64);
    while rest.read_buf(&mut frame).await? > 0 {}
    if frame.len() < length {
        return Err(WireError::Io(std::io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(frame.freeze())
}
