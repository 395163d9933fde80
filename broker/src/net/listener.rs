//! Accepting connections.
//!
//! Apart because the number of connections is limited here and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::connection;
use crate::config::{CONNECTIONS_MAX, REQUEST_BYTES_IN_FLIGHT_MAX};
use crate::core::Core;

/// How long accepting rests after it failed, for instance for lack of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until the task is aborted; all connections end with it.
pub(crate) async fn serve(listener: TcpListener, core: Arc<Core>) {
    let bytes_in_flight = Arc::new(Semaphore::new(REQUEST_BYTES_IN_FLIGHT_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((_, peer)) if connections.len() >= CONNECTIONS_MAX => {
                tracing::warn!(%peer, limit = CONNECTIONS_MAX, "refused a connection: there are too many");
            }
            Ok((socket, peer)) => {
                connections.spawn(connection::serve(socket, peer, Arc::clone(&core), Arc::clone(&bytes_in_flight)));
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
