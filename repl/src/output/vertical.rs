//! Rows one below the other, with one line per column: for rows too wide for a table.
//!
//! ```text
//! -[ row 1 ]-
//! ORDER_ID | O-000001
//! AMOUNT   | 12.50
//! ```

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use headwater_engine::row_text::value::push_text;
use headwater_engine::row_text::write_rows;

use super::RowWriter;
use super::cells::{push_printable, width_of};

/// Writes rows one below the other.
#[derive(Default)]
pub struct Vertical {
    /// Column names, padded to the same width and followed by a bar.
    heads: Vec<String>,
    rows: u64,
    buffer: String,
    cell: String,
}

impl RowWriter for Vertical {
    fn begin(&mut self, schema: &Schema, _out: &mut dyn Write) -> io::Result<()> {
        let printable = |name: &str| {
            let mut out = String::new();
            push_printable(&mut out, name);
            out
        };
        let names: Vec<String> = schema.fields().iter().map(|field| printable(field.name())).collect();
        let width = names.iter().map(|name| width_of(name)).max().unwrap_or(0);
        self.heads = names.iter().map(|name| format!("{name}{} | ", " ".repeat(width - width_of(name)))).collect();
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> io::Result<()> {
        let Self { heads, rows, buffer, cell } = self;
        write_rows(batch, buffer, out, |buffer, columns, row| {
            *rows += 1;
            buffer.push_str(&format!("-[ row {rows} ]-\n"));
            for (head, column) in heads.iter().zip(columns) {
                cell.clear();
                push_text(cell, column, row);
                buffer.push_str(head);
                push_printable(buffer, cell);
                buffer.push('\n');
            }
        })
    }

    fn end(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use crate::output::Output;

    #[test]
    fn every_type_has_its_line() {
        let text = sample::written(Output::Vertical, &[sample::every_type()]);
        let expected = r#"-[ row 1 ]-
B  | true
I  | -7
L  | 9007199254740993
D  | 1.5
P  | 12.340
S  | a "b"\n\
Y  | AQL/
DA | 2020-05-12
TI | 21:00:00
TS | 2020-05-12T21:00:00.000
A  | [1, null, 3]
M  | {k=1}
R  | {F0=1, F1=x}
-[ row 2 ]-
"#;
        assert!(text.starts_with(expected), "{text}");
        assert!(text.ends_with("M  | null\nR  | null\n"), "{text}");
    }
}
