//! What a query hands to its scans, by way of DataFusion's session.

use std::sync::Arc;

use super::frozen::FrozenLogs;
use super::progress::Progress;
use crate::transport::{Isolation, Lost, Transport, TransportError};

/// Capabilities of one bounded query. Registered as an extension of the session's configuration;
/// a scan planned without one fails.
#[derive(Clone, Debug)]
pub struct ScanContext {
    /// The cluster the topics are on.
    pub transport: Arc<dyn Transport>,
    /// Which records are seen.
    pub isolation: Isolation,
    /// The counters of the query.
    pub progress: Arc<Progress>,
    /// The logs of its topics.
    pub frozen: Arc<FrozenLogs>,
    /// What becomes of the query when records are gone that it was to read.
    pub on_loss: OnLoss,
    /// Whether each scan checks, once it has read everything, that its topic is still the one it was planned for. False
    /// where whoever runs the query does so once for all of its scans ([`Self::check_topics`]).
    pub scans_check_topics: bool,
}

/// What becomes of a query when records are gone that it was to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLoss {
    /// It fails: an answer is of the whole range.
    #[default]
    Fail,
    /// It goes on with what there is, and [`Progress::lost`] says what is missing.
    Note,
}

impl ScanContext {
    /// Records are gone.
    pub fn lose(&self, lost: Lost) -> Result<(), TransportError> {
        match self.on_loss {
            OnLoss::Fail => Err(lost.into()),
            OnLoss::Note => {
                self.progress.add_lost(lost);
                Ok(())
            }
        }
    }

    /// Looks, when all is read, whether the topics are still those that the scans were planned for. Blocks.
    pub fn check_topics(&self) -> Result<(), TransportError> {
        self.frozen.recreated(self.transport.admin())?.into_iter().try_for_each(|lost| self.lose(lost))
    }
}
