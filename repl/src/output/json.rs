//! Rows as JSON, one object a line.
//!
//! Numbers stay numbers with all their digits (BIGINTs beyond 2⁵³ and DECIMALs too); times are ISO
//! 8601 text, BYTES base64. A DOUBLE that JSON has no number for is the text `"NaN"`, `"Infinity"`
//! or `"-Infinity"`.

use std::io::{self, Write};
use std::ops::Range;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::calendar::{push_date, push_time, push_timestamp};
use super::column::Column;
use super::value::{push_number, push_other, push_text, span};
use super::{RowWriter, WRITE_BYTES_MIN};

/// Writes rows as JSON lines.
#[derive(Default)]
pub struct Json {
    /// What stands before each value: `{"A":`, `,"B":`.
    heads: Vec<String>,
    buffer: String,
}

impl RowWriter for Json {
    fn begin(&mut self, schema: &Schema, _out: &mut dyn Write) -> io::Result<()> {
        self.heads = heads(schema.fields().iter().map(|field| field.name().as_str()));
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> io::Result<()> {
        let columns: Vec<Column> = batch.columns().iter().map(Column::of).collect();
        for row in 0..batch.num_rows() {
            self.push_row(&columns, row);
            if self.buffer.len() >= WRITE_BYTES_MIN {
                self.write_out(out)?;
            }
        }
        self.write_out(out)
    }

    fn end(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

impl Json {
    fn push_row(&mut self, columns: &[Column], row: usize) {
        for (head, column) in self.heads.iter().zip(columns) {
            self.buffer.push_str(head);
            push_json(&mut self.buffer, column, row);
        }
        self.buffer.push_str(if columns.is_empty() { "{}\n" } else { "}\n" });
    }

    fn write_out(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(self.buffer.as_bytes())?;
        self.buffer.clear();
        Ok(())
    }
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

/// A map is an object; keys that are not text are written as their text.
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
    use super::super::sample;
    use super::*;
    use crate::output::Output;

    #[test]
    fn every_type_is_json() {
        let text = sample::written(Output::Json, &[sample::every_type()]);
        let expected = concat!(
            r#"{"B":true,"I":-7,"L":9007199254740993,"D":1.5,"P":12.340,"S":"a \"b\"\n\\","Y":"AQL/","DA":"2020-05-12","#,
            r#""TI":"21:00:00","TS":"2020-05-12T21:00:00.000","A":[1,null,3],"M":{"k":1},"R":{"F0":1,"F1":"x"}}"#,
            "\n",
            r#"{"B":null,"I":null,"L":null,"D":null,"P":null,"S":null,"Y":null,"DA":null,"TI":null,"TS":null,"#,
            r#""A":null,"M":null,"R":null}"#,
            "\n",
        );
        assert_eq!(text, expected);
        for line in text.lines() {
            serde_json::from_str::<serde_json::Value>(line).expect("each line is an object");
        }
    }

    #[test]
    fn control_characters_are_escaped() {
        let mut text = String::new();
        push_string(&mut text, "\u{1b}[0mé\u{0}");
        assert_eq!(text, "\"\\u001b[0mé\\u0000\"");
    }

    #[test]
    fn doubles_without_a_number_are_text() {
        let batch = sample::doubles(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -0.0, 1e-7]);
        let text = sample::written(Output::Json, &[batch]);
        let values: Vec<&str> = text.lines().map(|line| &line[5..line.len() - 1]).collect();
        assert_eq!(values, ["\"NaN\"", "\"Infinity\"", "\"-Infinity\"", "1.0E300", "-0.0", "1.0E-7"]);
    }
}
