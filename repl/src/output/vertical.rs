//! Rows one below the other, a line a column: for rows too wide for a table.
//!
//! ```text
//! -[ row 1 ]-
//! ORDER_ID | O-000001
//! AMOUNT   | 12.50
//! ```

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use super::cells::{push_printable, width_of};
use super::{RowWriter, WRITE_BYTES_MIN};
use headwater_engine::row_text::column::Column;
use headwater_engine::row_text::value::push_text;

/// Writes rows one below the other.
#[derive(Default)]
pub struct Vertical {
    /// Column names, padded to one width, with the bar behind them.
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

impl Vertical {
    fn push_row(&mut self, columns: &[Column], row: usize) {
        self.rows += 1;
        self.buffer.push_str(&format!("-[ row {} ]-\n", self.rows));
        for (head, column) in self.heads.iter().zip(columns) {
            self.cell.clear();
            push_text(&mut self.cell, column, row);
            self.buffer.push_str(head);
            push_printable(&mut self.buffer, &self.cell);
            self.buffer.push('\n');
        }
    }

    fn write_out(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(self.buffer.as_bytes())?;
        self.buffer.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use crate::output::Output;

    #[test]
    fn every_type_stands_on_its_line() {
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
