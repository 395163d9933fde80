//! Adds units of time to dates, times and timestamps.

use arrow::array::ArrayRef;
use arrow::datatypes::{
    Date32Type, DurationMillisecondType, Int32Type, Time32MillisecondType, TimestampMillisecondType,
};
use datafusion::error::Result;

use crate::call::Call;

const DAY_MS: i64 = 86_400_000;

/// The distance of each row in milliseconds.
fn distances<'a>(call: &Call<'a>, sign: i64) -> impl Fn(usize) -> i64 + use<'a> {
    let (units, counts) = (call.numbers::<DurationMillisecondType>(0), call.numbers::<Int32Type>(1));
    move |row| units.value(row) * i64::from(counts.value(row)) * sign
}

/// DATEADD.
pub fn date_add(call: &Call<'_>) -> Result<ArrayRef> {
    date(call, 1)
}

/// DATESUB.
pub fn date_sub(call: &Call<'_>) -> Result<ArrayRef> {
    date(call, -1)
}

fn date(call: &Call<'_>, sign: i64) -> Result<ArrayRef> {
    let (distance, days) = (distances(call, sign), call.numbers::<Date32Type>(2));
    call.each::<Date32Type>(|row| {
        let moved = (i64::from(days.value(row)) * DAY_MS + distance(row)) / DAY_MS;
        i32::try_from(moved).map(Some).map_err(|_| "the day is beyond what a DATE can hold".to_owned())
    })
}

/// TIMEADD.
pub fn time_add(call: &Call<'_>) -> Result<ArrayRef> {
    time(call, 1)
}

/// TIMESUB.
pub fn time_sub(call: &Call<'_>) -> Result<ArrayRef> {
    time(call, -1)
}

fn time(call: &Call<'_>, sign: i64) -> Result<ArrayRef> {
    let (distance, times) = (distances(call, sign), call.numbers::<Time32MillisecondType>(2));
    call.each::<Time32MillisecondType>(|row| {
        Ok(Some((i64::from(times.value(row)) + distance(row)).rem_euclid(DAY_MS) as i32))
    })
}

/// TIMESTAMPADD.
pub fn timestamp_add(call: &Call<'_>) -> Result<ArrayRef> {
    timestamp(call, 1)
}

/// TIMESTAMPSUB.
pub fn timestamp_sub(call: &Call<'_>) -> Result<ArrayRef> {
    timestamp(call, -1)
}

fn timestamp(call: &Call<'_>, sign: i64) -> Result<ArrayRef> {
    let (distance, times) = (distances(call, sign), call.numbers::<TimestampMillisecondType>(2));
    call.each::<TimestampMillisecondType>(|row| {
        let moved = times.value(row).checked_add(distance(row));
        moved.map(Some).ok_or_else(|| "the instant is beyond what a TIMESTAMP can hold".to_owned())
    })
}
