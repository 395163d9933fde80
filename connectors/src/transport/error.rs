//! Why a transport could not do what it was asked; the kinds say what the caller should do.
//!
//! ```
//! use headwater_connectors::transport::{TransportError, TransportErrorKind};
//!
//! let error = TransportError::timeout("the transaction was not committed within 20 s");
//! assert_eq!(error.kind, TransportErrorKind::Timeout);
//! assert_eq!(error.to_string(), "the transaction was not committed within 20 s");
//! ```

use std::fmt;
use std::sync::Arc;

use headwater_registry::RegistryError;

/// Why a transport could not do what it was asked. There is a constructor for each kind; [`Self::new`] is for kinds
/// that are determined at run time, for example from a broker's error code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct TransportError {
    /// What the caller should do.
    pub kind: TransportErrorKind,
    /// The cause as text for a user, lower case, without passwords.
    pub message: String,
    /// The setting to check, such as `bootstrap.servers`, if there is one.
    pub setting: Option<Arc<str>>,
}

/// Kinds of [`TransportError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportErrorKind {
    /// No broker can be reached: check the address and the network.
    Unreachable,
    /// The broker rejects the credentials: check them.
    Authentication,
    /// The TLS handshake failed: check the certificates and the security protocol.
    Tls,
    /// The credentials are valid but do not permit this: request the permission.
    Authorization,
    /// The topic does not exist.
    UnknownTopic,
    /// The topic already exists.
    TopicExists,
    /// A setting or argument is not valid; trying again will not help.
    Invalid,
    /// The topic rejects a record: ask again for its limits ([`Admin::record_limits`]), and leave out records that
    /// exceed them.
    ///
    /// [`Admin::record_limits`]: super::Admin::record_limits
    Refused,
    /// The cluster did not answer in time; trying again may help.
    Timeout,
    /// Another process acquired this transactional id or replaced this member of the group, or the transaction took too
    /// long: what was written is lost, and work continues with another sink or after the next `Assigned`.
    Fenced,
    /// Records or a committed offset are gone: trying again will not find them. The caller decides whether it needs
    /// them.
    Lost,
    /// State could not be moved to disk, or read from it: trying again helps once there is space, or with another folder.
    Disk,
    /// Anything else.
    Other,
}

impl From<RegistryError> for TransportError {
    /// The error of a registry that cannot be asked.
    fn from(error: RegistryError) -> Self {
        let kind = match error {
            RegistryError::Unauthorized { .. } => TransportErrorKind::Authentication,
            RegistryError::NotGiven => TransportErrorKind::Invalid,
            _ => TransportErrorKind::Unreachable,
        };
        let failed = Self::new(kind, error.to_string());
        match error.setting() {
            Some(setting) => failed.with_setting(setting),
            None => failed,
        }
    }
}

impl TransportError {
    /// An error of a kind that is determined at run time.
    pub fn new(kind: TransportErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), setting: None }
    }

    /// No broker can be reached: check the address and the network.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(TransportErrorKind::Unreachable, message)
    }

    /// The topic does not exist.
    ///
    /// ```
    /// # use headwater_connectors::transport::TransportError;
    /// assert_eq!(TransportError::unknown_topic("orders").message, "topic \"orders\" does not exist");
    /// ```
    pub fn unknown_topic(name: &str) -> Self {
        Self::new(TransportErrorKind::UnknownTopic, format!("topic \"{name}\" does not exist"))
    }

    /// A setting or argument is not valid; trying again will not help.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(TransportErrorKind::Invalid, message)
    }

    /// A topic rejects a record: leave it out.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(TransportErrorKind::Refused, message)
    }

    /// There was no answer in time; trying again may help.
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(TransportErrorKind::Timeout, message)
    }

    /// Another process has the transactional id or the membership of the group: discard what was written.
    pub fn fenced(message: impl Into<String>) -> Self {
        Self::new(TransportErrorKind::Fenced, message)
    }

    /// Records or an offset are gone: decide whether they are needed.
    pub fn lost(message: impl Into<String>) -> Self {
        Self::new(TransportErrorKind::Lost, message)
    }

    /// Anything else, such as a thread that could not be started.
    pub fn other(message: impl Into<String>) -> Self {
        Self::new(TransportErrorKind::Other, message)
    }

    /// A bug in Headwater, not an error of the cluster.
    ///
    /// ```
    /// # use headwater_connectors::transport::TransportError;
    /// assert_eq!(TransportError::internal("a task is missing").message, "internal error: a task is missing");
    /// ```
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::other(format!("internal error: {cause}"))
    }

    /// The same error with the setting to check.
    pub fn with_setting(self, setting: impl Into<Arc<str>>) -> Self {
        Self { setting: Some(setting.into()), ..self }
    }
}
