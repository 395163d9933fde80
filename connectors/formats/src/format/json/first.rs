//! The JSON value that a text begins with, for whoever reads JSON that is in a column.

use std::ops::Range;

use super::scan::Scan;

/// Where the value is that the text begins with; `None` when the text is blank. It is checked by the
/// rules of payloads, and like them it may be followed by anything. Fails with a reason for users.
///
/// ```
/// use headwater_formats::format::first_json_value;
///
/// assert_eq!(first_json_value(" [1, 2] and more"), Ok(Some(1..7)));
/// assert_eq!(first_json_value(" "), Ok(None));
/// assert!(first_json_value("[1, 2").is_err());
/// ```
pub fn first_json_value(text: &str) -> Result<Option<Range<usize>>, String> {
    let mut scan = Scan::new(text.as_bytes());
    scan.skip_space();
    let start = scan.at();
    let Some(first) = scan.peek() else { return Ok(None) };
    scan.skip_value().and_then(|()| scan.root_end(first)).map_err(|fault| fault.to_string())?;
    Ok(Some(start..scan.at()))
}
