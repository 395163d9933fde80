//! The addresses that a broker listens on.
//!
//! Separate because they depend on the addresses of earlier brokers, which the folder remembers.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::config::{Config, Storage};
use crate::lock::expected_at;
use crate::start_error::StartError;

/// Binds the configured address, and the loopback addresses where processes that joined an earlier broker of the folder
/// expect the next one. If the configured port is 0, the most recent of those addresses is used instead. Returns the
/// listeners with their addresses; the first is the one that is published.
pub(crate) async fn listen_for_all(config: &Config) -> Result<(Vec<TcpListener>, Vec<SocketAddr>), StartError> {
    let expected = match &config.storage {
        Storage::Folder(folder) => expected_at(folder),
        Storage::Memory => Vec::new(),
    };
    let mut expected = expected.into_iter().filter(|address| address.ip().is_loopback());
    let mut first = None;
    if config.listen.port() == 0 {
        while let (None, Some(address)) = (&first, expected.next()) {
            first = listen(address).await.ok();
        }
    }
    let (listener, address) = match first {
        Some(found) => found,
        None => listen(config.listen).await?,
    };
    let (mut listeners, mut addresses) = (vec![listener], vec![address]);
    for other in expected {
        // Another program may have taken the port in the meantime.
        if let Ok((listener, found)) = listen(other).await {
            tracing::info!(address = %found, "also listening on the address of an earlier broker of this folder");
            listeners.push(listener);
            addresses.push(found);
        }
    }
    Ok((listeners, addresses))
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |cause| StartError::Listen { address, cause };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    if !bound.ip().is_loopback() {
        tracing::warn!(address = %bound, "listening on an address other than loopback: anyone who can reach the port can read and change everything");
    }
    Ok((listener, bound))
}
