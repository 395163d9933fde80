//! Where a broker listens.
//!
//! Apart because the addresses depend on what the lock's folder remembers of earlier brokers.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::config::{Config, Storage};
use crate::lock::expected_at;
use crate::start_error::StartError;

/// Listens where it is said, and where processes look that joined an earlier broker of the folder. One that may take any port
/// takes the latest of theirs. Gives the addresses, too, first the one that others are told.
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
        // Another program may have taken it meanwhile.
        if let Ok((listener, found)) = listen(other).await {
            tracing::info!(address = %found, "listening also where an earlier broker of this folder was joined");
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
        tracing::warn!(address = %bound, "listening beyond loopback: whoever reaches the port may read and change everything");
    }
    Ok((listener, bound))
}
