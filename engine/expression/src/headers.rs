//! Record headers from a value: a MAP of strings, or an ARRAY of structs with a key and a value.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use headwater_formats::record::headers_type;
use headwater_language::types::type_name;

/// Makes a column of headers, one list per row. Fails for a value of any other type, which the error names.
pub fn from_value(value: &ArrayRef) -> Result<ArrayRef, String> {
    match value.data_type() {
        DataType::Null => Ok(arrow::array::new_null_array(&headers_type(), value.len())),
        DataType::Map(..) => {
            let map = value.as_map();
            list(map.keys(), map.values(), map.offsets().clone(), map.nulls().cloned())
        }
        DataType::List(item) if matches!(item.data_type(), DataType::Struct(fields) if fields.len() == 2) => {
            let entries = value.as_list::<i32>();
            let pair = entries.values().as_struct();
            let named = |name: &str| {
                let missing =
                    || format!("ROWHEADERS takes structs with the fields KEY and VALUE, but {name} is missing");
                pair.column_by_name(name).ok_or_else(missing)
            };
            list(named("KEY")?, named("VALUE")?, entries.offsets().clone(), entries.nulls().cloned())
        }
        other => Err(format!(
            "ROWHEADERS must be a MAP of strings or an ARRAY of STRUCT(KEY, VALUE), not {}",
            type_name(other)
        )),
    }
}

fn list(
    keys: &ArrayRef,
    values: &ArrayRef,
    offsets: arrow::buffer::OffsetBuffer<i32>,
    nulls: Option<arrow::buffer::NullBuffer>,
) -> Result<ArrayRef, String> {
    let failed = |e: arrow::error::ArrowError| format!("could not convert ROWHEADERS: {e}");
    let DataType::List(item) = headers_type() else { return Err("headers must be a list".to_owned()) };
    let DataType::Struct(fields) = item.data_type().clone() else { return Err("headers must be structs".to_owned()) };
    let keys = cast(keys, &DataType::Utf8).map_err(failed)?;
    let values =
        cast(&cast(values, &text_or_bytes(values.data_type())).map_err(failed)?, &DataType::Binary).map_err(failed)?;
    let entries = StructArray::try_new(fields, vec![keys, values], None).map_err(failed)?;
    let lists = ListArray::try_new(item, offsets, Arc::new(entries), nulls).map_err(failed)?;
    Ok(Arc::new(lists))
}

fn text_or_bytes(ty: &DataType) -> DataType {
    if matches!(ty, DataType::Binary) { DataType::Binary } else { DataType::Utf8 }
}
