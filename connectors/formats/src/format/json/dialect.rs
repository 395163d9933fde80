//! What JSON and JSON_SR differ in.

use arrow::datatypes::i256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::format::column::Values;
use crate::format::text::no_decimal;
use crate::format::unscaled::{has_digits, number_of};

/// The rules for values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// JSON: a MAP is an object with a member for each entry.
    Plain,
    /// JSON_SR, as Kafka Connect writes it: a MAP is written as an array of objects with the members `key` and `value`,
    /// because its keys may be null, and read in both forms. A DECIMAL may be a text, too: the bytes of its unscaled value
    /// in base64, which is Connect's default.
    Connect,
}

/// What TIMEs and TIMESTAMPs are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Times {
    /// Numbers, or texts with one.
    Numbers,
    /// Also texts in ISO 8601 with an offset: Debezium's form of times with a zone.
    Zoned,
}

/// The unscaled number that a text is in base64; none if it is not that.
pub(super) fn unscaled(text: &str) -> Option<i256> {
    BASE64.decode(text).ok().filter(|bytes| !bytes.is_empty()).and_then(|bytes| number_of(&bytes))
}

/// Pushes an unscaled number that fits a DECIMAL.
pub(super) fn push_unscaled(values: &mut Values, number: i256) -> Result<(), String> {
    match values {
        Values::Decimal(numbers, precision, _) if has_digits(number, *precision) => numbers.push(number.as_i128()),
        Values::WideDecimal(numbers, precision, _) if has_digits(number, *precision) => numbers.push(number),
        other => return Err(no_decimal(&other.sql_name())),
    }
    Ok(())
}

/// Checks that an unscaled number fits a DECIMAL.
pub(super) fn check_unscaled(number: i256, precision: u8, scale: i8) -> Result<(), String> {
    match has_digits(number, precision) {
        true => Ok(()),
        false => Err(no_decimal(&format!("DECIMAL({precision}, {scale})"))),
    }
}
