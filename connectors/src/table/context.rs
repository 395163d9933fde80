//! What a query passes to its scans through DataFusion's session.

use std::sync::Arc;

use super::frozen::FrozenLogs;
use super::progress::Progress;
use crate::transport::{Isolation, Lost, Transport, TransportError};

/// What the scans of one bounded query need. Registered as an extension of the session's configuration; planning a scan
/// without one fails.
#[derive(Clone, Debug)]
pub struct ScanContext {
    /// The cluster that holds the topics.
    pub transport: Arc<dyn Transport>,
    /// Which records are visible.
    pub isolation: Isolation,
    /// The counters of the query.
    pub progress: Arc<Progress>,
    /// The logs of the query's topics.
    pub frozen: Arc<FrozenLogs>,
    /// What happens to the query when records are deleted before they are read.
    pub on_loss: OnLoss,
    /// Whether each scan checks, once it has read everything, that its topic is still the one it was planned for. False
    /// if the caller checks once for all scans of the query ([`Self::check_topics`]).
    pub scans_check_topics: bool,
}

/// What happens to a query when records are deleted before they are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLoss {
    /// The query fails, because an answer must cover the whole range.
    #[default]
    Fail,
    /// The query continues with the remaining records, and [`Progress::lost`] lists the lost ones.
    Note,
}

impl ScanContext {
    /// Reports lost records: an error, or an entry in [`Progress::lost`].
    pub fn lose(&self, lost: Lost) -> Result<(), TransportError> {
        match self.on_loss {
            OnLoss::Fail => Err(lost.into()),
            OnLoss::Note => {
                self.progress.add_lost(lost);
                Ok(())
            }
        }
    }

    /// Checks, after everything was read, that the topics are still those that the scans were planned for. Blocks.
    pub fn check_topics(&self) -> Result<(), TransportError> {
        self.frozen.recreated(self.transport.admin())?.into_iter().try_for_each(|lost| self.lose(lost))
    }
}
