//! Rows of a result as text: what the shell prints and COPY writes.
//!
//! It is here because both need it. What only a terminal needs (tables, widths, escape sequences) belongs to the shell.

pub mod calendar;
pub mod column;
pub mod csv;
pub mod json;
pub mod value;

use std::io::{self, Write};

use arrow::array::RecordBatch;

use self::column::Column;

/// How many bytes to collect before they are written.
const WRITE_BYTES_MIN: usize = 1 << 16;

/// Writes the rows of a batch: `push_row` appends one row to `buffer`, which is written to `out` when it is large enough
/// and at the end. Fails only when `out` does.
pub fn write_rows(
    batch: &RecordBatch,
    buffer: &mut String,
    out: &mut dyn Write,
    mut push_row: impl FnMut(&mut String, &[Column], usize),
) -> io::Result<()> {
    let columns: Vec<Column> = batch.columns().iter().map(Column::of).collect();
    for row in 0..batch.num_rows() {
        push_row(buffer, &columns, row);
        if buffer.len() >= WRITE_BYTES_MIN {
            write_out(buffer, out)?;
        }
    }
    write_out(buffer, out)
}

fn write_out(buffer: &mut String, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(buffer.as_bytes())?;
    buffer.clear();
    Ok(())
}
