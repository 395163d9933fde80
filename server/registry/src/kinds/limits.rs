//! How long a schema may be.
//!
//! Separate because all parsers rely on it.

use super::{InvalidSchema, Referenced};

/// How long the text of a schema may be, in bytes: what fits into a record of the log.
pub const TEXT_BYTES_MAX: usize = 900_000;

/// How long it may be with all that it refers to.
const TOTAL_BYTES_MAX: usize = 8 * TEXT_BYTES_MAX;

pub(crate) fn check_length(text: &str, references: &[Referenced]) -> Result<(), InvalidSchema> {
    let total = references.iter().map(|reference| reference.text.len()).sum::<usize>() + text.len();
    if text.len() > TEXT_BYTES_MAX {
        return Err(InvalidSchema(format!("the schema is longer than {TEXT_BYTES_MAX} bytes")));
    }
    if total > TOTAL_BYTES_MAX {
        return Err(InvalidSchema(format!("the schema and its references are longer than {TOTAL_BYTES_MAX} bytes")));
    }
    Ok(())
}
