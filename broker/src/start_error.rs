//! Why a broker did not start.
//!
//! Apart so that every step of starting can report its own failure.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::log::RecoveryError;
use crate::meta::JournalError;

/// Why a broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process has the folder; when its broker is up, a client can talk to that one.
    #[error("the folder {} is in use by another process{}", folder.display(), listening(*running))]
    Locked {
        /// The folder.
        folder: PathBuf,
        /// Where the other process's broker listens.
        running: Option<SocketAddr>,
    },
    /// The folder cannot be made or locked.
    #[error("could not use the folder {}: {cause}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The address is taken, or is not one of this machine.
    #[error("could not listen on {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        cause: io::Error,
    },
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A log cannot be read.
    #[error(transparent)]
    Log(#[from] RecoveryError),
    /// What every topic must have cannot be set.
    #[error("could not bring the topics up to date: {0}")]
    Topics(String),
}

fn listening(running: Option<SocketAddr>) -> String {
    running.map(|address| format!(", whose broker listens on {address}")).unwrap_or_default()
}
