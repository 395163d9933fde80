//! Rows as a box with aligned columns.
//!
//! Rows are drawn as they arrive, so the widths are determined by the first chunk. If a later chunk needs more, it gets
//! a new header, with columns a quarter wider than necessary so that this seldom happens. Cells that are too long are
//! wrapped or truncated with `…`. If the screen width is not known (not a terminal), nothing is wrapped or truncated: a
//! cell longer than [`COLUMN_WIDTH_MAX`] exceeds its column instead.

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use headwater_engine::row_text::column::is_number;

use super::cells::{Cells, split_at_width, width_of};
use super::{RowWriter, WRITE_BYTES_MIN};

/// Maximum width that a column is padded to if the width of the screen is not known.
pub const COLUMN_WIDTH_MAX: usize = 200;
/// Minimum width of a column; a table that is still too wide runs over the edge.
pub const COLUMN_WIDTH_MIN: usize = 8;
/// Maximum number of lines of one row; the rest is truncated.
pub const WRAP_LINES_MAX: usize = 40;

/// How a table is fitted to the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// Width of the terminal in columns; `None` for no limit.
    pub width: Option<usize>,
    /// Whether long cells are wrapped; otherwise they are truncated.
    pub wrap: bool,
    /// A width for every column; `None` to fit the contents.
    pub column_width: Option<usize>,
}

/// Writes rows as a table.
pub struct Table {
    fit: Fit,
    names: Vec<String>,
    right: Vec<bool>,
    /// The widths that the cells of all chunks so far need.
    natural: Vec<usize>,
    /// The widths of the columns; empty until the first chunk is drawn.
    widths: Vec<usize>,
    buffer: String,
}

impl Table {
    /// A table for a screen.
    pub fn new(fit: Fit) -> Self {
        Self { fit, names: vec![], right: vec![], natural: vec![], widths: vec![], buffer: String::new() }
    }

    /// Sets the widths of the columns for a chunk, and draws a header if they changed.
    fn lay_out(&mut self, cells: &[Cells]) {
        let first = self.widths.is_empty();
        for (natural, cells) in self.natural.iter_mut().zip(cells) {
            let wanted = cells.width_max();
            if wanted > *natural {
                *natural = if first { wanted } else { wanted + wanted / 4 };
            }
        }
        let widths = fitted(&self.natural, self.fit);
        if widths == self.widths && !first {
            return;
        }
        if !first {
            self.push_rule();
        }
        self.widths = widths;
        self.push_header();
    }

    fn push_header(&mut self) {
        self.push_rule();
        let names = std::mem::take(&mut self.names);
        let right = std::mem::take(&mut self.right);
        self.push_lines(
            &names.iter().map(|name| (name.as_str(), width_of(name))).collect::<Vec<_>>(),
            &vec![false; names.len()],
        );
        (self.names, self.right) = (names, right);
        self.push_rule();
    }

    fn push_rule(&mut self) {
        for width in &self.widths {
            self.buffer.push('+');
            self.buffer.extend(std::iter::repeat_n('-', width + 2));
        }
        self.buffer.push_str("+\n");
    }

    fn push_rows(&mut self, cells: &[Cells], rows: usize, out: &mut dyn Write) -> io::Result<()> {
        let right = std::mem::take(&mut self.right);
        let mut line = Vec::with_capacity(cells.len());
        let mut written = Ok(());
        for row in 0..rows {
            line.clear();
            line.extend(cells.iter().map(|cells| (cells.text(row), cells.width(row))));
            self.push_lines(&line, &right);
            if self.buffer.len() >= WRITE_BYTES_MIN {
                written = self.write_out(out);
                if written.is_err() {
                    break;
                }
            }
        }
        self.right = right;
        written
    }

    /// Draws one row: one line, or several if cells are wrapped.
    fn push_lines(&mut self, cells: &[(&str, usize)], right: &[bool]) {
        let fits = |&((_, width), column): &((_, usize), &usize)| width <= *column;
        if self.fit.width.is_none() && self.fit.column_width.is_none()
            || cells.iter().copied().zip(&self.widths).all(|pair| fits(&pair))
        {
            return self.push_line(cells, right);
        }
        let mut rests: Vec<&str> = cells.iter().map(|(text, _)| *text).collect();
        let lines_max = if self.fit.wrap { WRAP_LINES_MAX } else { 1 };
        for line in 1..=lines_max {
            self.push_part(&mut rests, right, line == lines_max);
            if rests.iter().all(|rest| rest.is_empty()) {
                return;
            }
        }
    }

    /// Draws the next line of a wrapped row and keeps the rest; the last line is truncated.
    fn push_part(&mut self, rests: &mut [&str], right: &[bool], last: bool) {
        let mut clipped: Vec<String> = vec![String::new(); rests.len()];
        let mut parts = vec![("", 0); rests.len()];
        for (((part, rest), clip), width) in parts.iter_mut().zip(rests.iter_mut()).zip(&mut clipped).zip(&self.widths)
        {
            let (here, after) = split_at_width(rest, *width);
            *rest = after;
            *part = (here, width_of(here));
            if last && !after.is_empty() {
                *rest = "";
                clip.push_str(split_at_width(here, width.saturating_sub(1)).0);
                clip.push('…');
                *part = (clip, width_of(clip));
            }
        }
        self.push_line(&parts, right);
    }

    fn push_line(&mut self, cells: &[(&str, usize)], right: &[bool]) {
        for (((text, width), column), right) in cells.iter().zip(&self.widths).zip(right) {
            let padding = std::iter::repeat_n(' ', column.saturating_sub(*width));
            self.buffer.push_str("| ");
            if *right {
                self.buffer.extend(padding);
                self.buffer.push_str(text);
            } else {
                self.buffer.push_str(text);
                self.buffer.extend(padding);
            }
            self.buffer.push(' ');
        }
        self.buffer.push_str("|\n");
    }

    fn write_out(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(self.buffer.as_bytes())?;
        self.buffer.clear();
        Ok(())
    }
}

impl RowWriter for Table {
    fn begin(&mut self, schema: &Schema, _out: &mut dyn Write) -> io::Result<()> {
        self.names = schema.fields().iter().map(|field| super::cells_name(field.name())).collect();
        self.right = schema.fields().iter().map(|field| is_number(field.data_type())).collect();
        self.natural = self.names.iter().map(|name| width_of(name)).collect();
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut dyn Write) -> io::Result<()> {
        let cells: Vec<Cells> = batch.columns().iter().map(Cells::of).collect();
        self.lay_out(&cells);
        self.push_rows(&cells, batch.num_rows(), out)?;
        self.write_out(out)
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.widths.is_empty() {
            self.lay_out(&[]);
        }
        self.push_rule();
        self.write_out(out)
    }
}

/// The minimum width of a table with this many columns.
pub fn width_min(columns: usize) -> usize {
    columns * (COLUMN_WIDTH_MIN + 3) + 1
}

/// Widths for columns that need `natural`: the widest are reduced first, all to the same width, so that narrow columns
/// stay complete.
fn fitted(natural: &[usize], fit: Fit) -> Vec<usize> {
    if let Some(width) = fit.column_width {
        return vec![width.max(1); natural.len()];
    }
    let Some(screen) = fit.width else {
        return natural.iter().map(|width| (*width).min(COLUMN_WIDTH_MAX)).collect();
    };
    let room = screen.saturating_sub(natural.len() * 3 + 1);
    let cap = cap_for(natural, room).max(COLUMN_WIDTH_MIN);
    natural.iter().map(|width| (*width).min(cap)).collect()
}

/// The largest maximum with which the widths fit into `room`: starting with the narrowest, columns get the width they
/// need while it is less than an equal share of the remaining space.
fn cap_for(natural: &[usize], room: usize) -> usize {
    let mut sorted = natural.to_vec();
    sorted.sort_unstable();
    let mut left = room;
    for (taken, width) in sorted.iter().enumerate() {
        let share = left / (sorted.len() - taken);
        if *width > share {
            return share;
        }
        left -= width;
    }
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn check(fit: Fit, batches: &[RecordBatch], expected: &str) {
        let text = sample::written_by(&mut Table::new(fit), batches);
        assert_eq!(text, expected, "\n{text}");
    }

    const FREE: Fit = Fit { width: None, wrap: true, column_width: None };

    #[test]
    fn numbers_are_aligned_right_and_text_left() {
        let batch = sample::pairs(&[("a", Some(1)), ("日本", None), ("long name", Some(1_000))]);
        check(
            FREE,
            &[batch],
            "\
+-----------+------+
| NAME      | N    |
+-----------+------+
| a         |    1 |
| 日本      | null |
| long name | 1000 |
+-----------+------+
",
        );
    }

    #[test]
    fn columns_are_shown_without_rows() {
        check(
            FREE,
            &[],
            "\
+------+---+
| NAME | N |
+------+---+
+------+---+
",
        );
    }

    #[test]
    fn long_cells_are_wrapped_to_the_screen() {
        let batch = sample::pairs(&[("abcdefghijklmnopqrstuvwxyz", Some(1)), ("b", Some(2))]);
        check(
            Fit { width: Some(20), wrap: true, column_width: None },
            &[batch],
            "\
+--------------+---+
| NAME         | N |
+--------------+---+
| abcdefghijkl | 1 |
| mnopqrstuvwx |   |
| yz           |   |
| b            | 2 |
+--------------+---+
",
        );
    }

    #[test]
    fn long_cells_are_truncated_when_wrapping_is_off() {
        let batch = sample::pairs(&[("abcdefghijklmnopqrstuvwxyz", Some(1))]);
        check(
            Fit { width: Some(20), wrap: false, column_width: None },
            &[batch],
            "\
+--------------+---+
| NAME         | N |
+--------------+---+
| abcdefghijk… | 1 |
+--------------+---+
",
        );
    }

    #[test]
    fn a_wider_chunk_gets_a_new_header() {
        let (first, second) =
            (sample::pairs(&[("ab", Some(1))]), sample::pairs(&[("abcdefgh", Some(2)), ("ab", Some(3))]));
        check(
            FREE,
            &[first, second],
            "\
+------+---+
| NAME | N |
+------+---+
| ab   | 1 |
+------+---+
+------------+---+
| NAME       | N |
+------------+---+
| abcdefgh   | 2 |
| ab         | 3 |
+------------+---+
",
        );
    }

    #[test]
    fn a_given_column_width_is_used() {
        let batch = sample::pairs(&[("abcdef", Some(12_345))]);
        check(
            Fit { width: Some(80), wrap: true, column_width: Some(4) },
            &[batch],
            "\
+------+------+
| NAME | N    |
+------+------+
| abcd | 1234 |
| ef   |    5 |
+------+------+
",
        );
    }

    #[test]
    fn the_widest_columns_are_squeezed_first() {
        assert_eq!(cap_for(&[3, 40, 50], 63), 30);
        assert_eq!(cap_for(&[3, 10, 50], 63), usize::MAX);
        assert_eq!(cap_for(&[], 10), usize::MAX);
        assert_eq!(cap_for(&[10, 10], 0), 0);
    }
}
