//! Sections: tables of text with an optional heading, in every format. Facts are shown as sections.

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};

use super::cells::push_printable;
use super::{Fit, Output};

/// A table of text with an optional heading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// Heading above the table; `None` if it is the only section of a statement.
    pub title: Option<String>,
    /// Column names.
    pub columns: Vec<String>,
    /// Rows, with one cell per column.
    pub rows: Vec<Vec<String>>,
    /// Free text below the table, such as a plan or a remark.
    pub text: Option<String>,
}

impl Section {
    /// A table without a heading.
    pub fn table(columns: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Self {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        Self { columns, rows: rows.into_iter().collect(), ..Self::default() }
    }

    /// A table of name and value pairs.
    pub fn pairs<'a>(columns: [&str; 2], pairs: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        Self::table(&columns, pairs.into_iter().map(|(name, value)| vec![name.to_owned(), value]))
    }

    /// Free text without a table.
    pub fn text(text: String) -> Self {
        Self { text: Some(text), ..Self::default() }
    }

    /// The same section with a heading.
    #[must_use]
    pub fn titled(self, title: impl Into<String>) -> Self {
        Self { title: Some(title.into()), ..self }
    }
}

/// Writes sections one below the other.
pub fn write_sections(sections: &[Section], output: Output, fit: Fit, out: &mut dyn Write) -> io::Result<()> {
    for (position, section) in sections.iter().enumerate() {
        if output.is_for_people() {
            write_heading(section, position, out)?;
        } else if position > 0 && output == Output::Csv {
            writeln!(out)?;
        }
        write_rows(section, output, fit, out)?;
        write_text(section, output, out)?;
    }
    Ok(())
}

fn write_heading(section: &Section, position: usize, out: &mut dyn Write) -> io::Result<()> {
    if position > 0 {
        writeln!(out)?;
    }
    section.title.iter().try_for_each(|title| writeln!(out, "{title}"))
}

fn write_rows(section: &Section, output: Output, fit: Fit, out: &mut dyn Write) -> io::Result<()> {
    if section.columns.is_empty() {
        return Ok(());
    }
    let batch = batch_of(section);
    let mut writer = output.writer(fit);
    writer.begin(&batch.schema(), out)?;
    if batch.num_rows() > 0 {
        writer.batch(&batch, out)?;
    }
    writer.end(out)
}

/// Free text keeps its lines for people; for programs it is one cell named `text`.
fn write_text(section: &Section, output: Output, out: &mut dyn Write) -> io::Result<()> {
    let Some(text) = &section.text else { return Ok(()) };
    if !output.is_for_people() {
        let cell = Section { columns: vec!["text".into()], rows: vec![vec![text.clone()]], ..Section::default() };
        return write_rows(&cell, output, Fit { width: None, wrap: false, column_width: None }, out);
    }
    for line in text.lines() {
        let mut printable = String::new();
        push_printable(&mut printable, line);
        writeln!(out, "{printable}")?;
    }
    Ok(())
}

/// The section as a batch of strings, without its heading, which programs do not need.
fn batch_of(section: &Section) -> RecordBatch {
    let fields: Vec<Field> = section.columns.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect();
    let column = |position: usize| -> ArrayRef {
        Arc::new(section.rows.iter().map(|row| row.get(position).map(String::as_str)).collect::<StringArray>())
    };
    let columns = (0..section.columns.len()).map(column).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .expect("every column is nullable text with one cell a row")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: Output, expected: &str) {
        let sections = [
            Section {
                title: Some("Streams".into()),
                columns: vec!["Name".into(), "Topic".into()],
                rows: vec![vec!["ORDERS".into(), "orders".into()]],
                text: None,
            },
            Section { text: Some("plan\n  scan".into()), ..Section::default() },
        ];
        let mut out = Vec::new();
        write_sections(&sections, output, Fit { width: None, wrap: true, column_width: None }, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn sections_for_people() {
        check(
            Output::Table,
            "\
Streams
+--------+--------+
| Name   | Topic  |
+--------+--------+
| ORDERS | orders |
+--------+--------+

plan
  scan
",
        );
    }

    #[test]
    fn sections_for_programs() {
        check(Output::Json, "{\"Name\":\"ORDERS\",\"Topic\":\"orders\"}\n{\"text\":\"plan\\n  scan\"}\n");
        check(Output::Csv, "Name,Topic\nORDERS,orders\n\ntext\n\"plan\n  scan\"\n");
    }
}
