//! Conversion of a value to the type of the column that INSERT VALUES writes it to.
//!
//! The conversions are ksqlDB's strict ones: INT to BIGINT to DECIMAL to DOUBLE, and strings to DATE, TIME, TIMESTAMP
//! and BYTES (base64); never between strings and numbers.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, ListArray, MapArray, StructArray, new_null_array};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Fields, TimeUnit};
use arrow::util::display::FormatOptions;
use base64::Engine as _;
use headwater_formats::java_time::iso::{parse_iso_time_ms, parse_partial_iso_date, parse_partial_iso_timestamp_ms};
use headwater_language::types::SqlType;

/// Converts a value to a column's type. The error says what was found instead.
pub fn to_column_type(value: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, String> {
    let found = value.data_type();
    if found == wanted {
        return Ok(value.clone());
    }
    if matches!(found, DataType::Null) || value.null_count() == value.len() {
        return Ok(new_null_array(wanted, value.len()));
    }
    match (found, wanted) {
        (DataType::Utf8View | DataType::LargeUtf8, _) => {
            to_column_type(&cast(value, &DataType::Utf8).map_err(|e| e.to_string())?, wanted)
        }
        (DataType::Utf8, _) => from_text(value, wanted),
        (found, wanted) if widens(found, wanted) => checked_cast(value, wanted),
        (DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..), DataType::List(item)) => {
            let list = cast_to_list(value)?;
            let items = to_column_type(list.values(), item.data_type())?;
            let list = ListArray::try_new(item.clone(), list.offsets().clone(), items, list.nulls().cloned());
            list.map(|l| Arc::new(l) as ArrayRef).map_err(|e| e.to_string())
        }
        (DataType::Map(..), DataType::Map(entries, ordered)) => map_to(value.as_map(), entries, *ordered),
        (DataType::Struct(_), DataType::Struct(fields)) => struct_to(value.as_struct(), fields),
        (found, _) => Err(type_name(found)),
    }
}

fn cast_to_list(value: &ArrayRef) -> Result<ListArray, String> {
    let item = match value.data_type() {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => item.clone(),
        other => return Err(type_name(other)),
    };
    cast(value, &DataType::List(item)).map(|list| list.as_list().clone()).map_err(|e| e.to_string())
}

fn map_to(map: &MapArray, entries: &arrow::datatypes::FieldRef, ordered: bool) -> Result<ArrayRef, String> {
    let DataType::Struct(fields) = entries.data_type() else { return Err("MAP".to_owned()) };
    let columns =
        vec![to_column_type(map.keys(), fields[0].data_type())?, to_column_type(map.values(), fields[1].data_type())?];
    let pairs = StructArray::try_new(fields.clone(), columns, None).map_err(|e| e.to_string())?;
    let map = MapArray::try_new(entries.clone(), map.offsets().clone(), pairs, map.nulls().cloned(), ordered);
    map.map(|m| Arc::new(m) as ArrayRef).map_err(|e| e.to_string())
}

/// Converts a STRUCT, matching fields by name; missing fields are NULL.
fn struct_to(found: &StructArray, fields: &Fields) -> Result<ArrayRef, String> {
    if let Some(extra) = found.column_names().into_iter().find(|name| !fields.iter().any(|f| f.name() == name)) {
        return Err(format!("a STRUCT with the field \"{extra}\""));
    }
    let column = |f: &arrow::datatypes::FieldRef| match found.column_by_name(f.name()) {
        Some(column) => to_column_type(column, f.data_type()),
        None => Ok(new_null_array(f.data_type(), found.len())),
    };
    let columns = fields.iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let found = StructArray::try_new(fields.clone(), columns, found.nulls().cloned());
    found.map(|s| Arc::new(s) as ArrayRef).map_err(|e| e.to_string())
}

/// Whether numbers of one type can be widened to another.
fn widens(from: &DataType, to: &DataType) -> bool {
    let rank = |ty: &DataType| match ty {
        DataType::Int8 | DataType::Int16 | DataType::Int32 => Some(0),
        DataType::Int64 => Some(1),
        DataType::Decimal128(..) | DataType::Decimal256(..) => Some(2),
        DataType::Float32 | DataType::Float64 => Some(3),
        _ => None,
    };
    // DataFusion reads an integer literal as BIGINT; whether it fits an INT is checked by value.
    let literal = matches!((from, to), (DataType::Int64, DataType::Int32));
    literal || same_family(from, to) || matches!((rank(from), rank(to)), (Some(a), Some(b)) if a <= b)
}

/// Whether two types differ only in unit or layout.
fn same_family(from: &DataType, to: &DataType) -> bool {
    let family = |ty: &DataType| match ty {
        DataType::Timestamp(..) => 1,
        DataType::Time32(_) | DataType::Time64(_) => 2,
        DataType::Date32 | DataType::Date64 => 3,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => 4,
        _ => 0,
    };
    family(from) > 0 && family(from) == family(to)
}

fn checked_cast(value: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, String> {
    if loses_digits(value.data_type(), wanted) {
        let back = cast(value, wanted).and_then(|cut| cast(&cut, value.data_type()));
        if back.is_ok_and(|back| &back != value) {
            return Err(format!("{}, which has more digits after the decimal point", text_of(value)));
        }
    }
    let options = CastOptions { safe: false, format_options: FormatOptions::default() };
    cast_with_options(value, wanted, &options).map_err(|_| format!("too large: {}", text_of(value)))
}

fn loses_digits(from: &DataType, to: &DataType) -> bool {
    let scale = |ty: &DataType| match ty {
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => Some(*scale),
        _ => None,
    };
    matches!((scale(from), scale(to)), (Some(a), Some(b)) if a > b)
}

fn text_of(value: &ArrayRef) -> String {
    arrow::util::display::array_value_to_string(value, 0).unwrap_or_default()
}

fn from_text(value: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, String> {
    let texts = value.as_string::<i32>();
    let each = |parse: &dyn Fn(&str) -> Result<i64, String>| -> Result<ArrayRef, String> {
        let parsed: Vec<Option<i64>> = texts.iter().map(|t| t.map(parse).transpose()).collect::<Result<_, _>>()?;
        Ok(Arc::new(arrow::array::Int64Array::from(parsed)))
    };
    let bad = |what: &str, text: &str| format!("the string '{text}', which is not {what}");
    match wanted {
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            let ms = each(&|t| {
                parse_partial_iso_timestamp_ms(t).map_err(|_| bad("a timestamp such as '2024-05-01T10:00:00'", t))
            })?;
            cast(&ms, wanted).map_err(|e| e.to_string())
        }
        DataType::Date32 => {
            let days =
                each(&|t| parse_partial_iso_date(t).map(i64::from).map_err(|_| bad("a date such as '2024-05-01'", t)))?;
            cast(&cast(&days, &DataType::Int32).map_err(|e| e.to_string())?, wanted).map_err(|e| e.to_string())
        }
        DataType::Time32(TimeUnit::Millisecond) => {
            let ms = each(&|t| parse_iso_time_ms(t).map(i64::from).map_err(|_| bad("a time such as '10:11:12'", t)))?;
            cast(&cast(&ms, &DataType::Int32).map_err(|e| e.to_string())?, wanted).map_err(|e| e.to_string())
        }
        DataType::Binary => from_base64(texts),
        _ => Err("STRING".to_owned()),
    }
}

fn from_base64(texts: &arrow::array::StringArray) -> Result<ArrayRef, String> {
    let mut out = BinaryBuilder::new();
    for text in texts {
        let Some(text) = text else {
            out.append_null();
            continue;
        };
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(text)
            .map_err(|_| format!("the string '{text}', which is not valid base64"))?;
        out.append_value(bytes);
    }
    Ok(Arc::new(out.finish()))
}

fn type_name(ty: &DataType) -> String {
    SqlType::from_arrow(ty).map_or_else(|| ty.to_string(), |ty| ty.to_string())
}
