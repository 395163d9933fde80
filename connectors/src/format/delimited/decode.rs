//! DELIMITED payloads to columns.

use arrow::array::{Array, BinaryArray};

use super::line::Line;
use crate::format::batch::{Rows, Selected};
use crate::format::column::Column;
use crate::format::{Decoded, Decoder, text};

/// Decodes DELIMITED; see [`super`].
pub(crate) struct DelimitedDecoder {
    selected: Selected,
    delimiter: u8,
}

impl DelimitedDecoder {
    /// A decoder of the columns selected.
    pub(crate) fn new(selected: Selected, delimiter: u8) -> Self {
        Self { selected, delimiter }
    }
}

impl Decoder for DelimitedDecoder {
    fn decode(&mut self, payloads: &BinaryArray) -> Decoded {
        let Selected { names, columns, by_field } = &mut self.selected;
        let mut rows = Rows::new(columns);
        for row in 0..payloads.len() {
            rows.decode(row, payloads, |payload, columns| {
                let line = std::str::from_utf8(payload);
                let line = line.map_err(|error| format!("not UTF-8 at byte {}", error.valid_up_to()))?;
                read_line(Line::new(line, self.delimiter), by_field, names, columns)
            });
        }
        rows.finish()
    }
}

/// Reads a line whose fields are those of `by_field`, which says the column of each.
fn read_line(
    mut line: Line<'_>,
    by_field: &[Option<usize>],
    names: &[String],
    columns: &mut [Column],
) -> Result<(), String> {
    let mut count = 0;
    while let Some(field) = line.next()? {
        if let Some(column) = by_field.get(count).copied().flatten() {
            read_field(&field, &mut columns[column])
                .map_err(|why| format!("field {} ({}): {why}", count + 1, names[column]))?;
        }
        count += 1;
    }
    match count == by_field.len() {
        true => Ok(()),
        false => Err(format!("expected {} fields, found {count}", by_field.len())),
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
