//! Rows as JSON, one object per line, for the shell's `--output json` and for COPY to a file.
//!
//! Numbers stay numbers with all their digits, including BIGINTs beyond 2⁵³ and DECIMALs. Times are ISO 8601 text, BYTES
//! are base64. A DOUBLE that is not a JSON number is the text `"NaN"`, `"Infinity"` or `"-Infinity"`.

use std::io::{self, Write};
use std::ops::Range;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::calendar::{push_date, push_time, push_timestamp};
use super::column::Column;
use super::value::{push_number, push_other, push_text, span};
use super::write_rows;

/// Writes rows as JSON lines.
#[derive(Debug, Default)]
pub struct JsonLines {
    /// The text before each value: `{"A":`, `,"B":`.
    heads: Vec<String>,
    buffer: String,
}

impl JsonLines {
    /// A writer for rows with the columns of `schema`.
    pub fn new(schema: &Schema) -> Self {
        Self { heads: heads(schema.fields().iter().map(|field| field.name().as_str())), buffer: String::new() }
    }

    /// Writes rows. Fails only when `out` does.
    pub fn write(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> io::Result<()> {
        let heads = &self.heads;
        write_rows(batch, &mut self.buffer, out, |buffer, columns, row| push_row(buffer, heads, columns, row))
    }
}

fn push_row(buffer: &mut String, heads: &[String], columns: &[Column], row: usize) {
    for (head, column) in heads.iter().zip(columns) {
        buffer.push_str(head);
        push_json(buffer, column, row);
    }
    buffer.push_str(if columns.is_empty() { "{}\n" } else { "}\n" });
}

fn heads<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let head = |(position, name): (usize, &str)| {
        let mut head = String::from(if position == 0 { "{" } else { "," });
        push_string(&mut head, name);
        head.push(':');
        head
    };
    names.enumerate().map(head).collect()
}

/// Writes one cell.
pub fn push_json(out: &mut String, column: &Column, row: usize) {
    if column.is_null(row) {
        return out.push_str("null");
    }
    match column {
        Column::Utf8(array) => push_string(out, array.value(row)),
        Column::Utf8View(array) => push_string(out, array.value(row)),
        Column::List(array, elements) => push_array(out, elements, span(array.value_offsets(), row)),
        Column::Map(array, keys, values) => push_map(out, keys, values, span(array.value_offsets(), row)),
        Column::Struct(_, fields) => push_struct(out, fields, row),
        Column::Float64(array) if !array.value(row).is_finite() => quoted(out, |out| push_number(out, column, row)),
        Column::Float32(array) if !array.value(row).is_finite() => quoted(out, |out| push_number(out, column, row)),
        Column::Timestamp(array) => quoted(out, |out| push_timestamp(out, array.value(row))),
        Column::Date(array) => quoted(out, |out| push_date(out, i64::from(array.value(row)))),
        Column::Time(array) => quoted(out, |out| push_time(out, i64::from(array.value(row)))),
        Column::Binary(array) => quoted(out, |out| STANDARD.encode_string(array.value(row), out)),
        Column::BinaryView(array) => quoted(out, |out| STANDARD.encode_string(array.value(row), out)),
        Column::Other(array) => {
            let mut text = String::new();
            push_other(&mut text, array, row);
            push_string(out, &text);
        }
        number => push_number(out, number, row),
    }
}

/// Writes text as a JSON string.
pub fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let mut written = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[written..at]);
        push_escape(out, byte);
        written = at + 1;
    }
    out.push_str(&text[written..]);
    out.push('"');
}

fn push_escape(out: &mut String, byte: u8) {
    match byte {
        b'"' => out.push_str("\\\""),
        b'\\' => out.push_str("\\\\"),
        b'\n' => out.push_str("\\n"),
        b'\r' => out.push_str("\\r"),
        b'\t' => out.push_str("\\t"),
        other => {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            out.push_str("\\u00");
            out.push(char::from(DIGITS[usize::from(other >> 4)]));
            out.push(char::from(DIGITS[usize::from(other & 15)]));
        }
    }
}

fn quoted(out: &mut String, write: impl FnOnce(&mut String)) {
    out.push('"');
    write(out);
    out.push('"');
}

fn push_array(out: &mut String, elements: &Column, span: Range<usize>) {
    out.push('[');
    for (position, element) in span.enumerate() {
        push_comma(out, position);
        push_json(out, elements, element);
    }
    out.push(']');
}

/// Writes a map as an object. Keys that are not text are converted to text.
fn push_map(out: &mut String, keys: &Column, values: &Column, span: Range<usize>) {
    let mut key = String::new();
    out.push('{');
    for (position, entry) in span.enumerate() {
        push_comma(out, position);
        key.clear();
        push_text(&mut key, keys, entry);
        push_string(out, &key);
        out.push(':');
        push_json(out, values, entry);
    }
    out.push('}');
}

fn push_struct(out: &mut String, fields: &[(String, Column)], row: usize) {
    out.push('{');
    for (position, (name, column)) in fields.iter().enumerate() {
        push_comma(out, position);
        push_string(out, name);
        out.push(':');
        push_json(out, column, row);
    }
    out.push('}');
}

fn push_comma(out: &mut String, position: usize) {
    if position > 0 {
        out.push(',');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        let mut text = String::new();
        push_string(&mut text, "\u{1b}[0mé\u{0}");
        assert_eq!(text, "\"\\u001b[0mé\\u0000\"");
    }
}
