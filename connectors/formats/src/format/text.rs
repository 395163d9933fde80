//! Parses a text into a column of another type, in the same way as Java, for quoted numbers in JSON and fields of
//! DELIMITED. [`check`] accepts the same texts as [`push`], without keeping the value.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::column::{Bytes, Values};
use super::number::{self, Literal, MS_A_DAY};
use super::scalar::Scalar;
use crate::java_time::iso;

/// The error for a string column that has reached its size limit.
pub(crate) const COLUMN_FULL: &str = "the texts of this batch exceed 2 GiB";

/// Pushes the value that `text` spells, or returns why it is not a value of the type. Not for nested
/// types; the caller closes the column.
pub(crate) fn push(values: &mut Values, text: &str) -> Result<(), String> {
    match values {
        Values::Boolean(bits) => bits.append(text.eq_ignore_ascii_case("true")),
        Values::Int(values) => values.push(integer(text, "a valid INT")?),
        Values::Bigint(values) => values.push(integer(text, "a valid BIGINT")?),
        Values::Date(values) => values.push(integer(text, "a number of days")?),
        Values::Timestamp(values) => values.push(integer(text, "a number of milliseconds")?),
        Values::Time(values) => values.push(time_of_day(integer(text, "a number of milliseconds")?)?),
        Values::Double(values) => values.push(number::parse_double(text).ok_or_else(|| invalid("a valid DOUBLE"))?),
        Values::Decimal(..) | Values::WideDecimal(..) => {
            let literal = Literal::parse(text.as_bytes()).ok_or_else(|| invalid("a number"))?;
            push_decimal(values, &literal)?;
        }
        Values::String(bytes) => bytes.push(text.as_bytes()).map_err(|_| COLUMN_FULL)?,
        Values::Bytes(bytes) => push_base64(bytes, text)?,
        nested => return Err(format!("cannot read a text as {}", nested.sql_name())),
    }
    Ok(())
}

/// Returns the error with which [`push`] would reject `text`, without building a value.
pub(crate) fn check(scalar: Scalar, text: &str) -> Result<(), String> {
    match scalar {
        Scalar::Boolean | Scalar::String => Ok(()),
        Scalar::Int => integer::<i32>(text, "a valid INT").map(drop),
        Scalar::Bigint => integer::<i64>(text, "a valid BIGINT").map(drop),
        Scalar::Date => integer::<i32>(text, "a number of days").map(drop),
        Scalar::Timestamp => integer::<i64>(text, "a number of milliseconds").map(drop),
        Scalar::Time => time_of_day(integer(text, "a number of milliseconds")?).map(drop),
        Scalar::Double => number::parse_double(text).map(drop).ok_or_else(|| invalid("a valid DOUBLE")),
        Scalar::Decimal(precision, scale) => {
            let literal = Literal::parse(text.as_bytes()).ok_or_else(|| invalid("a number"))?;
            check_decimal(&literal, precision, scale)
        }
        Scalar::Bytes if is_base64(text.as_bytes()) => Ok(()),
        Scalar::Bytes => Err(invalid("valid base64")),
    }
}

fn invalid(wanted: &str) -> String {
    format!("the text is not {wanted}")
}

fn integer<T: std::str::FromStr>(text: &str, wanted: &str) -> Result<T, String> {
    text.parse().map_err(|_| invalid(wanted))
}

fn push_base64(bytes: &mut Bytes, text: &str) -> Result<(), String> {
    BASE64.decode_vec(text, &mut bytes.data).map_err(|_| invalid("valid base64"))?;
    bytes.close().map_err(|_| COLUMN_FULL.to_owned())
}

/// A quick test whether [`check`] accepts a text: true for any text, and for an integer with few digits.
#[inline]
pub(crate) fn is_plain(scalar: Scalar, text: &str) -> bool {
    match scalar {
        Scalar::Boolean | Scalar::String => true,
        Scalar::Int | Scalar::Date => is_short_integer(text, 9),
        Scalar::Bigint | Scalar::Timestamp => is_short_integer(text, 18),
        _ => false,
    }
}

/// An integer with so few digits that it is in range, as nearly all are.
#[inline]
fn is_short_integer(text: &str, digits_max: usize) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    (1..=digits_max).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether [`push_base64`] accepts the text: it must be padded, and unused bits must be zero.
fn is_base64(text: &[u8]) -> bool {
    let padding = text.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
    let symbols = &text[..text.len() - padding];
    let spare = match (padding, symbols.last().copied().and_then(sextet)) {
        (1, Some(last)) => last & 0b11,
        (2, Some(last)) => last & 0b1111,
        _ => 0,
    };
    text.len().is_multiple_of(4) && spare == 0 && symbols.iter().all(|symbol| sextet(*symbol).is_some())
}

/// The six bits that a base64 symbol encodes.
fn sextet(symbol: u8) -> Option<u8> {
    Some(match symbol {
        b'A'..=b'Z' => symbol - b'A',
        b'a'..=b'z' => symbol - b'a' + 26,
        b'0'..=b'9' => symbol - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

/// Checks that a number fits a DECIMAL without rounding.
pub(crate) fn check_decimal(literal: &Literal<'_>, precision: u8, scale: i8) -> Result<(), String> {
    if literal.fits(precision, scale) { Ok(()) } else { Err(no_decimal(&format!("DECIMAL({precision}, {scale})"))) }
}

/// The error for a number that is not one of a DECIMAL.
pub(crate) fn no_decimal(type_name: &str) -> String {
    format!("the number does not fit {type_name}")
}

/// Pushes a number that fits a DECIMAL without rounding.
pub(crate) fn push_decimal(values: &mut Values, literal: &Literal<'_>) -> Result<(), String> {
    let fits = match values {
        Values::Decimal(values, precision, scale) => {
            literal.decimal128(*precision, *scale).map(|decimal| values.push(decimal)).is_some()
        }
        Values::WideDecimal(values, precision, scale) => {
            literal.decimal256(*precision, *scale).map(|decimal| values.push(decimal)).is_some()
        }
        _ => false,
    };
    if fits { Ok(()) } else { Err(no_decimal(&values.sql_name())) }
}

/// Checks that the milliseconds are within a day.
pub(crate) fn time_of_day(ms: i32) -> Result<i32, String> {
    match (0..MS_A_DAY).contains(&ms) {
        true => Ok(ms),
        false => Err(format!("a TIME must be between 0 and {} milliseconds", MS_A_DAY - 1)),
    }
}

/// The instant, in milliseconds since 1970 UTC, of a timestamp in ISO 8601 with its offset from UTC.
pub(crate) fn instant(text: &str) -> Result<i64, String> {
    iso::parse_iso_instant_ms(text).map_err(|_| invalid("a timestamp in ISO 8601 with an offset"))
}

/// The milliseconds since midnight UTC of a time in ISO 8601 with its offset from UTC.
pub(crate) fn time_in_utc(text: &str) -> Result<i32, String> {
    iso::parse_iso_offset_time_ms(text).map_err(|_| invalid("a time in ISO 8601 with an offset"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_told_from_other_text_as_its_decoder_does() {
        let symbols = [b'A', b'B', b'Q', b'g', b'w', b'8', b'+', b'/', b'=', b'-', b' '];
        for len in 0..=5 {
            for code in 0..symbols.len().pow(len) {
                let text: Vec<u8> = (0..len).map(|at| symbols[code / symbols.len().pow(at) % symbols.len()]).collect();
                assert_eq!(is_base64(&text), BASE64.decode(&text).is_ok(), "{}", text.escape_ascii());
            }
        }
        assert!(is_base64(b"aGVsbG8gd29ybGQ=") && !is_base64(b"aGVsbG8gd29ybGR="));
    }
}
