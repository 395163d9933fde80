//! Values as strings, in the format of ksqlDB's CAST to STRING: Java's numbers, ISO times, `[1, 3]`, `{k=1}`,
//! `Struct{F0=1}`.

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::datatypes::{DataType, TimeUnit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use datafusion::common::Result;
use headwater_functions::to_text;

/// The string for each value; NULL if the value is NULL.
pub(super) fn texts(values: &ArrayRef) -> Result<StringArray> {
    let values = plain(values)?;
    if values.data_type().is_integer() {
        // Arrow formats these types the same way, and faster.
        return Ok(arrow::compute::cast(&values, &DataType::Utf8)?.as_string().clone());
    }
    let mut out = StringBuilder::with_capacity(values.len(), values.len() * 8);
    let mut text = String::new();
    for row in 0..values.len() {
        if values.is_null(row) {
            out.append_null();
            continue;
        }
        text.clear();
        write(&values, row, &mut text)?;
        out.append_value(&text);
    }
    Ok(out.finish())
}

/// Converts values to the dialect's types.
fn plain(values: &ArrayRef) -> Result<ArrayRef> {
    use DataType as D;
    Ok(match values.data_type() {
        D::Utf8View | D::LargeUtf8 => arrow::compute::cast(values, &D::Utf8)?,
        D::BinaryView | D::LargeBinary | D::FixedSizeBinary(_) => arrow::compute::cast(values, &D::Binary)?,
        D::Timestamp(..) => arrow::compute::cast(values, &D::Timestamp(TimeUnit::Millisecond, None))?,
        D::Time64(_) | D::Time32(TimeUnit::Second) => arrow::compute::cast(values, &D::Time32(TimeUnit::Millisecond))?,
        D::Int8 | D::Int16 | D::UInt8 | D::UInt16 => arrow::compute::cast(values, &D::Int32)?,
        D::UInt32 => arrow::compute::cast(values, &D::Int64)?,
        D::Float16 | D::Float32 => arrow::compute::cast(values, &D::Float64)?,
        _ => values.clone(),
    })
}

fn write(values: &ArrayRef, row: usize, out: &mut String) -> Result<()> {
    match values.data_type() {
        DataType::Binary => STANDARD.encode_string(values.as_binary::<i32>().value(row), out),
        DataType::List(_) => write_list(values, row, out)?,
        DataType::Map(..) => write_map(values, row, out)?,
        DataType::Struct(_) => write_struct(values, row, out)?,
        _ if to_text::write(values, row, out).is_ok() => {}
        _ => out.push_str(&arrow::util::display::array_value_to_string(values, row)?),
    }
    Ok(())
}

/// Writes an element, or `null`.
fn write_or_null(values: &ArrayRef, row: usize, out: &mut String) -> Result<()> {
    match values.is_null(row) {
        true => out.push_str("null"),
        false => write(&plain(values)?, row, out)?,
    }
    Ok(())
}

fn write_list(values: &ArrayRef, row: usize, out: &mut String) -> Result<()> {
    let items = values.as_list::<i32>().value(row);
    out.push('[');
    for at in 0..items.len() {
        out.push_str(if at > 0 { ", " } else { "" });
        write_or_null(&items, at, out)?;
    }
    out.push(']');
    Ok(())
}

fn write_map(values: &ArrayRef, row: usize, out: &mut String) -> Result<()> {
    let entries = values.as_map().value(row);
    out.push('{');
    for at in 0..entries.len() {
        out.push_str(if at > 0 { ", " } else { "" });
        write_or_null(entries.column(0), at, out)?;
        out.push('=');
        write_or_null(entries.column(1), at, out)?;
    }
    out.push('}');
    Ok(())
}

/// Writes a struct; fields that are NULL are left out.
fn write_struct(values: &ArrayRef, row: usize, out: &mut String) -> Result<()> {
    let (fields, values) = (values.as_struct().fields(), values.as_struct());
    out.push_str("Struct{");
    let mut first = true;
    for (field, column) in fields.iter().zip(values.columns()).filter(|(_, column)| column.is_valid(row)) {
        out.push_str(if first { "" } else { "," });
        first = false;
        out.push_str(field.name());
        out.push('=');
        write_or_null(column, row, out)?;
    }
    out.push('}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int32Array, Int32Builder, ListArray, MapBuilder, StringBuilder, StructArray};
    use arrow::datatypes::{Field, Int32Type};

    use super::*;

    #[test]
    fn containers_are_written_as_in_java() {
        let list: ArrayRef =
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None, Some(3)])]));
        assert_eq!(texts(&list).expect("texts").value(0), "[1, null, 3]");
        let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
        map.keys().append_value("this");
        map.values().append_value(1);
        map.append(true).expect("a map");
        let map: ArrayRef = Arc::new(map.finish());
        assert_eq!(texts(&map).expect("texts").value(0), "{this=1}");
        let field = |name: &str, value: Option<i32>| {
            let values: ArrayRef = Arc::new(Int32Array::from(vec![value]));
            (Arc::new(Field::new(name, DataType::Int32, true)), values)
        };
        let fields = vec![field("F0", Some(1)), field("none", None), field("f1", Some(3))];
        let found: ArrayRef = Arc::new(StructArray::from(fields));
        assert_eq!(texts(&found).expect("texts").value(0), "Struct{F0=1,f1=3}");
    }
}
