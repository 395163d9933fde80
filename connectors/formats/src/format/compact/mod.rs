//! COMPACT: a binary format for the topics that belong to one query. It supports every type and restores each value bit by
//! bit. Users cannot name it in WITH.
//!
//! A payload is a version byte, a bitmap of the fields that are null, and the values of the others:
//!
//! ```text
//! payload    = VERSION bitmap(fields) values(field)…
//! bitmap(n)  = n bits, from the lowest bit of the first byte on; 1 for null; unused bits of the last byte are 0
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
//! Nested values are stored by column within a payload, so that encoder and decoder process a batch column by column. Numbers
//! are not validated: a DECIMAL with more digits than its type, or a TIME after midnight, is restored unchanged.

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

/// True if the format supports the type.
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
