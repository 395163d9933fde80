//! JSON: an object a record, or a bare value; read and written as ksqlDB does.
//!
//! A scanner of our own, because decoding is what a scan of a topic spends its time on: it goes
//! once over the payload, writes the fields asked for straight into columns and checks the rest in
//! passing: the fields nobody asked for by their types (see `check`), anything else by its grammar
//! (see `scan`). It accepts what Jackson's `readTree` accepts:
//!
//! * UTF-8 with or without a byte order mark, UTF-16 and UTF-32 (see `encoding`);
//! * anything after the first value, which is ignored;
//! * escaped halves of surrogate pairs, which are read as `?`;
//! * [`NESTING_MAX`](scan::NESTING_MAX) levels; exponents of 32 bits.
//!
//! Otherwise it is as strict as serde_json, and a fuzz test holds the two side by side
//! (`connectors/tests/json_fuzz`). Jackson's limits on the length of numbers, names and strings are
//! not kept, nor does it pass for UTF-8 what Jackson lets pass (overlong forms).
//!
//! * a member's name matches the column of that very name, else the column that is its upper case;
//! * the last of several equal names counts; missing is null, unknown is passed over;
//! * one value that does not fit its column makes the whole payload bad;
//! * the payload `null` is a row of nulls, listed in [`Decoded::absent`](super::Decoded::absent);
//! * what each column takes is listed in `value`.

mod check;
mod decode;
mod encode;
mod encoding;
mod fault;
mod first;
mod map;
mod record;
mod scan;
#[cfg(test)]
mod tests;
mod text;
mod token;
mod value;

pub(super) use decode::JsonDecoder;
pub(super) use encode::JsonEncoder;
pub use first::first_json_value;
