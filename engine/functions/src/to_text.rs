//! Converts plain values to text in the same way as Java, for functions that write texts.

use std::fmt::Write as _;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int32Type, Int64Type, Time32MillisecondType,
    TimeUnit, TimestampMillisecondType,
};
use headwater_formats::format::write_double_text;
use headwater_formats::java_time::iso::{format_iso_date, format_iso_time_ms, format_iso_timestamp_ms};

/// Appends a non-null value. Fails on arrays, maps and structs.
pub fn write(values: &dyn Array, row: usize, out: &mut String) -> Result<(), String> {
    match values.data_type() {
        DataType::Boolean => out.push_str(if values.as_boolean().value(row) { "true" } else { "false" }),
        // Writing to a String cannot fail.
        DataType::Int32 => drop(write!(out, "{}", values.as_primitive::<Int32Type>().value(row))),
        DataType::Int64 => drop(write!(out, "{}", values.as_primitive::<Int64Type>().value(row))),
        DataType::Float64 => write_double_text(values.as_primitive::<Float64Type>().value(row), out),
        DataType::Decimal128(..) | DataType::Decimal256(..) => out.push_str(&decimal_text(values, row)),
        DataType::Utf8 => out.push_str(values.as_string::<i32>().value(row)),
        DataType::Date32 => format_iso_date(values.as_primitive::<Date32Type>().value(row), out),
        DataType::Time32(TimeUnit::Millisecond) => {
            format_iso_time_ms(values.as_primitive::<Time32MillisecondType>().value(row), out);
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            format_iso_timestamp_ms(values.as_primitive::<TimestampMillisecondType>().value(row), out);
        }
        other => return Err(format!("{} has no text", headwater_language::types::type_name(other))),
    }
    Ok(())
}

/// A DECIMAL with all digits of its scale.
pub fn decimal_text(values: &dyn Array, row: usize) -> String {
    match values.data_type() {
        DataType::Decimal128(..) => values.as_primitive::<Decimal128Type>().value_as_string(row),
        _ => values.as_primitive::<Decimal256Type>().value_as_string(row),
    }
}

/// A DOUBLE as Java writes it: `1.0E7`.
pub fn java_double(double: f64) -> String {
    let mut out = String::new();
    write_double_text(double, &mut out);
    out
}
