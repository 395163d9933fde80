//! The messages that stand for a scalar of SQL: dates, times of day, timestamps and decimals, read and written.
//!
//! | message | fields |
//! |---|---|
//! | `google.type.Date` | `int32 year = 1, month = 2, day = 3` |
//! | `google.type.TimeOfDay` | `int32 hours = 1, minutes = 2, seconds = 3, nanos = 4` |
//! | `google.protobuf.Timestamp` | `int64 seconds = 1; int32 nanos = 2` |
//! | `confluent.type.Decimal` | `bytes value = 1` (unscaled, two's complement, big-endian); `uint32 precision = 2; int32 scale = 3` |
//!
//! A DATE and a TIMESTAMP have no other limits than their columns, so every value that is written can be read.

use arrow::datatypes::i256;

use super::wire::{BYTES, Input, VARINT, put_bytes};
use crate::format::fault::{Fault, Outcome};
use crate::format::unscaled::{has_digits, number_of, rescaled, shortest};
use crate::format::varint::put_varint;

const NANOS_A_MS: i64 = 1_000_000;
const NANOS_A_SECOND: i64 = 1_000_000_000;
/// The days from 0000-03-01 to 1970-01-01 in the Gregorian calendar.
const DAYS_TO_EPOCH: i64 = 719_468;
/// The days in 400 years.
const DAYS_AN_ERA: i64 = 146_097;

/// Reads the numbers with the field numbers 1 to `N`; those that are absent are 0.
fn numbers<const N: usize>(mut input: Input<'_>) -> Outcome<[i64; N]> {
    let mut numbers = [0; N];
    while !input.is_empty() {
        let tag = input.tag()?;
        match numbers.get_mut((tag >> 3) as usize - 1) {
            Some(number) if tag & 7 == VARINT => *number = input.varint()? as i64,
            Some(_) => return Err(wrong_type(&input, tag)),
            None => input.skip(tag)?,
        }
    }
    Ok(numbers)
}

/// The fault of a field whose wire type is not that of its type.
#[cold]
pub(super) fn wrong_type(input: &Input<'_>, tag: u32) -> Box<Fault> {
    input.fault(format!("field {} has the wrong wire type {}", tag >> 3, tag & 7))
}

/// Reads a `google.type.Date` as days since 1970. One of zeros only, which is the default of the message, is not a date.
pub(super) fn read_date(input: Input<'_>) -> Outcome<Option<i32>> {
    let place = input.clone();
    let [year, month, day] = numbers(input)?.map(|number| i64::from(number as i32));
    if [year, month, day] == [0; 3] {
        return Ok(None);
    }
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return Err(place.fault(format!("{year}-{month:02}-{day:02} is not a date")));
    }
    let days = days_from_date(year, month, day);
    i32::try_from(days).map(Some).map_err(|_| place.fault(format!("the year {year} is out of range for DATE")))
}

/// Reads a `google.type.TimeOfDay` as milliseconds.
pub(super) fn read_time(input: Input<'_>) -> Outcome<i32> {
    let place = input.clone();
    let [hours, minutes, seconds, nanos] = numbers(input)?.map(|number| i64::from(number as i32));
    let is_time = (0..24).contains(&hours)
        && (0..60).contains(&minutes)
        && (0..60).contains(&seconds)
        && (0..NANOS_A_SECOND).contains(&nanos);
    match is_time {
        true => Ok((((hours * 60 + minutes) * 60 + seconds) * 1000 + nanos / NANOS_A_MS) as i32),
        false => Err(place.fault(format!("{hours}:{minutes:02}:{seconds:02} and {nanos} ns is not a time of day"))),
    }
}

/// Reads a `google.protobuf.Timestamp` as milliseconds since 1970.
pub(super) fn read_timestamp(input: Input<'_>) -> Outcome<i64> {
    let place = input.clone();
    let [seconds, nanos] = numbers(input)?;
    let nanos = i64::from(nanos as i32);
    if !(0..NANOS_A_SECOND).contains(&nanos) {
        return Err(place.fault(format!("a TIMESTAMP cannot have {nanos} ns in addition to its seconds")));
    }
    let ms = i128::from(seconds) * 1000 + i128::from(nanos / NANOS_A_MS);
    i64::try_from(ms).map_err(|_| place.fault(format!("{seconds} seconds are out of range for TIMESTAMP")))
}

/// Reads a `confluent.type.Decimal` as the unscaled number of a DECIMAL, which must hold it without rounding.
pub(super) fn read_decimal(mut input: Input<'_>, precision: u8, scale: i8) -> Outcome<i256> {
    let place = input.clone();
    let (mut unscaled, mut given) = (&[][..], 0);
    while !input.is_empty() {
        let tag = input.tag()?;
        match (tag >> 3, tag & 7) {
            (1, BYTES) => {
                let part = input.value(BYTES)?;
                unscaled = input.part(part);
            }
            (2, VARINT) => drop(input.varint()?),
            (3, VARINT) => given = input.varint()? as i32,
            (1..=3, _) => return Err(wrong_type(&input, tag)),
            _ => input.skip(tag)?,
        }
    }
    let number = number_of(unscaled).and_then(|number| rescaled(number, i64::from(scale) - i64::from(given)));
    match number.filter(|number| has_digits(*number, precision)) {
        Some(number) => Ok(number),
        None => Err(place.fault(format!("the number does not fit DECIMAL({precision}, {scale})"))),
    }
}

/// Appends the fields of a `google.type.Date`.
pub(super) fn write_date(days: i32, out: &mut Vec<u8>) {
    let (year, month, day) = date_from_days(days.into());
    put_numbers([year, month, day], out);
}

/// Appends the fields of a `google.type.TimeOfDay`. Fails for a time that is not within a day.
pub(super) fn write_time(ms: i32, out: &mut Vec<u8>) -> Outcome<()> {
    let ms = i64::from(crate::format::text::time_of_day(ms).map_err(|reason| Fault::new(None, reason))?);
    let seconds = ms / 1000;
    put_numbers([seconds / 3600, seconds / 60 % 60, seconds % 60, ms % 1000 * NANOS_A_MS], out);
    Ok(())
}

/// Appends the fields of a `google.protobuf.Timestamp`.
pub(super) fn write_timestamp(ms: i64, out: &mut Vec<u8>) {
    put_numbers([ms.div_euclid(1000), ms.rem_euclid(1000) * NANOS_A_MS], out);
}

/// Appends the fields of a `confluent.type.Decimal`, the number with as few bytes as it takes.
pub(super) fn write_decimal(unscaled: i256, precision: u8, scale: i8, out: &mut Vec<u8>) {
    out.push(0x0a);
    put_bytes(shortest(&unscaled.to_be_bytes()), out);
    out.push(0x10);
    put_varint(precision.into(), out);
    if scale != 0 {
        out.push(0x18);
        put_varint(scale as u64, out);
    }
}

/// Appends the numbers that are not 0 as fields from 1 on.
fn put_numbers<const N: usize>(numbers: [i64; N], out: &mut Vec<u8>) {
    for (number, field) in numbers.into_iter().zip(1..).filter(|(number, _)| *number != 0) {
        out.push(field << 3);
        put_varint(number as u64, out);
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The days since 1970 of a date. Years are counted from March, so that the leap day is their last.
fn days_from_date(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_AN_ERA + day_of_era - DAYS_TO_EPOCH
}

/// The year, month and day of a number of days since 1970.
fn date_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_EPOCH;
    let (era, day_of_era) = (days.div_euclid(DAYS_AN_ERA), days.rem_euclid(DAYS_AN_ERA));
    let leap_days = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / (DAYS_AN_ERA - 1);
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use chrono::{Datelike, NaiveDate};

    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for days in (-700_000..700_000).step_by(7).chain([-719_529, -719_528, 0, 11_016, 11_017, 47_541]) {
            let date = NaiveDate::from_epoch_days(days).unwrap();
            let expected = (i64::from(date.year()), i64::from(date.month()), i64::from(date.day()));
            assert_eq!(date_from_days(days.into()), expected);
            assert_eq!(days_from_date(expected.0, expected.1, expected.2), i64::from(days));
            let last =
                date.with_day(1).unwrap().checked_add_months(chrono::Months::new(1)).unwrap().pred_opt().unwrap();
            assert_eq!(days_in_month(expected.0, expected.1), i64::from(last.day()));
        }
        for days in [i32::MIN, i32::MAX, i32::MIN + 1] {
            let mut bytes = Vec::new();
            write_date(days, &mut bytes);
            assert_eq!(read_date(Input::new(&bytes)).unwrap(), Some(days));
        }
    }
}
