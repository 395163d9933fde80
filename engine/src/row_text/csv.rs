//! Rows as CSV, for the shell's `--output csv` and for COPY to a file: a header line, then rows quoted as in RFC 4180.
//! Lines end with a line feed, which tools on Unix expect and every CSV reader accepts.
//!
//! A null is an empty cell and an empty STRING is `""`, so that the two can be distinguished.

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use super::column::Column;
use super::value::push_text;
use super::{write_out, write_rows};

/// Writes rows as CSV.
#[derive(Debug, Default)]
pub struct CsvLines {
    buffer: String,
}

impl CsvLines {
    /// Writes the header line. Fails only when `out` does.
    pub fn header(&mut self, schema: &Schema, out: &mut dyn Write) -> io::Result<()> {
        for (position, field) in schema.fields().iter().enumerate() {
            push_comma(&mut self.buffer, position);
            let start = self.buffer.len();
            self.buffer.push_str(field.name());
            quote_from(&mut self.buffer, start);
        }
        self.buffer.push('\n');
        write_out(&mut self.buffer, out)
    }

    /// Writes rows. Fails only when `out` does.
    pub fn write(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> io::Result<()> {
        write_rows(batch, &mut self.buffer, out, push_row)
    }
}

fn push_row(buffer: &mut String, columns: &[Column], row: usize) {
    for (position, column) in columns.iter().enumerate() {
        push_comma(buffer, position);
        if column.is_null(row) {
            continue;
        }
        let start = buffer.len();
        push_text(buffer, column, row);
        if needs_no_look(column) {
            continue;
        }
        quote_from(buffer, start);
    }
    buffer.push('\n');
}

/// Columns whose text never needs quotes.
fn needs_no_look(column: &Column) -> bool {
    use Column::{Boolean, Date, Decimal128, Float64, Int32, Int64, Time, Timestamp};
    matches!(column, Boolean(_) | Int32(_) | Int64(_) | Float64(_) | Decimal128(_) | Date(_) | Time(_) | Timestamp(_))
}

/// Quotes the text from `start` on if it needs quotes.
pub fn quote_from(out: &mut String, start: usize) {
    let cell = &out[start..];
    if !cell.is_empty() && !cell.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        return;
    }
    let quoted = cell.replace('"', "\"\"");
    out.truncate(start);
    out.push('"');
    out.push_str(&quoted);
    out.push('"');
}

fn push_comma(out: &mut String, position: usize) {
    if position > 0 {
        out.push(',');
    }
}
