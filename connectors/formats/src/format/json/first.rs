//! Finds the JSON value at the beginning of a text, for functions that read JSON in a column.

use std::ops::Range;

use super::scan::Scan;

/// The range of the value at the beginning of the text; `None` if the text is blank. The value is checked by the
/// rules for payloads, and like a payload's value it may be followed by anything. Fails with a reason that can be
/// shown to users.
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
