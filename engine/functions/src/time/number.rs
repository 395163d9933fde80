//! Dates and timestamps as numbers, the current time, and conversions between time zones.

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::{Int32Type, Int64Type, TimestampMillisecondType};
use datafusion::common::exec_datafusion_err;
use datafusion::error::Result;
use headwater_formats::java_time::Zone;

use crate::call::{Call, Memo};
use crate::clock;

/// The same number as another type.
pub fn itself(call: &Call<'_>) -> Result<ArrayRef> {
    Ok(cast(&call.array(0)?, call.returns())?)
}

fn now() -> Result<i64> {
    clock::now_ms().ok_or_else(|| exec_datafusion_err!("no current time was passed in"))
}

/// UNIX_TIMESTAMP().
pub fn now_ms(call: &Call<'_>) -> Result<ArrayRef> {
    let now = now()?;
    call.each::<Int64Type>(|_| Ok(Some(now)))
}

/// UNIX_DATE().
pub fn today(call: &Call<'_>) -> Result<ArrayRef> {
    let today = i32::try_from(now()?.div_euclid(86_400_000)).unwrap_or(i32::MAX);
    call.each::<Int32Type>(|_| Ok(Some(today)))
}

/// CONVERT_TZ.
pub fn convert_tz(call: &Call<'_>) -> Result<ArrayRef> {
    let (times, from, to) = (call.numbers::<TimestampMillisecondType>(0), call.texts(1), call.texts(2));
    let (known_from, known_to) = (Memo::new(), Memo::new());
    call.each::<TimestampMillisecondType>(|row| {
        let ms = times.value(row);
        let from: Zone = known_from.get(from.value(row), zone)?;
        let to: Zone = known_to.get(to.value(row), zone)?;
        let second = ms.div_euclid(1_000);
        let moved_ms = i64::from(to.offset_s_at(second) - from.offset_s_at(second)) * 1_000;
        ms.checked_add(moved_ms).map(Some).ok_or_else(|| "the time is beyond the range of TIMESTAMP".to_owned())
    })
}

/// A zone by its name.
pub fn zone(name: &str) -> std::result::Result<Zone, String> {
    Zone::of(name).map_err(|error| error.to_string())
}
