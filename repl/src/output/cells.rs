//! The cells of one column of a chunk, as text in one buffer, with their widths on a terminal: the table measures them
//! before it draws.

use arrow::array::Array;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use headwater_engine::row_text::column::Column;
use headwater_engine::row_text::value::push_text;

use crate::visible::is_visible;

/// Texts in one buffer, with their ends and widths.
#[derive(Default)]
pub struct Cells {
    text: String,
    ends: Vec<usize>,
    widths: Vec<usize>,
}

impl Cells {
    /// Formats every row of a column; control characters are escaped.
    pub fn of(array: &arrow::array::ArrayRef) -> Self {
        let column = Column::of(array);
        let mut cells = Self::default();
        let mut raw = String::new();
        for row in 0..array.len() {
            raw.clear();
            push_text(&mut raw, &column, row);
            cells.push(&raw);
        }
        cells
    }

    /// The text of one cell.
    pub fn text(&self, row: usize) -> &str {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.text[start..self.ends[row]]
    }

    /// The width of one cell in terminal columns.
    pub fn width(&self, row: usize) -> usize {
        self.widths[row]
    }

    /// The width of the widest cell.
    pub fn width_max(&self) -> usize {
        self.widths.iter().copied().max().unwrap_or(0)
    }

    fn push(&mut self, raw: &str) {
        let start = self.text.len();
        push_printable(&mut self.text, raw);
        self.ends.push(self.text.len());
        self.widths.push(width_of(&self.text[start..]));
    }
}

/// The number of terminal columns that a text takes.
pub fn width_of(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.width() }
}

/// Splits a text so that the first part takes at most `width` columns. The first part has at least one character, so
/// that repeated splitting ends.
pub fn split_at_width(text: &str, width: usize) -> (&str, &str) {
    if text.is_ascii() {
        return text.split_at(width.max(1).min(text.len()));
    }
    let mut taken = 0;
    for (at, character) in text.char_indices() {
        taken += character.width().unwrap_or(0);
        if taken > width && at > 0 {
            return text.split_at(at);
        }
    }
    (text, "")
}

/// Appends a text with its control characters escaped (`
/// `, `\u{1b}`): the contents of a topic must not move the cursor or change the colors of the screen.
pub fn push_printable(out: &mut String, raw: &str) {
    if raw.chars().all(is_visible) {
        return out.push_str(raw);
    }
    for character in raw.chars() {
        match is_visible(character) {
            true => out.push(character),
            false => out.extend(character.escape_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_terminal_columns() {
        assert_eq!(width_of("abc"), 3);
        assert_eq!(width_of("日本"), 4);
        assert_eq!(split_at_width("日本語", 5), ("日本", "語"));
        assert_eq!(split_at_width("日本", 1), ("日", "本"));
        assert_eq!(split_at_width("abc", 0), ("a", "bc"));
        assert_eq!(split_at_width("", 4), ("", ""));
    }

    #[test]
    fn control_characters_are_escaped() {
        let mut out = String::new();
        push_printable(&mut out, "a\n\u{1b}[31m\tb\u{9b}");
        assert_eq!(out, "a\\n\\u{1b}[31m\\tb\\u{9b}");
    }
}
