//! Why a broker did not start.
//!
//! Separate so that every step of starting can report its own failure.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::log::RecoveryError;
use crate::meta::JournalError;

/// Why a broker did not start. Nothing is left running.
///
/// ```
/// # tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
/// use headwater_broker::{Broker, Config, StartError};
///
/// let folder = tempfile::tempdir().expect("a folder");
/// let first = Broker::start(Config::in_folder(folder.path())).await?;
/// match Broker::start(Config::in_folder(folder.path())).await {
///     Err(StartError::Locked { running, .. }) => assert_eq!(running, Some(first.address())),
///     other => panic!("only one broker can use a folder: {other:?}"),
/// }
/// # Ok::<(), StartError>(())
/// # }).expect("starts");
/// ```
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process uses the folder. If its broker is running, clients can connect to it at `running`.
    #[error("the folder {} is in use by another process{}", folder.display(), listening(*running))]
    Locked {
        /// The folder.
        folder: PathBuf,
        /// The address of the other process's broker; `None` while it is starting or shutting down.
        running: Option<SocketAddr>,
    },
    /// The folder could not be created, locked or read.
    #[error("could not use the folder {}: {cause}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The error of the operating system.
        cause: io::Error,
    },
    /// The address is already in use, or it does not belong to this machine.
    #[error("could not listen on {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The error of the operating system.
        cause: io::Error,
    },
    /// The journal could not be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The log of a partition could not be opened.
    #[error(transparent)]
    Log(#[from] RecoveryError),
    /// The settings that every topic must have could not be written.
    #[error("could not update the settings of the topics: {0}")]
    Topics(String),
}

fn listening(running: Option<SocketAddr>) -> String {
    running.map(|address| format!(", whose broker listens on {address}")).unwrap_or_default()
}
