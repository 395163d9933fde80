//! What a query hands to its scans, by way of DataFusion's session.

use std::sync::Arc;

use super::progress::Progress;
use crate::transport::{Isolation, Transport};

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
}
