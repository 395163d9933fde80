//! The types of scalar values, for checking a value without keeping it.

use arrow::datatypes::{DataType, TimeUnit};

/// A scalar type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    Boolean,
    Int,
    Bigint,
    Double,
    /// A DECIMAL of either width: its precision and scale.
    Decimal(u8, i8),
    String,
    Bytes,
    Date,
    Time,
    Timestamp,
}

impl Scalar {
    /// The scalar type of a column type; `None` for nested types and for types that no format supports.
    pub(crate) fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean => Self::Boolean,
            DataType::Int32 => Self::Int,
            DataType::Int64 => Self::Bigint,
            DataType::Float64 => Self::Double,
            DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
                Self::Decimal(*precision, *scale)
            }
            DataType::Utf8 => Self::String,
            DataType::Binary => Self::Bytes,
            DataType::Date32 => Self::Date,
            DataType::Time32(TimeUnit::Millisecond) => Self::Time,
            DataType::Timestamp(TimeUnit::Millisecond, None) => Self::Timestamp,
            _ => return None,
        })
    }
}
