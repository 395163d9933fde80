//! Resolves the values parsed from a text, by the rules of Java's `ResolverStyle.SMART`.
//!
//! SMART checks every number against the limits of its field, limits days to the end of the month (31 April is 30
//! April), reads 24:00 as the next midnight, and detects contradictions. Values that do not form a complete date or
//! time remain as fields, which `defaults` completes.

use super::civil::{self, Civil};
use super::error::ParseError;
use super::field::{Field, NANOS_PER_DAY, NANOS_PER_SECOND};
use super::parsed::{Parsed, check};

/// Days from 1858-11-17, where modified Julian days begin, to 1970-01-01.
const MODIFIED_JULIAN_EPOCH: i64 = 40_587;

/// The resolved value of a text, as far as it is complete.
pub(super) struct Resolved {
    /// Days since 1970-01-01, if the text contains a complete date.
    pub(super) days: Option<i64>,
    /// Nanoseconds since midnight, if the text contains a complete time.
    pub(super) nanos: Option<i64>,
    /// The remaining values.
    pub(super) rest: Parsed,
}

/// Resolves the parsed values.
pub(super) fn resolve(parsed: &Parsed) -> Result<Resolved, ParseError> {
    let mut state = State { fields: *parsed, days: None, nanos: None, excess_days: 0 };
    state.resolve_date()?;
    state.resolve_hours()?;
    state.resolve_day_counts()?;
    state.resolve_weeks()?;
    state.resolve_whole_time()?;
    state.check_date()?;
    state.check_time()?;
    let days = match (state.days, state.nanos) {
        (Some(days), Some(_)) => Some(days + state.excess_days),
        (days, _) => days,
    };
    Ok(Resolved { days, nanos: state.nanos, rest: state.fields })
}

struct State {
    fields: Parsed,
    days: Option<i64>,
    nanos: Option<i64>,
    excess_days: i64,
}

impl State {
    fn settle_date(&mut self, days: i64) -> Result<(), ParseError> {
        if self.days.is_some_and(|settled| settled != days) {
            return Err(ParseError::Conflict);
        }
        check(Field::Year, Civil::from_days(days).year)?;
        self.days = Some(days);
        Ok(())
    }

    fn resolve_date(&mut self) -> Result<(), ParseError> {
        self.resolve_era()?;
        let Some(year) = self.fields.get(Field::Year) else { return Ok(()) };
        let days = if self.fields.has(Field::Month) && self.fields.has(Field::DayOfMonth) {
            self.month_day(year)?
        } else if let Some(day) = self.fields.get(Field::DayOfYear) {
            let (year, day) = (check(Field::Year, year)?, check(Field::DayOfYear, day)?);
            self.fields.remove(Field::DayOfYear);
            if day > civil::year_days(year) {
                return Err(ParseError::OutOfRange { field: Field::DayOfYear.name(), value: day });
            }
            civil::year_start(year) + day - 1
        } else {
            return Ok(());
        };
        self.fields.remove(Field::Year);
        self.settle_date(days)
    }

    fn month_day(&mut self, year: i64) -> Result<i64, ParseError> {
        let year = check(Field::Year, year)?;
        let month = self.fields.remove_checked(Field::Month)?.unwrap_or(1);
        let day = self.fields.remove_checked(Field::DayOfMonth)?.unwrap_or(1);
        Ok(Civil { year, month, day }.moved(year, month).days())
    }

    /// Converts a year of an era to a year; without an era, it is CE.
    fn resolve_era(&mut self) -> Result<(), ParseError> {
        let Some(of_era) = self.fields.remove_checked(Field::YearOfEra)? else {
            return self.fields.get(Field::Era).map_or(Ok(()), |era| check(Field::Era, era).map(drop));
        };
        let before_christ = match self.fields.remove(Field::Era) {
            Some(era) => era == 0,
            None => self.fields.get(Field::Year).is_some_and(|year| year <= 0),
        };
        self.fields.agree(Field::Year, if before_christ { 1 - of_era } else { of_era })
    }

    fn resolve_hours(&mut self) -> Result<(), ParseError> {
        self.resolve_clock(Field::ClockHour, Field::Hour, 24)?;
        self.resolve_clock(Field::ClockHourOfAmPm, Field::HourOfAmPm, 12)?;
        if let (Some(half), Some(hour)) = (self.fields.get(Field::AmPm), self.fields.get(Field::HourOfAmPm)) {
            self.fields.remove(Field::AmPm);
            self.fields.remove(Field::HourOfAmPm);
            let hour = check(Field::AmPm, half)? * 12 + check(Field::HourOfAmPm, hour)?;
            self.fields.agree(Field::Hour, hour)?;
        }
        let says_nanos = self.fields.has(Field::Nano) || self.fields.has(Field::NanoOfDay);
        self.resolve_time_counts()?;
        if let Some(nano) = self.fields.get(Field::Nano) {
            check(Field::Nano, nano)?;
        }
        self.resolve_day_period()?;
        if says_nanos && self.has_whole_time() {
            // Java asks the part of the day for consent only when the time is put together from less.
            self.fields.day_period = None;
        }
        Ok(())
    }

    /// Converts a clock that counts from one to `last` to one that counts from zero.
    fn resolve_clock(&mut self, clock: Field, hour: Field, last: i64) -> Result<(), ParseError> {
        let Some(value) = self.fields.remove(clock) else { return Ok(()) };
        if value != 0 {
            check(clock, value)?;
        }
        self.fields.agree(hour, if value == last { 0 } else { value })
    }

    fn has_whole_time(&self) -> bool {
        [Field::Hour, Field::Minute, Field::Second, Field::Nano].into_iter().all(|field| self.fields.has(field))
    }

    fn resolve_time_counts(&mut self) -> Result<(), ParseError> {
        if let Some(nanos) = self.fields.remove_checked(Field::NanoOfDay)? {
            self.agree_on_seconds(nanos / NANOS_PER_SECOND)?;
            self.fields.agree(Field::Nano, nanos % NANOS_PER_SECOND)?;
        }
        if let Some(millis) = self.fields.remove_checked(Field::MilliOfDay)? {
            self.agree_on_seconds(millis / 1_000)?;
            // The nanosecond may say more than the millisecond; it keeps what lies below.
            let below = self.fields.get(Field::Nano).map_or(0, |nano| nano % 1_000_000);
            self.fields.agree(Field::Nano, millis % 1_000 * 1_000_000 + below)?;
        }
        Ok(())
    }

    fn agree_on_seconds(&mut self, seconds: i64) -> Result<(), ParseError> {
        self.fields.agree(Field::Hour, seconds / 3_600)?;
        self.fields.agree(Field::Minute, seconds / 60 % 60)?;
        self.fields.agree(Field::Second, seconds % 60)
    }

    /// "8 in the evening": the part of the day determines the half of the day.
    fn resolve_day_period(&mut self) -> Result<(), ParseError> {
        let (Some(period), Some(_)) = (self.fields.day_period, self.fields.get(Field::HourOfAmPm)) else {
            return Ok(());
        };
        let hour = self.fields.remove_checked(Field::HourOfAmPm)?.unwrap_or(0);
        let minute = self.fields.get(Field::Minute).unwrap_or(0).rem_euclid(60);
        let later = if period.includes((hour % 12 + 12) * 60 + minute) { 12 } else { 0 };
        self.fields.day_period = None;
        self.fields.agree(Field::Hour, hour + later)
    }

    fn resolve_day_counts(&mut self) -> Result<(), ParseError> {
        let Some(day) = self.fields.remove(Field::ModifiedJulianDay) else { return Ok(()) };
        let days = check(Field::ModifiedJulianDay, day)? - MODIFIED_JULIAN_EPOCH;
        self.settle_date(days)
    }

    fn resolve_weeks(&mut self) -> Result<(), ParseError> {
        if let Some(local) = self.fields.remove_checked(Field::LocalWeekday)? {
            self.fields.put(Field::Weekday, (local + 5) % 7 + 1);
        }
        for field in [Field::WeekYear, Field::WeekOfWeekYear, Field::WeekOfMonth] {
            // Java keeps these as 32-bit numbers even where they decide nothing.
            if let Some(value) = self.fields.get(field).filter(|value| i32::try_from(*value).is_err()) {
                return Err(ParseError::OutOfRange { field: field.name(), value });
            }
        }
        let Some(weekday) = self.fields.get(Field::Weekday) else { return Ok(()) };
        let has = |field| self.fields.has(field);
        if has(Field::Year) {
            if has(Field::WeekOfMonth) && has(Field::Month) {
                return self.resolve_week_of_month(weekday);
            }
        } else if has(Field::WeekYear) && has(Field::WeekOfWeekYear) {
            return self.resolve_week_of_year(weekday);
        }
        Ok(())
    }

    fn resolve_week_of_month(&mut self, weekday: i64) -> Result<(), ParseError> {
        check(Field::Weekday, weekday)?;
        let year = self.fields.remove_checked(Field::Year)?.unwrap_or(0);
        let month = self.fields.remove_checked(Field::Month)?.unwrap_or(1);
        let week = self.fields.remove_checked(Field::WeekOfMonth)?.unwrap_or(1);
        self.fields.remove(Field::Weekday);
        let first = civil::week_start(Civil { year, month, day: 1 }.days());
        self.settle_date(first + (week - 1) * 7 + weekday % 7)
    }

    fn resolve_week_of_year(&mut self, weekday: i64) -> Result<(), ParseError> {
        check(Field::Weekday, weekday)?;
        let year = self.fields.remove_checked(Field::WeekYear)?.unwrap_or(0);
        let week = self.fields.remove_checked(Field::WeekOfWeekYear)?.unwrap_or(1);
        self.fields.remove(Field::Weekday);
        let first = civil::week_start(civil::year_start(year));
        self.settle_date(first + (week.min(civil::last_week(year)) - 1) * 7 + weekday % 7)
    }

    /// Hours without minutes are full hours; minutes without hours, and seconds without minutes, remain fields.
    fn resolve_whole_time(&mut self) -> Result<(), ParseError> {
        let parts = [Field::Hour, Field::Minute, Field::Second, Field::Nano].map(|field| self.fields.get(field));
        match parts {
            [None, None, None, None] => self.resolve_vague_time()?,
            [Some(_), None, Some(_), _] | [Some(_), None, _, Some(_)] | [Some(_), Some(_), None, Some(_)] => {
                // Java leaves a time with a hole as it is, unchecked.
                return Ok(());
            }
            [Some(hour), minute, second, nano] => {
                let rest = [minute, second, nano].map(|part| part.unwrap_or(0));
                self.settle_time(hour, rest)?;
            }
            _ => {}
        }
        for field in self.fields.fields().filter(|field| field.is_time()) {
            check(field, self.fields.get(field).unwrap_or(0))?;
        }
        Ok(())
    }

    /// Resolves a text with only a part or a half of the day to its middle.
    fn resolve_vague_time(&mut self) -> Result<(), ParseError> {
        if let Some(period) = self.fields.day_period.take() {
            self.nanos = Some(period.middle() * 60 * NANOS_PER_SECOND);
        } else if let Some(half) = self.fields.remove_checked(Field::AmPm)? {
            self.nanos = Some((half * 12 + 6) * 3_600 * NANOS_PER_SECOND);
        }
        Ok(())
    }

    fn settle_time(&mut self, hour: i64, [minute, second, nano]: [i64; 3]) -> Result<(), ParseError> {
        for field in [Field::Hour, Field::Minute, Field::Second, Field::Nano] {
            self.fields.remove(field);
        }
        let past_hour = (check(Field::Minute, minute)? * 60 + check(Field::Second, second)?) * NANOS_PER_SECOND
            + check(Field::Nano, nano)?;
        if hour == 24 && past_hour == 0 {
            self.excess_days = 1;
            self.nanos = Some(0);
            return Ok(());
        }
        self.nanos = Some(check(Field::Hour, hour)? * 3_600 * NANOS_PER_SECOND + past_hour);
        Ok(())
    }

    /// Checks that the other fields of the date are consistent with it.
    fn check_date(&mut self) -> Result<(), ParseError> {
        let Some(days) = self.days else { return Ok(()) };
        for field in self.fields.fields().filter(|field| field.is_date()) {
            let said = self.fields.remove(field);
            if said != date_part(days, field) {
                return Err(ParseError::Conflict);
            }
        }
        Ok(())
    }

    /// Checks that the other fields of the time are consistent with it.
    fn check_time(&mut self) -> Result<(), ParseError> {
        let Some(nanos) = self.nanos else { return Ok(()) };
        if self.fields.day_period.take().is_some_and(|period| !period.includes(nanos / (60 * NANOS_PER_SECOND))) {
            return Err(ParseError::Conflict);
        }
        for field in self.fields.fields().filter(|field| field.is_time()) {
            let said = self.fields.remove(field);
            if said != time_part(nanos, field) {
                return Err(ParseError::Conflict);
            }
        }
        Ok(())
    }
}

/// The value of a field on a date (days since 1970-01-01); none for fields of a time.
pub(super) fn date_part(days: i64, field: Field) -> Option<i64> {
    let date = Civil::from_days(days);
    Some(match field {
        Field::Era => i64::from(date.year > 0),
        Field::YearOfEra if date.year > 0 => date.year,
        Field::YearOfEra => 1 - date.year,
        Field::Year => date.year,
        Field::Quarter => (date.month + 2) / 3,
        Field::Month => date.month,
        Field::DayOfYear => date.day_of_year(),
        Field::DayOfMonth => date.day,
        Field::AlignedWeekday => (date.day - 1) % 7 + 1,
        Field::Weekday => civil::weekday(days),
        Field::LocalWeekday => civil::local_weekday(days),
        Field::ModifiedJulianDay => days + MODIFIED_JULIAN_EPOCH,
        Field::WeekYear => civil::week_of_year(days).0,
        Field::WeekOfWeekYear => civil::week_of_year(days).1,
        Field::WeekOfMonth => civil::week_of_month(days),
        _ => return None,
    })
}

/// The value of a field at a time (nanoseconds since midnight); none for fields of a date.
pub(super) fn time_part(nanos: i64, field: Field) -> Option<i64> {
    debug_assert!((0..NANOS_PER_DAY).contains(&nanos));
    let seconds = nanos / NANOS_PER_SECOND;
    let hour = seconds / 3_600;
    Some(match field {
        Field::AmPm => hour / 12,
        Field::Hour => hour,
        Field::ClockHour => (hour + 23) % 24 + 1,
        Field::HourOfAmPm => hour % 12,
        Field::ClockHourOfAmPm => (hour + 11) % 12 + 1,
        Field::Minute => seconds / 60 % 60,
        Field::Second => seconds % 60,
        Field::Nano => nanos % NANOS_PER_SECOND,
        Field::MilliOfDay => nanos / 1_000_000,
        Field::NanoOfDay => nanos,
        _ => return None,
    })
}
