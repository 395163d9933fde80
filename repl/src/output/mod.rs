//! Answers as text, one file a format, all of one shape ([`RowWriter`]).
//!
//! Writers take record batches and know neither terminals nor pagers; where the text goes is the
//! caller's business.

pub mod cells;
mod csv;
pub mod facts;
mod json;
#[cfg(test)]
pub(crate) mod sample;
pub mod section;
pub mod summary;
mod table;
mod vertical;

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use headwater_engine::row_text::csv::quote_from;
use headwater_engine::row_text::json::push_string;

pub use csv::Csv;
pub use json::Json;
pub use table::{Fit, Table, width_min};
pub use vertical::Vertical;

/// Bytes that are gathered before they are written out.
pub const WRITE_BYTES_MIN: usize = 1 << 16;

/// How answers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// A box with aligned columns.
    #[default]
    Table,
    /// One line a column.
    Vertical,
    /// Comma-separated values with a header line.
    Csv,
    /// One JSON object a line, and nothing else on standard output.
    Json,
}

impl Output {
    /// Whether people read it: messages and summaries may stand between rows.
    pub fn is_for_people(self) -> bool {
        matches!(self, Self::Table | Self::Vertical)
    }

    /// A writer for one result.
    pub fn writer(self, fit: Fit) -> Box<dyn RowWriter> {
        match self {
            Self::Table => Box::new(Table::new(fit)),
            Self::Vertical => Box::new(Vertical::default()),
            Self::Csv => Box::new(Csv::default()),
            Self::Json => Box::new(Json::default()),
        }
    }
}

/// Writes one result.
///
/// ```text
/// begin → batch* → end
/// ```
pub trait RowWriter {
    /// Takes the columns; writes a header that needs no rows.
    fn begin(&mut self, schema: &Schema, out: &mut dyn Write) -> io::Result<()>;

    /// Writes rows. Fails only when `out` does.
    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> io::Result<()>;

    /// Writes what stands under the last row.
    fn end(&mut self, out: &mut dyn Write) -> io::Result<()>;
}

/// A column name without anything a terminal would obey.
fn cells_name(name: &str) -> String {
    let mut printable = String::with_capacity(name.len());
    cells::push_printable(&mut printable, name);
    printable
}

/// Writes an object with one text.
pub fn push_json_line(out: &mut String, name: &str, text: &str) {
    out.push('{');
    push_string(out, name);
    out.push(':');
    push_string(out, text);
    out.push('}');
}

/// Writes one cell, in quotes if it needs them.
pub fn push_csv_cell(out: &mut String, text: &str) {
    let start = out.len();
    out.push_str(text);
    quote_from(out, start);
}
