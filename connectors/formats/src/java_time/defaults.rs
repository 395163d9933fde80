//! Completes missing parts of a text from 1970-01-01T00:00, as ksqlDB does.
//!
//! Fields that do not form a complete date or time are applied to that moment one by one, days before months before
//! years, so that `31` and `February` become the last day of February.

use super::civil::{Civil, weekday, year_days};
use super::error::ParseError;
use super::field::{Field, NANOS_PER_SECOND};
use super::parsed::{Parsed, check};
use super::resolve::Resolved;

const HOUR: i64 = 3_600 * NANOS_PER_SECOND;

/// Days since 1970-01-01 and nanoseconds since midnight.
pub(super) fn complete(resolved: &Resolved) -> Result<(i64, i64), ParseError> {
    let days = resolved.days.map_or_else(|| date(&resolved.rest), Ok)?;
    let nanos = resolved.nanos.map_or_else(|| time(&resolved.rest), Ok)?;
    Ok((days, nanos))
}

fn checked(rest: &Parsed, field: Field) -> Result<Option<i64>, ParseError> {
    rest.get(field).map(|value| check(field, value)).transpose()
}

fn time(rest: &Parsed) -> Result<i64, ParseError> {
    let part = |field, unit| checked(rest, field).map(|value| value.unwrap_or(0) * unit);
    let mut hour = checked(rest, Field::HourOfAmPm)?.unwrap_or(0);
    hour = checked(rest, Field::Hour)?.unwrap_or(hour);
    if let Some(half) = checked(rest, Field::AmPm)? {
        hour = hour % 12 + half * 12;
    }
    let minutes = part(Field::Minute, 60 * NANOS_PER_SECOND)?;
    Ok(hour * HOUR + minutes + part(Field::Second, NANOS_PER_SECOND)? + part(Field::Nano, 1)?)
}

fn date(rest: &Parsed) -> Result<i64, ParseError> {
    let mut days = 0;
    if let Some(day) = checked(rest, Field::Weekday)? {
        days += day - weekday(days);
    }
    if let Some(day) = checked(rest, Field::AlignedWeekday)? {
        days += day - ((Civil::from_days(days).day - 1) % 7 + 1);
    }
    if let Some(day) = checked(rest, Field::DayOfMonth)? {
        days = with_day(Civil::from_days(days), day)?;
    }
    if let Some(day) = checked(rest, Field::DayOfYear)? {
        days = with_day_of_year(Civil::from_days(days), day)?;
    }
    let mut date = Civil::from_days(days);
    if let Some(month) = checked(rest, Field::Month)? {
        date = date.moved(date.year, month);
    }
    if let Some(year) = checked(rest, Field::Year)? {
        date = date.moved(year, date.month);
    }
    if checked(rest, Field::Era)?.is_some_and(|era| (era == 1) != (date.year > 0)) {
        date = date.moved(1 - date.year, date.month);
    }
    Ok(date.days())
}

fn with_day(date: Civil, day: i64) -> Result<i64, ParseError> {
    let moved = Civil::new(date.year, date.month, day);
    moved.map(Civil::days).ok_or(ParseError::OutOfRange { field: Field::DayOfMonth.name(), value: day })
}

fn with_day_of_year(date: Civil, day: i64) -> Result<i64, ParseError> {
    if day > year_days(date.year) {
        return Err(ParseError::OutOfRange { field: Field::DayOfYear.name(), value: day });
    }
    Ok(Civil { year: date.year, month: 1, day: 1 }.days() + day - 1)
}
