//! The types of SQL: how they are written, and which Arrow type represents each.
//!
//! Formats, functions and the planner use Arrow types; this module converts between the two. The mapping is that of
//! `headwater_formats::format`, in both directions. Bounded queries can return types that the dialect does not have
//! (intervals, durations); [`type_name`] has names for those too.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};

/// The maximum number of digits of a DECIMAL.
pub const DECIMAL_PRECISION_MAX: u8 = 76;
/// The number of digits that fit in Arrow's 128-bit decimal.
const DECIMAL128_PRECISION_MAX: u8 = 38;

/// A type of the dialect.
///
/// A custom type remains a name until the catalog replaces it by its definition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SqlType {
    /// `BOOLEAN`.
    Boolean,
    /// `INTEGER`, `INT`: 32 bits, signed.
    Int,
    /// `BIGINT`: 64 bits, signed.
    BigInt,
    /// `DOUBLE`: IEEE 754, 64 bits.
    Double,
    /// `DECIMAL(precision, scale)`: the number of digits in total, and after the decimal point.
    Decimal {
        /// The total number of digits, from 1 to 76.
        precision: u8,
        /// The number of digits after the decimal point, at most `precision`.
        scale: u8,
    },
    /// `STRING`, `VARCHAR`: UTF-8.
    String,
    /// `BYTES`.
    Bytes,
    /// `DATE`: a day of the calendar.
    Date,
    /// `TIME`: time of day, in milliseconds.
    Time,
    /// `TIMESTAMP`: an instant in UTC, in milliseconds.
    Timestamp,
    /// `ARRAY<item>`.
    Array(Box<SqlType>),
    /// `MAP<key, value>`.
    Map(Box<SqlType>, Box<SqlType>),
    /// `STRUCT<name type, …>`.
    Struct(Vec<StructField>),
    /// A type created by CREATE TYPE, by its name.
    Custom(String),
}

/// A field of a [`SqlType::Struct`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StructField {
    /// Its name, folded.
    pub name: String,
    /// Its type.
    pub ty: SqlType,
}

impl SqlType {
    /// The type with this name, if it is one word in upper case without parameters: `INT`, `VARCHAR`.
    pub fn simple(name: &str) -> Option<Self> {
        Some(match name {
            "BOOLEAN" => Self::Boolean,
            "INT" | "INTEGER" => Self::Int,
            "BIGINT" => Self::BigInt,
            "DOUBLE" => Self::Double,
            "STRING" | "VARCHAR" => Self::String,
            "BYTES" => Self::Bytes,
            "DATE" => Self::Date,
            "TIME" => Self::Time,
            "TIMESTAMP" => Self::Timestamp,
            _ => return None,
        })
    }

    /// The Arrow type that represents it; the error is the name of a custom type that has not been replaced yet.
    ///
    /// Everything below the top is nullable, and a map's entries are unsorted.
    pub fn to_arrow(&self) -> Result<DataType, &str> {
        Ok(match self {
            Self::Boolean => DataType::Boolean,
            Self::Int => DataType::Int32,
            Self::BigInt => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Decimal { precision, scale } => decimal(*precision, *scale),
            Self::String => DataType::Utf8,
            Self::Bytes => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time32(TimeUnit::Millisecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, None),
            Self::Array(item) => DataType::List(Arc::new(Field::new_list_field(item.to_arrow()?, true))),
            Self::Map(key, value) => map(key.to_arrow()?, value.to_arrow()?),
            Self::Struct(fields) => DataType::Struct(arrow_fields(fields)?),
            Self::Custom(name) => return Err(name),
        })
    }

    /// The type of the dialect that an Arrow type represents, even if the dialect itself would have chosen a
    /// different Arrow type (small integers are INT, any text is STRING); none if there is no such type, as for an
    /// interval.
    pub fn from_arrow(ty: &DataType) -> Option<Self> {
        Some(match ty {
            DataType::Boolean => Self::Boolean,
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => Self::Int,
            DataType::Int64 | DataType::UInt32 | DataType::UInt64 => Self::BigInt,
            DataType::Float16 | DataType::Float32 | DataType::Float64 => Self::Double,
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
            | DataType::Decimal256(precision, scale) => from_arrow_decimal(*precision, *scale)?,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::String,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Self::Bytes
            }
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Time32(_) | DataType::Time64(_) => Self::Time,
            DataType::Timestamp(..) => Self::Timestamp,
            DataType::Dictionary(_, value) => Self::from_arrow(value)?,
            _ => return Self::from_arrow_nested(ty),
        })
    }

    fn from_arrow_nested(ty: &DataType) -> Option<Self> {
        Some(match ty {
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::ListView(item)
            | DataType::LargeListView(item)
            | DataType::FixedSizeList(item, _) => Self::Array(Box::new(Self::from_arrow(item.data_type())?)),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(pair) if pair.len() == 2 => Self::Map(
                    Box::new(Self::from_arrow(pair[0].data_type())?),
                    Box::new(Self::from_arrow(pair[1].data_type())?),
                ),
                _ => return None,
            },
            DataType::Struct(fields) => {
                Self::Struct(fields.iter().map(|field| from_arrow_field(field)).collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }

    /// True for ARRAY, MAP and STRUCT.
    pub fn is_nested(&self) -> bool {
        matches!(self, Self::Array(_) | Self::Map(..) | Self::Struct(_))
    }

    /// True for INTEGER, BIGINT, DOUBLE and DECIMAL.
    pub fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::BigInt | Self::Double | Self::Decimal { .. })
    }
}

fn decimal(precision: u8, scale: u8) -> DataType {
    let scale = i8::try_from(scale).unwrap_or(i8::MAX);
    match precision {
        0..=DECIMAL128_PRECISION_MAX => DataType::Decimal128(precision, scale),
        _ => DataType::Decimal256(precision, scale),
    }
}

fn from_arrow_decimal(precision: u8, scale: i8) -> Option<SqlType> {
    // A negative scale means that many zeros before the decimal point.
    let zeros = scale.min(0).unsigned_abs();
    let (precision, scale) = (precision.checked_add(zeros)?, scale.max(0).unsigned_abs());
    (precision <= DECIMAL_PRECISION_MAX).then_some(SqlType::Decimal { precision: precision.max(scale), scale })
}

fn map(key: DataType, value: DataType) -> DataType {
    let entries = Fields::from(vec![Field::new("keys", key, false), Field::new("values", value, true)]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
}

fn arrow_fields(fields: &[StructField]) -> Result<Fields, &str> {
    fields.iter().map(|field| Ok(Field::new(&field.name, field.ty.to_arrow()?, true))).collect()
}

fn from_arrow_field(field: &Field) -> Option<StructField> {
    Some(StructField { name: field.name().clone(), ty: SqlType::from_arrow(field.data_type())? })
}

/// The name of an Arrow type for users: the SQL type it represents, or a plain word if the dialect has no such type.
pub fn type_name(ty: &DataType) -> String {
    if let Some(ty) = SqlType::from_arrow(ty) {
        return ty.to_string();
    }
    match ty {
        DataType::Null => "NULL".to_owned(),
        DataType::Interval(_) => "INTERVAL".to_owned(),
        DataType::Duration(_) => "DURATION".to_owned(),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => format!("ARRAY<{}>", type_name(item.data_type())),
        DataType::Struct(fields) => {
            struct_name(fields.iter().map(|it| (it.name().as_str(), type_name(it.data_type()))))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                format!("MAP<{}, {}>", type_name(pair[0].data_type()), type_name(pair[1].data_type()))
            }
            _ => "MAP".to_owned(),
        },
        other => other.to_string().to_uppercase(),
    }
}

fn struct_name<'a>(fields: impl Iterator<Item = (&'a str, String)>) -> String {
    let fields: Vec<_> = fields.map(|(name, ty)| format!("{} {ty}", quoted(name))).collect();
    format!("STRUCT<{}>", fields.join(", "))
}

/// A name in backticks.
fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Writes it as ksqlDB does, in a form that can be parsed again: `` STRUCT<`F` ARRAY<INTEGER>> ``.
impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::Int => f.write_str("INTEGER"),
            Self::BigInt => f.write_str("BIGINT"),
            Self::Double => f.write_str("DOUBLE"),
            Self::Decimal { precision, scale } => write!(f, "DECIMAL({precision}, {scale})"),
            Self::String => f.write_str("STRING"),
            Self::Bytes => f.write_str("BYTES"),
            Self::Date => f.write_str("DATE"),
            Self::Time => f.write_str("TIME"),
            Self::Timestamp => f.write_str("TIMESTAMP"),
            Self::Array(item) => write!(f, "ARRAY<{item}>"),
            Self::Map(key, value) => write!(f, "MAP<{key}, {value}>"),
            Self::Struct(fields) => {
                f.write_str(&struct_name(fields.iter().map(|field| (field.name.as_str(), field.ty.to_string()))))
            }
            Self::Custom(name) => f.write_str(&quoted(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse_type;

    const TYPES: &[&str] = &[
        "BOOLEAN",
        "INTEGER",
        "BIGINT",
        "DOUBLE",
        "STRING",
        "BYTES",
        "DATE",
        "TIME",
        "TIMESTAMP",
        "DECIMAL(4, 2)",
        "DECIMAL(76, 0)",
        "ARRAY<ARRAY<INTEGER>>",
        "MAP<STRING, ARRAY<DOUBLE>>",
        "STRUCT<`A` INTEGER, `b c` STRUCT<`D` MAP<STRING, BYTES>>>",
        "STRUCT<>",
    ];

    #[test]
    fn types_print_what_they_parse() {
        for text in TYPES {
            assert_eq!(parse_type(text).expect(text).to_string(), *text);
        }
        assert_eq!(parse_type("address").expect("a name").to_string(), "`ADDRESS`");
    }

    #[test]
    fn types_go_to_arrow_and_back() {
        for text in TYPES {
            let ty = parse_type(text).expect(text);
            let arrow = ty.to_arrow().expect("no custom type");
            assert_eq!(SqlType::from_arrow(&arrow), Some(ty), "{arrow}");
            assert_eq!(type_name(&arrow), *text);
        }
    }

    #[test]
    fn other_ways_to_write_a_type() {
        for (text, same) in [
            ("int", "INTEGER"),
            ("varchar", "STRING"),
            ("INT ARRAY", "ARRAY<INTEGER>"),
            ("a int array array", ""),
            ("MAP < string , struct<x int> >", "MAP<STRING, STRUCT<`X` INTEGER>>"),
            ("array<map<string, array<int>>>", "ARRAY<MAP<STRING, ARRAY<INTEGER>>>"),
        ] {
            match parse_type(text) {
                Ok(ty) => assert_eq!(ty.to_string(), same),
                Err(_) => assert_eq!(same, "", "{text}"),
            }
        }
    }

    #[test]
    fn what_is_no_type_is_refused() {
        for text in [
            "",
            "NULL",
            "ARRAY<NULL>",
            "DECIMAL",
            "DECIMAL(0, 0)",
            "DECIMAL(77, 1)",
            "DECIMAL(2, 3)",
            "INT(3)",
            "VARCHAR(STRING)",
            "ARRAY<INT",
            "ARRAY<INT>>",
            "MAP<INT>",
            "STRUCT<A>",
            "STRUCT<A INT,>",
            "1",
            "<>",
        ] {
            assert!(parse_type(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_type_is_not_nested_without_end() {
        let deep = format!("{}INT{}", "ARRAY<".repeat(10_000), ">".repeat(10_000));
        assert!(parse_type(&deep).is_err());
        assert!(parse_type(&format!("INT{}", " ARRAY".repeat(10_000))).is_err());
    }

    #[test]
    fn types_of_bounded_queries_have_names() {
        for (ty, name) in [
            (DataType::UInt64, "BIGINT"),
            (DataType::Float32, "DOUBLE"),
            (DataType::Utf8View, "STRING"),
            (DataType::Int16, "INTEGER"),
            (DataType::Null, "NULL"),
            (DataType::Decimal128(5, -2), "DECIMAL(7, 0)"),
            (DataType::new_list(DataType::UInt64, true), "ARRAY<BIGINT>"),
            (DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano), "INTERVAL"),
        ] {
            assert_eq!(type_name(&ty), name);
        }
    }
}
