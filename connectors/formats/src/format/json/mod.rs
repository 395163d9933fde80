//! JSON: each record is an object or a bare value, read and written as by ksqlDB.
//!
//! It uses its own scanner, because a scan of a topic spends most of its time decoding. The scanner reads the payload
//! once, writes the requested fields directly into columns, and checks everything else on the way: other fields by
//! their types (see `check`), the rest by the grammar (see `scan`). It accepts what Jackson's `readTree` accepts:
//!
//! * UTF-8 with or without a byte order mark, UTF-16 and UTF-32 (see `encoding`);
//! * anything after the first value, which is ignored;
//! * unpaired escaped surrogates, which are read as `?`;
//! * [`NESTING_MAX`](scan::NESTING_MAX) levels; exponents of 32 bits.
//!
//! Otherwise it is as strict as serde_json; a fuzz test compares the two (`connectors/tests/json_fuzz`). It does not
//! have Jackson's limits on the length of numbers, names and strings, and it does not accept invalid UTF-8 that
//! Jackson accepts (overlong forms).
//!
//! * a member's name matches the column with exactly that name, or else the column whose name is its upper case;
//! * the last of several equal names wins; a missing member is null, and an unknown one is skipped;
//! * one value that does not fit its column makes the whole payload bad;
//! * the payload `null` is a row of nulls, listed in [`Decoded::absent`](super::Decoded::absent);
//! * the values that each type accepts are listed in `value`.
//!
//! JSON_SR is read and written by the same code; its maps and decimals have other forms (see `dialect`).

mod check;
mod decode;
mod dialect;
mod encode;
mod encoding;
mod entries;
mod fault;
mod first;
mod ignored;
mod map;
mod reader;
mod record;
mod scan;
#[cfg(test)]
mod tests;
mod text;
mod token;
mod value;

pub(super) use decode::JsonDecoder;
pub(super) use dialect::{Dialect, Times};
pub(super) use encode::{JsonEncoder, Omission};
pub use first::first_json_value;
pub(super) use ignored::Ignored;
pub(super) use reader::JsonReader;
