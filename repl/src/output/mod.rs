//! Answers as text, with one file for each format. All implement [`RowWriter`].
//!
//! Writers receive record batches and know neither terminals nor pagers; the caller decides where the text goes.

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

/// Minimum number of bytes that are collected before they are written out.
pub const WRITE_BYTES_MIN: usize = 1 << 16;

/// The output format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// A box with aligned columns.
    #[default]
    Table,
    /// One line per column.
    Vertical,
    /// Comma-separated values with a header line.
    Csv,
    /// One JSON object per line, and nothing else on standard output.
    Json,
}

impl Output {
    /// Whether people read it: messages and summaries may appear between rows.
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
    /// Receives the columns, and writes a header that does not depend on the rows.
    fn begin(&mut self, schema: &Schema, out: &mut dyn Write) -> io::Result<()>;

    /// Writes rows. Fails only when `out` does.
    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> io::Result<()>;

    /// Writes what follows the last row.
    fn end(&mut self, out: &mut dyn Write) -> io::Result<()>;
}

/// A column name with control characters escaped.
fn cells_name(name: &str) -> String {
    let mut printable = String::with_capacity(name.len());
    cells::push_printable(&mut printable, name);
    printable
}

/// Writes a JSON object with one string.
pub fn push_json_line(out: &mut String, name: &str, text: &str) {
    out.push('{');
    push_string(out, name);
    out.push(':');
    push_string(out, text);
    out.push('}');
}

/// Writes one cell, quoted if necessary.
pub fn push_csv_cell(out: &mut String, text: &str) {
    let start = out.len();
    out.push_str(text);
    quote_from(out, start);
}
