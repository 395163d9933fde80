//! The SQL name of an Arrow type, for messages.

use arrow::datatypes::{DataType, TimeUnit};

/// The SQL form of a column type, such as `MAP<STRING, INT>`; a type without an SQL name is shown in Arrow's form.
pub fn sql_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Int32 => "INT".into(),
        DataType::Int64 => "BIGINT".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => format!("DECIMAL({p}, {s})"),
        DataType::Utf8 => "STRING".into(),
        DataType::Binary => "BYTES".into(),
        DataType::Date32 => "DATE".into(),
        DataType::Time32(TimeUnit::Millisecond) => "TIME".into(),
        DataType::Timestamp(TimeUnit::Millisecond, None) => "TIMESTAMP".into(),
        DataType::List(item) => format!("ARRAY<{}>", sql_name(item.data_type())),
        DataType::Map(entries, _) => map_name(entries.data_type()),
        DataType::Struct(fields) => {
            let fields: Vec<_> = fields.iter().map(|f| format!("{} {}", f.name(), sql_name(f.data_type()))).collect();
            format!("STRUCT<{}>", fields.join(", "))
        }
        other => other.to_string(),
    }
}

fn map_name(entries: &DataType) -> String {
    match entries {
        DataType::Struct(fields) if fields.len() == 2 => {
            format!("MAP<{}, {}>", sql_name(fields[0].data_type()), sql_name(fields[1].data_type()))
        }
        other => format!("MAP<{other}>"),
    }
}
