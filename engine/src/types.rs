//! The types of SQL: how they are written, and which Arrow type carries each.

/// A type of the dialect.
///
/// A custom type stays a name until the catalog replaces it by what it stands for.
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
    /// `DECIMAL(precision, scale)`: digits in all and after the point.
    Decimal {
        /// Digits in all, from 1 to 76.
        precision: u8,
        /// Digits after the point, at most `precision`.
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
    /// A type made by CREATE TYPE, by its name.
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
