//! Work that waits for the cluster, on a thread that may wait.

use headwater_connectors::transport::TransportError;

use crate::failure::transport;
use headwater_language::diagnostic::{Diagnostic, INTERNAL};

/// Runs work that waits for the cluster on a thread that may wait.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Vec<Diagnostic>> {
    let failed = |error| vec![Diagnostic::new(INTERNAL, format!("a worker thread failed: {error}"))];
    tokio::task::spawn_blocking(work).await.map_err(failed)
}

/// The cluster refused, ready to be told.
pub(crate) fn refused(error: TransportError) -> Vec<Diagnostic> {
    vec![transport(&error)]
}
