//! Converts errors of formats to diagnostics.

use headwater_formats::format::FormatError;

use super::{Diagnostic, FORMAT, NOT_SUPPORTED};

/// The error of a format as a diagnostic, without a span.
pub fn format_refusal(error: &FormatError) -> Diagnostic {
    let code = if matches!(error, FormatError::NotYet(_)) { NOT_SUPPORTED } else { FORMAT };
    Diagnostic { hint: error.hint(), ..Diagnostic::new(code, error.to_string()) }
}
