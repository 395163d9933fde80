//! Formats dates, times and timestamps with patterns.

use arrow::array::ArrayRef;
use arrow::datatypes::{
    ArrowPrimitiveType, Date32Type, Int32Type, Int64Type, Time32MillisecondType, TimestampMillisecondType,
};
use datafusion::error::Result;
use headwater_formats::java_time::{Pattern, Zone};

use super::number::zone;
use super::parse::{Known, pattern};
use crate::call::{Call, Memo};

/// FORMAT_DATE.
pub fn date(call: &Call<'_>) -> Result<ArrayRef> {
    each::<Date32Type>(call, |pattern, days, out| pattern.format_date(days, out).map_err(|e| e.to_string()))
}

/// DATETOSTRING.
pub fn date_of_days(call: &Call<'_>) -> Result<ArrayRef> {
    each::<Int32Type>(call, |pattern, days, out| pattern.format_date(days, out).map_err(|e| e.to_string()))
}

/// FORMAT_TIME.
pub fn time(call: &Call<'_>) -> Result<ArrayRef> {
    each::<Time32MillisecondType>(call, |pattern, ms, out| pattern.format_time_ms(ms, out).map_err(|e| e.to_string()))
}

fn each<P: ArrowPrimitiveType>(
    call: &Call<'_>,
    write: impl Fn(&Pattern, P::Native, &mut String) -> std::result::Result<(), String>,
) -> Result<ArrayRef> {
    let (values, patterns) = (call.numbers::<P>(0), call.texts(1));
    let memo: Memo<Known> = Memo::new();
    call.each_text(|row, out| {
        let pattern = memo.get(patterns.value(row), pattern)?;
        write(&pattern, values.value(row), out).map(Some)
    })
}

/// FORMAT_TIMESTAMP.
pub fn timestamp(call: &Call<'_>) -> Result<ArrayRef> {
    let times = call.numbers::<TimestampMillisecondType>(0);
    zoned(call, |row| times.value(row))
}

/// TIMESTAMPTOSTRING.
pub fn timestamp_of_ms(call: &Call<'_>) -> Result<ArrayRef> {
    let times = call.numbers::<Int64Type>(0);
    zoned(call, |row| times.value(row))
}

fn zoned(call: &Call<'_>, ms: impl Fn(usize) -> i64) -> Result<ArrayRef> {
    let patterns = call.texts(1);
    let zones = (call.len() > 2).then(|| call.texts(2));
    let (memo, known): (Memo<Known>, _) = (Memo::new(), Memo::new());
    call.each_text(|row, out| {
        let pattern = memo.get(patterns.value(row), pattern)?;
        let zone = zones.as_ref().map_or(Ok(Zone::UTC), |zones| known.get(zones.value(row), zone))?;
        pattern.format_timestamp_ms(ms(row), zone, out).map(Some).map_err(|e| e.to_string())
    })
}
