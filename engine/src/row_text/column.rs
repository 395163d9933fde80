//! An Arrow column whose type is resolved once, so that printing a cell is one `match`.
//!
//! Types that the dialect does not have (small integers, views, dictionaries, other units of time) are converted to one
//! that it has when the column is created, so that printing has few cases. What cannot be converted is
//! [`Column::Other`] and printed by arrow.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array,
    Decimal256Array, Float32Array, Float64Array, Int32Array, Int64Array, ListArray, MapArray, StringArray,
    StringViewArray, StructArray, Time32MillisecondArray, TimestampMillisecondArray, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, TimeUnit};
use std::sync::Arc;

/// A column of one record batch, ready to be printed.
pub enum Column {
    /// Nothing but nulls.
    Null,
    /// BOOLEAN.
    Boolean(BooleanArray),
    /// INT.
    Int32(Int32Array),
    /// BIGINT.
    Int64(Int64Array),
    /// Unsigned counts that some functions return.
    UInt64(UInt64Array),
    /// Single-precision numbers, kept so that `0.1` stays `0.1`.
    Float32(Float32Array),
    /// DOUBLE.
    Float64(Float64Array),
    /// DECIMAL up to 38 digits.
    Decimal128(Decimal128Array),
    /// DECIMAL up to 76 digits.
    Decimal256(Decimal256Array),
    /// STRING.
    Utf8(StringArray),
    /// STRING as views.
    Utf8View(StringViewArray),
    /// BYTES.
    Binary(BinaryArray),
    /// BYTES as views.
    BinaryView(BinaryViewArray),
    /// DATE.
    Date(Date32Array),
    /// TIME.
    Time(Time32MillisecondArray),
    /// TIMESTAMP.
    Timestamp(TimestampMillisecondArray),
    /// ARRAY with its elements.
    List(ListArray, Box<Column>),
    /// MAP with its keys and values.
    Map(MapArray, Box<Column>, Box<Column>),
    /// STRUCT with its fields.
    Struct(StructArray, Vec<(String, Column)>),
    /// A type that only arrow can print.
    Other(ArrayRef),
}

impl Column {
    /// Resolves the type. The dialect's own types are not copied.
    pub fn of(array: &ArrayRef) -> Self {
        match array.data_type() {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Boolean(array.as_boolean().clone()),
            DataType::Int32 => Self::Int32(array.as_primitive().clone()),
            DataType::Int64 => Self::Int64(array.as_primitive().clone()),
            DataType::UInt64 => Self::UInt64(array.as_primitive().clone()),
            DataType::Float32 => Self::Float32(array.as_primitive().clone()),
            DataType::Float64 => Self::Float64(array.as_primitive().clone()),
            DataType::Decimal128(..) => Self::Decimal128(array.as_primitive().clone()),
            DataType::Decimal256(..) => Self::Decimal256(array.as_primitive().clone()),
            DataType::Utf8 => Self::Utf8(array.as_string().clone()),
            DataType::Utf8View => Self::Utf8View(array.as_string_view().clone()),
            DataType::Binary => Self::Binary(array.as_binary().clone()),
            DataType::BinaryView => Self::BinaryView(array.as_binary_view().clone()),
            DataType::Date32 => Self::Date(array.as_primitive().clone()),
            DataType::Time32(TimeUnit::Millisecond) => Self::Time(array.as_primitive().clone()),
            DataType::Timestamp(TimeUnit::Millisecond, _) => Self::Timestamp(array.as_primitive().clone()),
            DataType::List(_) => Self::list(array.as_list()),
            DataType::Map(..) => Self::map(array.as_map()),
            DataType::Struct(_) => Self::structure(array.as_struct()),
            other => Self::brought_to(array, dialect_type(other)),
        }
    }

    /// Whether the row is null.
    pub fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Null => true,
            Self::Boolean(a) => a.is_null(row),
            Self::Int32(a) => a.is_null(row),
            Self::Int64(a) => a.is_null(row),
            Self::UInt64(a) => a.is_null(row),
            Self::Float32(a) => a.is_null(row),
            Self::Float64(a) => a.is_null(row),
            Self::Decimal128(a) => a.is_null(row),
            Self::Decimal256(a) => a.is_null(row),
            Self::Utf8(a) => a.is_null(row),
            Self::Utf8View(a) => a.is_null(row),
            Self::Binary(a) => a.is_null(row),
            Self::BinaryView(a) => a.is_null(row),
            Self::Date(a) => a.is_null(row),
            Self::Time(a) => a.is_null(row),
            Self::Timestamp(a) => a.is_null(row),
            Self::List(a, _) => a.is_null(row),
            Self::Map(a, ..) => a.is_null(row),
            Self::Struct(a, _) => a.is_null(row),
            Self::Other(a) => a.is_null(row),
        }
    }

    fn list(array: &ListArray) -> Self {
        Self::List(array.clone(), Box::new(Self::of(array.values())))
    }

    fn map(array: &MapArray) -> Self {
        Self::Map(array.clone(), Box::new(Self::of(array.keys())), Box::new(Self::of(array.values())))
    }

    fn structure(array: &StructArray) -> Self {
        let names = array.fields().iter().map(|field| field.name().clone());
        Self::Struct(array.clone(), names.zip(array.columns().iter().map(Self::of)).collect())
    }

    fn brought_to(array: &ArrayRef, target: Option<DataType>) -> Self {
        match target.and_then(|target| cast(array, &target).ok()) {
            Some(array) => Self::of(&array),
            None => Self::Other(array.clone()),
        }
    }
}

/// True for types whose cells are right-aligned.
pub fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

/// The type of the dialect that can hold the values of another type. Every result is a type that [`Column::of`] takes as
/// it is, so the conversion terminates.
fn dialect_type(other: &DataType) -> Option<DataType> {
    let list = |field: &Arc<Field>| DataType::List(field.clone());
    match other {
        DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16 => Some(DataType::Int32),
        DataType::UInt32 => Some(DataType::Int64),
        DataType::Float16 => Some(DataType::Float32),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            Some(DataType::Decimal128(*precision, *scale))
        }
        DataType::LargeUtf8 => Some(DataType::Utf8View),
        DataType::LargeBinary => Some(DataType::BinaryView),
        DataType::FixedSizeBinary(_) => Some(DataType::Binary),
        DataType::Date64 => Some(DataType::Date32),
        DataType::Time32(_) | DataType::Time64(_) => Some(DataType::Time32(TimeUnit::Millisecond)),
        DataType::Timestamp(_, zone) => Some(DataType::Timestamp(TimeUnit::Millisecond, zone.clone())),
        DataType::LargeList(f) | DataType::FixedSizeList(f, _) | DataType::ListView(f) | DataType::LargeListView(f) => {
            Some(list(f))
        }
        DataType::Dictionary(_, values) => Some(dialect_type(values).unwrap_or_else(|| (**values).clone())),
        DataType::RunEndEncoded(_, values) => {
            Some(dialect_type(values.data_type()).unwrap_or_else(|| values.data_type().clone()))
        }
        _ => None,
    }
}
