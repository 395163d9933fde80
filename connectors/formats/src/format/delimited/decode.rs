//! Decodes DELIMITED payloads to columns.

use arrow::array::{Array, BinaryArray};

use super::line::Line;
use crate::decode_utf8;
use crate::format::batch::{Rows, Selected};
use crate::format::column::Column;
use crate::format::scalar::Scalar;
use crate::format::{Decoded, Decoder, text};

/// Decodes DELIMITED; see [`super`].
pub(crate) struct DelimitedDecoder {
    fields: Vec<Field>,
    columns: Vec<Column>,
    delimiter: u8,
}

/// What happens to a field of a line.
struct Field {
    name: String,
    reader: Reader,
}

enum Reader {
    /// It goes into the column of this index.
    Build(usize),
    /// It is checked, but not kept.
    Check(Scalar),
}

impl DelimitedDecoder {
    /// A decoder for the selected columns.
    pub(crate) fn new(selected: Selected, delimiter: u8) -> Self {
        let Selected { fields, columns, by_field } = selected;
        let reader = |(data_type, column): (&_, &Option<usize>)| match *column {
            Some(column) => Reader::Build(column),
            // DELIMITED supports no other types: see `FormatKind::supports_type`.
            None => Reader::Check(Scalar::of(data_type).unwrap_or(Scalar::String)),
        };
        let fields = fields.iter().zip(&by_field);
        let fields = fields
            .map(|(field, column)| Field { name: field.name().clone(), reader: reader((field.data_type(), column)) });
        Self { fields: fields.collect(), columns, delimiter }
    }
}

impl Decoder for DelimitedDecoder {
    fn decode(&mut self, payloads: &BinaryArray) -> Decoded {
        let mut rows = Rows::new(&mut self.columns);
        for row in 0..payloads.len() {
            rows.decode(row, payloads, |payload, columns| {
                let line = decode_utf8(payload);
                read_line(Line::new(&line, self.delimiter), &self.fields, columns)
            });
        }
        rows.finish()
    }
}

/// Reads a line with these fields.
fn read_line(mut line: Line<'_>, fields: &[Field], columns: &mut [Column]) -> Result<(), String> {
    let mut count = 0;
    while let Some(text) = line.next()? {
        if let Some(field) = fields.get(count) {
            let named = |why| format!("field {} ({}): {why}", count + 1, field.name);
            match field.reader {
                Reader::Build(column) => read_field(&text, &mut columns[column]).map_err(named)?,
                Reader::Check(scalar) if text.is_empty() || text::is_plain(scalar, &text) => {}
                Reader::Check(scalar) => text::check(scalar, &text).map_err(named)?,
            }
        }
        count += 1;
    }
    match count == fields.len() {
        true => Ok(()),
        false => Err(format!("expected {} fields, found {count}", fields.len())),
    }
}

fn read_field(field: &str, column: &mut Column) -> Result<(), String> {
    if field.is_empty() {
        column.push_null();
    } else {
        text::push(&mut column.values, field)?;
        column.close();
    }
    Ok(())
}
