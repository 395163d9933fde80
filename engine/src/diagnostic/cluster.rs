//! What a user is told when the cluster could not do what was asked.

use headwater_connectors::transport::{TransportError, TransportErrorKind};

use super::{Diagnostic, LOST, TOPIC_MISMATCH, TRANSPORT, UNKNOWN_TOPIC};

/// What can be done about records that are gone before a bounded query read them.
const LOST_HINT: &str = "SET 'query.lost.records' = 'note'; answers from what there is, and says what is missing.";

/// The error of a transport as a diagnostic, with the setting to look at as its hint.
pub fn transport(error: &TransportError) -> Diagnostic {
    let code = match error.kind {
        TransportErrorKind::UnknownTopic => UNKNOWN_TOPIC,
        TransportErrorKind::TopicExists => TOPIC_MISMATCH,
        TransportErrorKind::Lost => LOST,
        _ => TRANSPORT,
    };
    let unreachable = matches!(error.kind, TransportErrorKind::Unreachable | TransportErrorKind::Timeout);
    let diagnostic = Diagnostic { unreachable, ..Diagnostic::new(code, &error.message) };
    match &error.setting {
        Some(setting) => diagnostic.hint(format!("Look at the setting \"{setting}\".")),
        None if code == LOST => diagnostic.hint(LOST_HINT),
        None => diagnostic,
    }
}
