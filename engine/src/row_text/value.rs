//! Values as text, spelled as ksqlDB spells them: `2020-05-12T21:00:00.000`, `[1, 3]`, `{k=1}`.
//!
//! Used by the table, the vertical listing and CSV. A null is `null`, but CSV handles nulls itself.

use std::fmt::Write;

use arrow::array::Array;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::calendar::{push_date, push_time, push_timestamp};
use super::column::Column;

/// Writes one cell.
pub fn push_text(out: &mut String, column: &Column, row: usize) {
    if column.is_null(row) {
        return out.push_str("null");
    }
    match column {
        Column::Utf8(array) => out.push_str(array.value(row)),
        Column::Utf8View(array) => out.push_str(array.value(row)),
        Column::List(array, elements) => push_list(out, elements, span(array.value_offsets(), row)),
        Column::Map(array, keys, values) => push_map(out, keys, values, span(array.value_offsets(), row)),
        Column::Struct(_, fields) => push_struct(out, fields, row),
        Column::Timestamp(array) => push_timestamp(out, array.value(row)),
        Column::Date(array) => push_date(out, i64::from(array.value(row))),
        Column::Time(array) => push_time(out, i64::from(array.value(row))),
        Column::Binary(array) => STANDARD.encode_string(array.value(row), out),
        Column::BinaryView(array) => STANDARD.encode_string(array.value(row), out),
        Column::Other(array) => push_other(out, array, row),
        number => push_number(out, number, row),
    }
}

/// Writes a non-null cell of a column of numbers or booleans. The text is also JSON, except for DOUBLEs that are not
/// finite. Writes nothing for columns of other types.
pub fn push_number(out: &mut String, column: &Column, row: usize) {
    match column {
        Column::Boolean(array) => out.push_str(if array.value(row) { "true" } else { "false" }),
        Column::Int32(array) => out.push_str(itoa::Buffer::new().format(array.value(row))),
        Column::Int64(array) => out.push_str(itoa::Buffer::new().format(array.value(row))),
        Column::UInt64(array) => out.push_str(itoa::Buffer::new().format(array.value(row))),
        Column::Float32(array) => push_float32(out, array.value(row)),
        Column::Float64(array) => push_float64(out, array.value(row)),
        Column::Decimal128(array) => {
            let unscaled = array.value(row);
            let mut buffer = itoa::Buffer::new();
            push_decimal(out, unscaled < 0, buffer.format(unscaled.unsigned_abs()), array.scale());
        }
        Column::Decimal256(array) => {
            let unscaled = array.value(row).to_string();
            push_decimal(out, unscaled.starts_with('-'), unscaled.trim_start_matches('-'), array.scale());
        }
        _ => {}
    }
}

/// The elements of one row of a list or map.
pub fn span(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    let at = |index: usize| usize::try_from(offsets[index]).expect("arrow checks that offsets are not negative");
    at(row)..at(row + 1)
}

/// Writes a value as arrow formats it.
pub fn push_other(out: &mut String, array: &dyn Array, row: usize) {
    match arrow::util::display::array_value_to_string(array, row) {
        Ok(text) => out.push_str(&text),
        Err(error) => out.push_str(&error.to_string()),
    }
}

fn push_list(out: &mut String, elements: &Column, span: std::ops::Range<usize>) {
    out.push('[');
    for (position, element) in span.enumerate() {
        push_separator(out, position);
        push_text(out, elements, element);
    }
    out.push(']');
}

fn push_map(out: &mut String, keys: &Column, values: &Column, span: std::ops::Range<usize>) {
    out.push('{');
    for (position, entry) in span.enumerate() {
        push_separator(out, position);
        push_text(out, keys, entry);
        out.push('=');
        push_text(out, values, entry);
    }
    out.push('}');
}

fn push_struct(out: &mut String, fields: &[(String, Column)], row: usize) {
    out.push('{');
    for (position, (name, column)) in fields.iter().enumerate() {
        push_separator(out, position);
        out.push_str(name);
        out.push('=');
        push_text(out, column, row);
    }
    out.push('}');
}

fn push_separator(out: &mut String, position: usize) {
    if position > 0 {
        out.push_str(", ");
    }
}

/// Formats a DOUBLE as Java does: always with a fraction, and with an exponent below 0.001 and from 10⁷.
fn push_float64(out: &mut String, value: f64) {
    if !value.is_finite() {
        return push_not_finite(out, value);
    }
    let start = out.len();
    let plain = value == 0.0 || (1e-3..1e7).contains(&value.abs());
    let written = if plain { write!(out, "{value}") } else { write!(out, "{value:E}") };
    written.expect("writing to a string cannot fail");
    ensure_fraction(out, start);
}

fn push_float32(out: &mut String, value: f32) {
    if !value.is_finite() {
        return push_not_finite(out, f64::from(value));
    }
    let start = out.len();
    let plain = value == 0.0 || (1e-3..1e7).contains(&value.abs());
    let written = if plain { write!(out, "{value}") } else { write!(out, "{value:E}") };
    written.expect("writing to a string cannot fail");
    ensure_fraction(out, start);
}

fn push_not_finite(out: &mut String, value: f64) {
    out.push_str(match value {
        v if v.is_nan() => "NaN",
        v if v > 0.0 => "Infinity",
        _ => "-Infinity",
    });
}

fn ensure_fraction(out: &mut String, start: usize) {
    let number = &out[start..];
    if number.contains('.') {
        return;
    }
    match number.find('E') {
        Some(exponent) => out.insert_str(start + exponent, ".0"),
        None => out.push_str(".0"),
    }
}

/// Digits and scale as a plain number that keeps every digit of the scale.
fn push_decimal(out: &mut String, negative: bool, digits: &str, scale: i8) {
    if negative {
        out.push('-');
    }
    let Ok(scale) = usize::try_from(scale) else {
        out.push_str(digits);
        let zeros = if digits == "0" { 0 } else { usize::from(scale.unsigned_abs()) };
        return out.extend(std::iter::repeat_n('0', zeros));
    };
    let whole = digits.len().saturating_sub(scale);
    out.push_str(if whole == 0 { "0" } else { &digits[..whole] });
    if scale > 0 {
        out.push('.');
        out.extend(std::iter::repeat_n('0', scale.saturating_sub(digits.len())));
        out.push_str(&digits[whole..]);
    }
}
