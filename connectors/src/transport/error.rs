//! Why a transport could not do what it was asked.

use std::sync::Arc;

/// Why a transport could not do what it was asked, named by what the caller should do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TransportError {
    /// What kind of thing is wrong.
    pub kind: TransportErrorKind,
    /// The cause in words for a user, lower case, without passwords.
    pub message: String,
    /// The setting to look at, such as `bootstrap.servers`, when there is one.
    pub setting: Option<Arc<str>>,
}

/// Kinds of [`TransportError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportErrorKind {
    /// No broker can be reached: look at the address and the network.
    Unreachable,
    /// The broker does not accept who we are: look at the credentials.
    Authentication,
    /// TLS does not come about: look at certificates and the security protocol.
    Tls,
    /// We are who we say, but may not do this: ask for the right.
    Authorization,
    /// The topic does not exist.
    UnknownTopic,
    /// The topic exists already.
    TopicExists,
    /// A setting or argument is not accepted; another try will not help.
    Invalid,
    /// A topic does not take a record: what it takes is to be read again ([`Admin::record_limits`](super::Admin::record_limits)), and a record that
    /// does not fit is to be left out.
    Refused,
    /// The cluster did not answer in time; another try may help.
    Timeout,
    /// Another process took over this transactional id or this place in a group, or the transaction took too
    /// long: what it held is given up, and going on begins with another sink or the next `Assigned`.
    Fenced,
    /// Records are gone, or a place in the log is: another try finds them no more. Whoever needs them decides.
    Lost,
    /// Anything else.
    Other,
}
