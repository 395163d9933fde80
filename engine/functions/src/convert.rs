//! Converts texts to the dates, times and bytes that a parameter expects: `GREATEST(day, '2022-06-14')`.
//!
//! The accepted forms are those of CAST: partial ISO for dates and timestamps, base64 for bytes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, PrimitiveArray, StringArray};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Date32Type, Time32MillisecondType, TimestampMillisecondType};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use datafusion::common::{exec_datafusion_err, exec_err};
use datafusion::error::Result;
use headwater_formats::java_time::iso::{parse_iso_time_ms, parse_partial_iso_date, parse_partial_iso_timestamp_ms};

/// Parses each text for a call of `function`. Fails on a text that is not valid.
pub fn from_text(texts: &dyn Array, wanted: &DataType, function: &str) -> Result<ArrayRef> {
    let texts = texts.as_string::<i32>();
    let bad = |text: &str, what: &str| exec_datafusion_err!("{function}: '{text}' is not {what}");
    match wanted {
        DataType::Date32 => {
            each::<Date32Type>(texts, |t| parse_partial_iso_date(t).map_err(|_| bad(t, "a date such as '2024-05-01'")))
        }
        DataType::Time32(_) => each::<Time32MillisecondType>(texts, |t| {
            parse_iso_time_ms(t).map_err(|_| bad(t, "a time such as '10:11:12'"))
        }),
        DataType::Timestamp(..) => each::<TimestampMillisecondType>(texts, |t| {
            parse_partial_iso_timestamp_ms(t).map_err(|_| bad(t, "a time such as '2024-05-01T10:11:12'"))
        }),
        DataType::Binary => {
            let read = |t: Option<&str>| t.map(|t| STANDARD.decode(t).map_err(|_| bad(t, "base64"))).transpose();
            let bytes: Vec<Option<Vec<u8>>> = texts.iter().map(read).collect::<Result<_>>()?;
            Ok(Arc::new(bytes.iter().map(|b| b.as_deref()).collect::<BinaryArray>()))
        }
        other => exec_err!("a STRING cannot be converted to {other}"),
    }
}

fn each<P: ArrowPrimitiveType>(texts: &StringArray, read: impl Fn(&str) -> Result<P::Native>) -> Result<ArrayRef> {
    let values = texts.iter().map(|t| t.map(&read).transpose()).collect::<Result<PrimitiveArray<P>>>()?;
    Ok(Arc::new(values))
}
