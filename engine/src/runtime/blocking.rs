//! Blocking calls to the cluster, on a thread that may block.

use headwater_connectors::transport::TransportError;
use headwater_language::diagnostic::{Diagnostic, INTERNAL};

use crate::failure::transport;

/// Runs a blocking call to the cluster on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Vec<Diagnostic>> {
    let failed = |error| vec![Diagnostic::new(INTERNAL, format!("a worker thread failed: {error}"))];
    tokio::task::spawn_blocking(work).await.map_err(failed)
}

/// An error of the cluster as the errors of a statement.
pub(crate) fn refused(error: TransportError) -> Vec<Diagnostic> {
    vec![transport(&error)]
}
