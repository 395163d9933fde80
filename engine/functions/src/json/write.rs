//! TO_JSON_STRING: any value as JSON.

use std::fmt::Write as _;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::Result;

use super::scan::write_string;
use crate::call::Call;
use crate::text::write_base64;
use crate::to_text;

/// TO_JSON_STRING.
pub fn to_json(call: &Call<'_>) -> Result<ArrayRef> {
    let values = call.array(0)?;
    call.each_text(|row, out| {
        write(values.as_ref(), row, out)?;
        Ok(Some(()))
    })
}

fn write(values: &dyn Array, row: usize, out: &mut String) -> std::result::Result<(), String> {
    if values.is_null(row) || matches!(values.data_type(), DataType::Null) {
        out.push_str("null");
        return Ok(());
    }
    match values.data_type() {
        DataType::Utf8 => write_string(values.as_string::<i32>().value(row), out),
        DataType::Binary => {
            out.push('"');
            write_base64(values.as_binary::<i32>().value(row), out);
            out.push('"');
        }
        DataType::Date32 | DataType::Time32(_) | DataType::Timestamp(..) => {
            out.push('"');
            to_text::write(values, row, out)?;
            out.push('"');
        }
        DataType::Float64 if !values.as_primitive::<Float64Type>().value(row).is_finite() => {
            out.push('"');
            to_text::write(values, row, out)?;
            out.push('"');
        }
        DataType::List(_) => {
            let items = values.as_list::<i32>().value(row);
            sequence('[', ']', items.len(), out, |at, out| write(items.as_ref(), at, out))?;
        }
        DataType::Map(..) => write_map(values, row, out)?,
        DataType::Struct(fields) => {
            let columns = values.as_struct().columns();
            let mut order: Vec<usize> = (0..fields.len()).collect();
            order.sort_by_key(|at| fields[*at].name());
            sequence('{', '}', order.len(), out, |at, out| {
                write_string(fields[order[at]].name(), out);
                out.push(':');
                write(columns[order[at]].as_ref(), row, out)
            })?;
        }
        _ => to_text::write(values, row, out)?,
    }
    Ok(())
}

fn write_map(values: &dyn Array, row: usize, out: &mut String) -> std::result::Result<(), String> {
    let entries = values.as_map().value(row);
    let (keys, values) = (entries.column(0), entries.column(1));
    let formatter = ArrayFormatter::try_new(keys, &FormatOptions::default()).map_err(|e| e.to_string())?;
    let mut order: Vec<(String, usize)> = (0..entries.len()).map(|at| (formatter.value(at).to_string(), at)).collect();
    order.sort();
    sequence('{', '}', order.len(), out, |at, out| {
        let (key, entry) = &order[at];
        write_string(key, out);
        out.push(':');
        write(values.as_ref(), *entry, out)
    })
}

fn sequence(
    open: char,
    close: char,
    length: usize,
    out: &mut String,
    mut each: impl FnMut(usize, &mut String) -> std::result::Result<(), String>,
) -> std::result::Result<(), String> {
    out.push(open);
    for at in 0..length {
        if at > 0 {
            // Writing to a String does not fail.
            let _ = out.write_char(',');
        }
        each(at, out)?;
    }
    out.push(close);
    Ok(())
}
