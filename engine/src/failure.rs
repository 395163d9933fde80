//! Errors of the cluster, and of bounded queries that read from it, as diagnostics.

use std::error::Error;

use datafusion::error::DataFusionError;
use headwater_connectors::transport::{TransportError, TransportErrorKind};
use headwater_expression::errors;
use headwater_language::diagnostic::{Diagnostic, LOST, STATE_DISK, Span, TOPIC_MISMATCH, TRANSPORT, UNKNOWN_TOPIC};
use headwater_language::sql::ast;

/// What to do about records that were deleted before a bounded query read them.
const LOST_HINT: &str =
    "SET 'query.lost.records' = 'note'; answers from the remaining records and reports what is missing.";

/// Why state is on disk.
const DISK_DETAIL: &str = "State that needs more memory than query.state.memory.max is kept in files in this folder. Nothing is lost: the query restores its state from its changelog.";

/// What to do about a disk that fails.
const DISK_HINT: &str = "Free space in the folder, or start with another one (--data, or TMPDIR beside a cluster), or with more memory: --set query.state.memory.max=4GB.";

/// The error of a transport as a diagnostic, with the setting to check as its hint.
pub fn transport(error: &TransportError) -> Diagnostic {
    let code = match error.kind {
        TransportErrorKind::UnknownTopic => UNKNOWN_TOPIC,
        TransportErrorKind::TopicExists => TOPIC_MISMATCH,
        TransportErrorKind::Lost => LOST,
        TransportErrorKind::Disk => STATE_DISK,
        _ => TRANSPORT,
    };
    let unreachable = matches!(error.kind, TransportErrorKind::Unreachable | TransportErrorKind::Timeout);
    let diagnostic = Diagnostic { unreachable, ..Diagnostic::new(code, &error.message) };
    match &error.setting {
        Some(setting) => diagnostic.hint(format!("Check the setting \"{setting}\".")),
        None if code == LOST => diagnostic.hint(LOST_HINT),
        None if code == STATE_DISK => diagnostic.detail(DISK_DETAIL).hint(DISK_HINT),
        None => diagnostic,
    }
}

/// The diagnostics for an error of a bounded query: the cluster's error if there is one, otherwise DataFusion's in our
/// words. `whole` is the span of the query.
pub fn diagnose(error: &DataFusionError, whole: Option<Span>) -> Vec<Diagnostic> {
    match of_transport(error) {
        Some(failed) => vec![transport(failed)],
        None => errors::diagnose(error, whole),
    }
}

/// The same for an error while the query was optimized, with the smallest span that is known.
pub fn diagnose_optimized(error: &DataFusionError, query: &ast::Query) -> Vec<Diagnostic> {
    match of_transport(error) {
        Some(failed) => vec![transport(failed)],
        None => errors::diagnose_optimized(error, query),
    }
}

/// The error of a transport that caused another one.
fn of_transport(error: &DataFusionError) -> Option<&TransportError> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(failed) = error.downcast_ref::<TransportError>() {
            return Some(failed);
        }
        next = error.source();
    }
    None
}
