//! What a user is told when the cluster could not do what was asked.

use headwater_connectors::transport::{TransportError, TransportErrorKind};

use super::{Diagnostic, TOPIC_MISMATCH, TRANSPORT, UNKNOWN_TOPIC};

/// The error of a transport as a diagnostic, with the setting to look at as its hint.
pub fn transport(error: &TransportError) -> Diagnostic {
    let code = match error.kind {
        TransportErrorKind::UnknownTopic => UNKNOWN_TOPIC,
        TransportErrorKind::TopicExists => TOPIC_MISMATCH,
        _ => TRANSPORT,
    };
    let unreachable = matches!(error.kind, TransportErrorKind::Unreachable | TransportErrorKind::Timeout);
    let diagnostic = Diagnostic { unreachable, ..Diagnostic::new(code, &error.message) };
    match &error.setting {
        Some(setting) => diagnostic.hint(format!("Look at the setting \"{setting}\".")),
        None => diagnostic,
    }
}
