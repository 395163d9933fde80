//! The values parsed from a text: fields, a zone, a part of the day. They are not resolved yet.

use super::day_period::DayPeriod;
use super::error::ParseError;
use super::field::{FIELDS, Field};
use super::zone::Zone;

/// The values found in a text. It is small enough to copy, which is how an optional section is rolled back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parsed {
    values: [i64; FIELDS],
    present: u32,
    pub(super) zone: Option<Zone>,
    pub(super) day_period: Option<DayPeriod>,
}

impl Parsed {
    pub(super) fn new() -> Self {
        Self { values: [0; FIELDS], present: 0, zone: None, day_period: None }
    }

    pub(super) fn get(&self, field: Field) -> Option<i64> {
        (self.present & 1 << field as u32 != 0).then(|| self.values[field as usize])
    }

    pub(super) fn has(&self, field: Field) -> bool {
        self.get(field).is_some()
    }

    /// Sets a field, replacing any earlier value.
    pub(super) fn put(&mut self, field: Field, value: i64) {
        self.values[field as usize] = value;
        self.present |= 1 << field as u32;
    }

    /// Sets a field, unless it already has a different value.
    pub(super) fn agree(&mut self, field: Field, value: i64) -> Result<(), ParseError> {
        if self.get(field).is_some_and(|old| old != value) {
            return Err(ParseError::Conflict);
        }
        self.put(field, value);
        Ok(())
    }

    pub(super) fn remove(&mut self, field: Field) -> Option<i64> {
        let value = self.get(field);
        self.present &= !(1 << field as u32);
        value
    }

    /// The value of a field, removed, if there is one within the field's limits.
    pub(super) fn remove_checked(&mut self, field: Field) -> Result<Option<i64>, ParseError> {
        self.remove(field).map(|value| check(field, value)).transpose()
    }

    /// The fields that have a value, in the order of their numbers.
    pub(super) fn fields(&self) -> impl Iterator<Item = Field> + use<> {
        let present = self.present;
        ALL.into_iter().filter(move |field| present & 1 << *field as u32 != 0)
    }
}

/// The value, if it is within the field's limits.
pub(super) fn check(field: Field, value: i64) -> Result<i64, ParseError> {
    let (min, max) = field.range();
    if (min..=max).contains(&value) { Ok(value) } else { Err(ParseError::OutOfRange { field: field.name(), value }) }
}

/// Every field, in the order of their numbers.
const ALL: [Field; FIELDS] = [
    Field::Era,
    Field::YearOfEra,
    Field::Year,
    Field::Quarter,
    Field::Month,
    Field::DayOfYear,
    Field::DayOfMonth,
    Field::AlignedWeekday,
    Field::Weekday,
    Field::AmPm,
    Field::Hour,
    Field::ClockHour,
    Field::HourOfAmPm,
    Field::ClockHourOfAmPm,
    Field::Minute,
    Field::Second,
    Field::Nano,
    Field::MilliOfDay,
    Field::NanoOfDay,
    Field::ModifiedJulianDay,
    Field::WeekYear,
    Field::WeekOfWeekYear,
    Field::WeekOfMonth,
    Field::LocalWeekday,
    Field::OffsetSeconds,
];
