//! What a format says, in the words of diagnostics.

use headwater_formats::format::FormatError;

use super::{Diagnostic, FORMAT, NOT_SUPPORTED};

/// The error of a format as a diagnostic, without a place.
pub fn format_refusal(error: &FormatError) -> Diagnostic {
    let code = if matches!(error, FormatError::NotYet(_)) { NOT_SUPPORTED } else { FORMAT };
    Diagnostic { hint: error.hint(), ..Diagnostic::new(code, error.to_string()) }
}
