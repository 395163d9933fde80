//! COMPACT: the columns of a row as bytes, for topics that belong to a query and that nobody else reads. It holds every type
//! and gives each value back bit by bit; users cannot name it.
//!
//! A payload is a version byte, a bitmap of the fields that are null, and the values of the others:
//!
//! ```text
//! payload    = VERSION bitmap(fields) values(field)…
//! bitmap(n)  = n bits in as many bytes as that takes, the first the lowest of its byte; set where null, those left over are zero
//! values     = the values that are not null, one after the other:
//!     BOOLEAN              one byte, 0 or 1
//!     INT, DATE, TIME      4 bytes, the least significant first
//!     BIGINT, TIMESTAMP    8 bytes
//!     DOUBLE               8 bytes: its bits
//!     DECIMAL              16 bytes up to 38 digits, 32 up to 76: the unscaled number
//!     STRING, BYTES        length, bytes
//!     ARRAY                the length of each, then column(all elements)
//!     MAP                  the length of each, then values(all keys), column(all values)
//!     STRUCT               for each field: column(the field in each)
//! column(n)  = bitmap(n) values
//! length     = 7 bits a byte, the lowest first; the highest bit of a byte is set if another follows
//! ```
//!
//! Nested values are by columns within a payload, so that both directions go through a batch column by column. Numbers are
//! not checked: a DECIMAL with more digits than its type, or a TIME beyond midnight, comes back as it was.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

use arrow::datatypes::DataType;

use super::column::valid_decimal;
use super::scalar::Scalar;

pub(super) use decode::CompactDecoder;
pub(super) use encode::CompactEncoder;

/// The first byte of every payload.
const VERSION: u8 = 1;

/// True if the format holds the type.
pub(super) fn supports(data_type: &DataType) -> bool {
    match data_type {
        DataType::Decimal128(precision, scale) => valid_decimal(*precision, *scale, 38),
        DataType::Decimal256(precision, scale) => valid_decimal(*precision, *scale, 76),
        DataType::List(item) => item.is_nullable() && supports(item.data_type()),
        DataType::Struct(fields) => fields.iter().all(|field| field.is_nullable() && supports(field.data_type())),
        DataType::Map(entries, false) => match entries.data_type() {
            DataType::Struct(fields) => match fields.as_ref() {
                [key, value] => {
                    let nullable = (key.is_nullable(), value.is_nullable());
                    nullable == (false, true) && supports(key.data_type()) && supports(value.data_type())
                }
                _ => false,
            },
            _ => false,
        },
        other => Scalar::of(other).is_some(),
    }
}
