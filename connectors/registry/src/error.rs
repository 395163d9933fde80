//! What can go wrong, by what the caller should do about it.
//!
//! Separate because every call has these errors, and the engine translates them to diagnostics.

use std::fmt;

use crate::settings::URL;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// No registry is known.
    #[error("there is no schema registry")]
    NotGiven,
    /// No registry answered, or those that did could not serve anyone: retry later.
    #[error("{}: {}", summary(attempts), Listed(attempts))]
    Unavailable {
        /// What was tried, in this order.
        attempts: Vec<Attempt>,
        /// The setting to look at, if one may be the reason of an attempt.
        setting: &'static str,
    },
    /// There is no such thing in the registry.
    #[error("{message}")]
    NotFound {
        /// What there is none of.
        missing: Missing,
        /// The registry's own words.
        message: String,
    },
    /// The schema is not compatible with earlier ones of its subject.
    #[error("the schema is incompatible with an earlier one of the subject: {}", messages.join("; "))]
    Incompatible {
        /// What differs, in the registry's own words.
        messages: Vec<String>,
    },
    /// The registry rejects what was sent: a schema that is not valid, or a version that cannot be.
    #[error("{message}")]
    Invalid {
        /// The code of the registry, such as 42201.
        code: u32,
        /// The registry's own words.
        message: String,
    },
    /// The credentials are missing, wrong, or not enough.
    #[error("the schema registry at {url} refused the credentials: {message}")]
    Unauthorized {
        /// The registry.
        url: String,
        /// Its own words.
        message: String,
        /// The setting to look at.
        setting: &'static str,
    },
    /// Any other answer: the registry has a fault, or is something else.
    #[error("the schema registry at {url} answered {status}: {message}")]
    Other {
        /// The registry.
        url: String,
        /// The status of the answer.
        status: u16,
        /// The registry's own words.
        message: String,
        /// The setting to look at, unless it is a registry that has a fault.
        setting: Option<&'static str>,
    },
}

impl RegistryError {
    /// Whether the same call may succeed later, with nothing changed here.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// The setting that the user should look at, if one is likely to be wrong.
    #[must_use]
    pub fn setting(&self) -> Option<&'static str> {
        match self {
            Self::Unavailable { attempts, setting } => {
                let may_be_wrong = attempts.is_empty() || attempts.iter().any(|attempt| attempt.by_setting);
                may_be_wrong.then_some(setting)
            }
            Self::Unauthorized { setting, .. } => Some(setting),
            Self::Other { setting, .. } => *setting,
            Self::NotGiven => Some(URL),
            _ => None,
        }
    }
}

/// One registry that did not serve a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its URL, without credentials.
    pub url: String,
    /// What it answered, or why it did not.
    pub reason: String,
    /// Whether it answered.
    pub answered: bool,
    /// Whether a setting may be the reason.
    pub by_setting: bool,
}

/// What a registry has none of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A subject.
    Subject,
    /// A version of a subject.
    Version,
    /// A schema: its id, or its text under a subject.
    Schema,
    /// A compatibility level of the subject's own.
    Level,
}

/// Settings that make no client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct SettingsError {
    /// The property.
    pub setting: String,
    /// What is wrong with it.
    pub problem: String,
}

impl SettingsError {
    pub(crate) fn new(setting: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { setting: setting.into(), problem: problem.into() }
    }
}

/// What attempts come to: who answers was reached.
fn summary(attempts: &[Attempt]) -> &'static str {
    if attempts.iter().any(|attempt| attempt.answered) {
        "the schema registry cannot be used now"
    } else {
        "could not reach the schema registry"
    }
}

struct Listed<'a>(&'a [Attempt]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Attempt { url, reason, answered, .. }) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            let colon = if *answered { "" } else { ":" };
            write!(f, "{separator}{url}{colon} {reason}")?;
        }
        Ok(())
    }
}
