//! Compares a value of Avro's own library with a row that we decoded.

use apache_avro::types::Value;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int32Type, Int64Type, Time32MillisecondType,
    TimestampMillisecondType,
};
use serde_json::Value as Json;

/// Asserts that a row is the value.
pub fn assert_same(schema: &Json, value: &Value, array: &ArrayRef, row: usize) {
    if let (Json::Array(branches), Value::Union(branch, value)) = (schema, value) {
        return assert_branch(branches, *branch as usize, value, array, row);
    }
    if let Value::Null = value {
        return assert!(array.is_null(row));
    }
    assert!(array.is_valid(row), "{value:?} is null");
    match (value, array.data_type()) {
        (Value::Boolean(value), _) => assert_eq!(array.as_boolean().value(row), *value),
        (Value::Int(value), _) => assert_eq!(array.as_primitive::<Int32Type>().value(row), *value),
        (Value::Date(value), _) => assert_eq!(array.as_primitive::<Date32Type>().value(row), *value),
        (Value::TimeMillis(value), _) => assert_eq!(array.as_primitive::<Time32MillisecondType>().value(row), *value),
        (Value::TimestampMillis(value), _) => {
            assert_eq!(array.as_primitive::<TimestampMillisecondType>().value(row), *value);
        }
        (
            Value::Long(value)
            | Value::TimeMicros(value)
            | Value::TimestampMicros(value)
            | Value::TimestampNanos(value)
            | Value::LocalTimestampMillis(value)
            | Value::LocalTimestampMicros(value),
            _,
        ) => assert_eq!(array.as_primitive::<Int64Type>().value(row), *value),
        (Value::Float(value), _) => assert_eq!(array.as_primitive::<Float64Type>().value(row), f64::from(*value)),
        (Value::Double(value), _) => assert_eq!(array.as_primitive::<Float64Type>().value(row), *value),
        (Value::Bytes(value) | Value::Fixed(_, value), _) => assert_eq!(array.as_binary::<i32>().value(row), value),
        (Value::String(value) | Value::Enum(_, value), _) => assert_eq!(array.as_string::<i32>().value(row), value),
        (Value::Uuid(value), _) => assert_eq!(array.as_string::<i32>().value(row), value.to_string()),
        (Value::Decimal(value), data_type) => assert_eq!(unscaled(array, row, data_type), digits(value)),
        (Value::Array(items), _) => {
            let list = array.as_list::<i32>().value(row);
            assert_eq!(list.len(), items.len());
            items.iter().enumerate().for_each(|(at, item)| assert_same(&schema["items"], item, &list, at));
        }
        (Value::Map(entries), _) => assert_entries(schema, entries, array, row),
        (Value::Record(fields), _) => {
            for (at, (name, value)) in fields.iter().enumerate() {
                let column = array.as_struct().column_by_name(name).unwrap();
                assert_same(&schema["fields"][at]["type"], value, column, row);
            }
        }
        (value, data_type) => panic!("{value:?} as {data_type}"),
    }
}

fn assert_branch(branches: &[Json], branch: usize, value: &Value, array: &ArrayRef, row: usize) {
    let is_optional = branches.len() == 2 && branches.contains(&"null".into());
    if is_optional || branches[branch] == "null" {
        return assert_same(&branches[branch], value, array, row);
    }
    let record = array.as_struct();
    let present: Vec<_> = record.columns().iter().filter(|column| column.is_valid(row)).collect();
    assert_eq!(present.len(), 1, "one field of {:?}", record.fields());
    assert_same(&branches[branch], value, present[0], row);
}

fn assert_entries(schema: &Json, entries: &std::collections::HashMap<String, Value>, array: &ArrayRef, row: usize) {
    let map = array.as_map().value(row);
    assert_eq!(map.len(), entries.len());
    for at in 0..map.len() {
        let key = map.column(0).as_string::<i32>().value(at);
        assert_same(&schema["values"], &entries[key], map.column(1), at);
    }
}

fn unscaled(array: &ArrayRef, row: usize, data_type: &DataType) -> String {
    match data_type {
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value(row).to_string(),
        _ => array.as_primitive::<Decimal256Type>().value(row).to_string(),
    }
}

fn digits(decimal: &apache_avro::Decimal) -> String {
    let bytes: Vec<u8> = decimal.clone().try_into().unwrap();
    let sign = if bytes[0] >= 0x80 { 0xff } else { 0 };
    let whole = [vec![sign; 32 - bytes.len()], bytes].concat();
    arrow::datatypes::i256::from_be_bytes(whole.try_into().unwrap()).to_string()
}
