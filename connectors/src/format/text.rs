//! A text into a column of another type, as Java parses it: what a quoted number in JSON and a
//! field of DELIMITED have in common.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::column::{Bytes, Values};
use super::number::{self, Literal, MS_A_DAY};

/// Why a string column takes no more.
pub(crate) const COLUMN_FULL: &str = "the texts of this batch exceed 2 GiB";

/// Pushes the value that `text` stands for, or says why it stands for none. Not for nested types;
/// the caller closes the column.
pub(crate) fn push(values: &mut Values, text: &str) -> Result<(), String> {
    match values {
        Values::Boolean(bits) => bits.append(text.eq_ignore_ascii_case("true")),
        Values::Int(values) => values.push(integer(text, "INT")?),
        Values::Bigint(values) => values.push(integer(text, "BIGINT")?),
        Values::Date(values) => values.push(integer(text, "number of days")?),
        Values::Timestamp(values) => values.push(integer(text, "number of milliseconds")?),
        Values::Time(values) => values.push(time_of_day(integer(text, "number of milliseconds")?)?),
        Values::Double(values) => values.push(number::parse_double(text).ok_or_else(|| no("DOUBLE"))?),
        Values::Decimal(..) | Values::WideDecimal(..) => {
            let literal = Literal::parse(text.as_bytes()).ok_or_else(|| no("number"))?;
            push_decimal(values, &literal)?;
        }
        Values::String(bytes) => bytes.push(text.as_bytes()).map_err(|_| COLUMN_FULL)?,
        Values::Bytes(bytes) => push_base64(bytes, text)?,
        nested => return Err(format!("cannot read a text as {}", nested.sql_name())),
    }
    Ok(())
}

fn no(what: &str) -> String {
    format!("the text is no {what}")
}

fn integer<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, String> {
    text.parse().map_err(|_| no(what))
}

fn push_base64(bytes: &mut Bytes, text: &str) -> Result<(), String> {
    BASE64.decode_vec(text, &mut bytes.data).map_err(|_| no("base64"))?;
    bytes.close().map_err(|_| COLUMN_FULL.to_owned())
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
    if fits { Ok(()) } else { Err(format!("the number does not fit {}", values.sql_name())) }
}

/// Checks that milliseconds lie within a day.
pub(crate) fn time_of_day(ms: i32) -> Result<i32, String> {
    match (0..MS_A_DAY).contains(&ms) {
        true => Ok(ms),
        false => Err(format!("a TIME is from 0 to {} milliseconds", MS_A_DAY - 1)),
    }
}
