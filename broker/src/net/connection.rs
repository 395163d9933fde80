//! A connection: reads a frame, writes a response, in order.
//!
//! Separate because the order is the contract: a client can send several requests ahead, and the broker handles the
//! requests of a connection one after the other, as Kafka does.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

use super::dispatch::answer;
use super::frame::{Budget, read_frame, read_length};
use super::wire::{Route, WireError, read_header};
use crate::api::Call;
use crate::core::Core;

/// Serves a connection until it ends. Logs a warning if the client violated the protocol.
pub(super) async fn serve(socket: TcpStream, peer: SocketAddr, core: Arc<Core>, budget: Arc<Budget>) {
    match serve_requests(socket, peer, &core, &budget).await {
        Ok(()) | Err(WireError::Io(_)) => tracing::debug!(%peer, "connection closed"),
        Err(error) => tracing::warn!(%peer, %error, "closed a connection"),
    }
}

async fn serve_requests(
    socket: TcpStream,
    peer: SocketAddr,
    core: &Arc<Core>,
    budget: &Budget,
) -> Result<(), WireError> {
    socket.set_nodelay(true)?;
    let local = socket.local_addr()?;
    let (mut reader, mut writer) = socket.into_split();
    while let Some(length) = read_length(&mut reader, budget).await? {
        let (mut frame, held) = read_frame(&mut reader, length, budget).await?;
        let route = Route::read(&frame)?;
        let client_id = if is_readable(route) { read_header(&mut frame, route)? } else { String::new() };
        let call = Call { core: Arc::clone(core), version: route.version, client_id, peer, local };
        let answer = tokio::select! {
            biased; // start the request even if the client is gone: it may not want a response
            answer = answer(&call, route, frame) => answer?,
            () = hung_up(&mut reader) => return Ok(()),
        };
        drop(held);
        if let Some(answer) = answer {
            writer = answer.send(writer, core).await?;
        }
    }
    Ok(())
}

/// Returns when the client has closed the connection; never returns while there are unread requests.
async fn hung_up(socket: &mut OwnedReadHalf) {
    if let Ok(1..) = socket.peek(&mut [0]).await {
        std::future::pending::<()>().await;
    }
}

/// Whether the rest of the header can be read. If the version is unknown, only the route can.
fn is_readable(route: Route) -> bool {
    super::Api::find(route.key as i16).is_some_and(|api| api.offers(route.version))
}
