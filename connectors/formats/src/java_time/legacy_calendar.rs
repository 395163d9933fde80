//! The lenient calendar of `SimpleDateFormat`, which computes an instant from the parts of a date.
//!
//! If parts contradict each other, the one that was set last wins.
//! Days before 15 October 1582 are Julian.

use super::MS_PER_DAY;
use super::civil::{Civil, local_weekday, month_days};
use super::error::ParseError;
use super::zone::Zone;

/// A part of a date or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Unit {
    Era,
    Year,
    WeekYear,
    /// From zero.
    Month,
    DayOfMonth,
    DayOfYear,
    WeekdayInMonth,
    WeekOfYear,
    WeekOfMonth,
    /// From one, which is Sunday.
    Weekday,
    AmPm,
    Hour,
    HourOfAmPm,
    Minute,
    Second,
    Millisecond,
}

const UNITS: usize = Unit::Millisecond as usize + 1;
/// 1582-10-15, in days since 1970-01-01.
const GREGORIAN_START: i64 = -141_427;
const GREGORIAN_START_YEAR: i64 = 1_582;
const SUNDAY: i64 = 1;

/// The parts, and the order in which they were set; zero means never.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Calendar {
    values: [i64; UNITS],
    stamps: [u32; UNITS],
    last_stamp: u32,
    /// The zone that the text names; UTC when none.
    pub(super) zone: Option<Zone>,
    two_digit_year: Option<i64>,
}

impl Calendar {
    pub(super) fn set(&mut self, unit: Unit, value: i64) {
        self.last_stamp += 1;
        self.values[unit as usize] = value;
        self.stamps[unit as usize] = self.last_stamp;
    }

    /// The year with these last two digits, in the hundred years from `century_start_ms` on.
    pub(super) fn two_digit_year(&mut self, digits: i64, century_start_ms: i64) -> i64 {
        let start = Civil::from_days(century_start_ms.div_euclid(MS_PER_DAY)).year;
        // In the first of the hundred years it depends on the day, so `settle` looks again.
        self.two_digit_year = (digits == start % 100).then_some(digits);
        start / 100 * 100 + digits + if digits < start % 100 { 100 } else { 0 }
    }

    /// The instant of the parts, in milliseconds since 1970 UTC.
    pub(super) fn settle(&self, century_start_ms: i64) -> Result<i64, ParseError> {
        let ms = self.instant_ms()?;
        if self.two_digit_year.is_some() && ms < century_start_ms {
            let mut later = *self;
            later.values[Unit::Year as usize] += 100;
            later.values[Unit::WeekYear as usize] += 100;
            return later.instant_ms();
        }
        Ok(ms)
    }

    fn instant_ms(&self) -> Result<i64, ParseError> {
        let far = ParseError::OutOfRange { field: "year", value: self.value(Unit::Year) };
        let local_ms = self.days() * MS_PER_DAY + self.ms_of_day();
        let local_s = local_ms.div_euclid(1_000);
        let utc_s = self.zone.unwrap_or(Zone::UTC).utc_s_of_local(local_s);
        utc_s.checked_mul(1_000).map(|ms| ms + local_ms.rem_euclid(1_000)).ok_or(far)
    }

    fn value(&self, unit: Unit) -> i64 {
        self.values[unit as usize]
    }

    fn stamp(&self, unit: Unit) -> u32 {
        self.stamps[unit as usize]
    }

    /// The order of a pair: that of the part that was set later.
    fn both(&self, first: Unit, second: Unit) -> u32 {
        let (first, second) = (self.stamp(first), self.stamp(second));
        if first == 0 || second == 0 { 0 } else { first.max(second) }
    }

    fn or(&self, unit: Unit, default: i64) -> i64 {
        if self.stamp(unit) > 0 { self.value(unit) } else { default }
    }

    /// Milliseconds since midnight; may reach into other days.
    fn ms_of_day(&self) -> i64 {
        let half_day = self.both(Unit::HourOfAmPm, Unit::AmPm);
        let half_day = match half_day.max(self.stamp(Unit::Hour)) {
            0 => self.stamp(Unit::HourOfAmPm).max(self.stamp(Unit::AmPm)),
            _ => half_day,
        };
        let hour = if self.stamp(Unit::Hour) >= half_day {
            self.value(Unit::Hour)
        } else {
            self.value(Unit::HourOfAmPm) + 12 * self.value(Unit::AmPm)
        };
        ((hour * 60 + self.value(Unit::Minute)) * 60 + self.value(Unit::Second)) * 1_000 + self.value(Unit::Millisecond)
    }

    fn days(&self) -> i64 {
        if self.stamp(Unit::WeekYear) > self.stamp(Unit::Year) {
            let (week, weekday) = self.week_and_weekday();
            let year = self.year_of(self.value(Unit::WeekYear));
            let first = by_calendar(year, |style| on_or_before(style.month_start(year, 0), SUNDAY));
            return first + (week - 1) * 7 + weekday - SUNDAY;
        }
        let year = self.year_of(self.or(Unit::Year, 1_970));
        by_calendar(year, |style| self.days_in(year, style))
    }

    fn year_of(&self, year_of_era: i64) -> i64 {
        if self.or(Unit::Era, 1) == 0 { 1 - year_of_era } else { year_of_era }
    }

    /// The week of a week-based year and the day in it; an ISO day that is none reaches into other weeks.
    fn week_and_weekday(&self) -> (i64, i64) {
        let week = self.or(Unit::WeekOfYear, 1);
        let weekday = self.or(Unit::Weekday, SUNDAY);
        if (1..=7).contains(&weekday) {
            return (week, weekday);
        }
        let iso = (weekday - 1).rem_euclid(7) + 1;
        (week + (weekday - 1).div_euclid(7), iso % 7 + 1)
    }

    fn days_in(&self, year: i64, style: Style) -> i64 {
        match self.decisive() {
            Decisive::DayOfYear => style.month_start(year, 0) + self.value(Unit::DayOfYear) - 1,
            Decisive::WeekOfYear => self.in_week(style.month_start(year, 0), self.value(Unit::WeekOfYear)),
            by_month => {
                let start = style.month_start(year, self.value(Unit::Month));
                match by_month {
                    Decisive::DayOfMonth => start + self.or(Unit::DayOfMonth, 1) - 1,
                    Decisive::WeekOfMonth => self.in_week(start, self.value(Unit::WeekOfMonth)),
                    _ => self.weekday_in_month(start, style, year),
                }
            }
        }
    }

    /// The weekday (Sunday when none was set) in a week counted from the one that holds `start`.
    fn in_week(&self, start: i64, week: i64) -> i64 {
        let sunday = on_or_before(start, SUNDAY);
        let day =
            if self.stamp(Unit::Weekday) > 0 { on_or_before(sunday + 6, self.value(Unit::Weekday)) } else { sunday };
        day + (week - 1) * 7
    }

    /// The n-th such weekday of a month; negative counts from its end.
    fn weekday_in_month(&self, start: i64, style: Style, year: i64) -> i64 {
        let weekday = self.or(Unit::Weekday, SUNDAY);
        let nth = self.or(Unit::WeekdayInMonth, 1);
        if nth >= 0 {
            return on_or_before(start + 7 * nth - 1, weekday);
        }
        let length = style.month_start(year, self.value(Unit::Month) + 1) - start;
        on_or_before(start + length + 7 * (nth + 1) - 1, weekday)
    }

    /// Which parts decide on the day: those set last among the complete ones, else among the others.
    fn decisive(&self) -> Decisive {
        use Unit::{DayOfMonth, DayOfYear, Month, WeekOfMonth, WeekOfYear, Weekday, WeekdayInMonth};
        let complete = [
            (Decisive::DayOfMonth, self.stamp(DayOfMonth)),
            (Decisive::WeekOfMonth, self.both(WeekOfMonth, Weekday)),
            (Decisive::WeekdayInMonth, self.both(WeekdayInMonth, Weekday)),
            (Decisive::DayOfYear, self.stamp(DayOfYear)),
            (Decisive::WeekOfYear, self.both(WeekOfYear, Weekday)),
        ];
        let partial = [
            (Decisive::WeekOfMonth, self.stamp(WeekOfMonth)),
            (Decisive::WeekdayInMonth, self.stamp(WeekdayInMonth).max(self.stamp(Weekday))),
            (Decisive::WeekOfYear, self.stamp(WeekOfYear)),
            (Decisive::DayOfMonth, self.stamp(Month).min(1)),
        ];
        let best = last_set(&complete).or_else(|| last_set(&partial)).unwrap_or(Decisive::DayOfMonth);
        self.week_rule(best)
    }

    /// Where a weekday came last, the week that was set later says which kind of week it is in.
    fn week_rule(&self, best: Decisive) -> Decisive {
        let weeks = [
            (Decisive::WeekOfMonth, self.stamp(Unit::WeekOfMonth)),
            (Decisive::WeekdayInMonth, self.stamp(Unit::WeekdayInMonth)),
            (Decisive::WeekOfYear, self.stamp(Unit::WeekOfYear)),
        ];
        match best {
            Decisive::DayOfMonth | Decisive::DayOfYear => best,
            _ => last_set(&weeks).unwrap_or(best),
        }
    }
}

#[derive(Clone, Copy)]
enum Decisive {
    DayOfMonth,
    WeekOfMonth,
    WeekdayInMonth,
    DayOfYear,
    WeekOfYear,
}

/// Days by the calendar of the year: Julian before 1582, Gregorian after it, and within it whichever holds.
fn by_calendar(year: i64, days: impl Fn(Style) -> i64) -> i64 {
    let gregorian = days(Style::Gregorian);
    if year > GREGORIAN_START_YEAR || (year == GREGORIAN_START_YEAR && gregorian >= GREGORIAN_START) {
        return gregorian;
    }
    // A day that the change of calendars left out is counted on in the Julian one.
    days(Style::Julian)
}

/// The one set last; the first of those set together.
fn last_set(stamps: &[(Decisive, u32)]) -> Option<Decisive> {
    let last = stamps.iter().map(|(_, stamp)| *stamp).max().filter(|stamp| *stamp > 0)?;
    stamps.iter().find(|(_, stamp)| *stamp == last).map(|(decisive, _)| *decisive)
}

/// The last such weekday (1 is Sunday) no later than the day.
fn on_or_before(days: i64, weekday: i64) -> i64 {
    days - (local_weekday(days) - weekday).rem_euclid(7)
}

#[derive(Clone, Copy)]
enum Style {
    Gregorian,
    Julian,
}

impl Style {
    /// The first of a month counted from zero, which may reach into other years.
    fn month_start(self, year: i64, month: i64) -> i64 {
        let (year, month) = (year + month.div_euclid(12), month.rem_euclid(12) + 1);
        match self {
            Self::Gregorian => Civil { year, month, day: 1 }.days(),
            Self::Julian => {
                // Day 1 of the Julian year 1 is 3 January of the year before the Gregorian one.
                let years = year - 1;
                let year_start = -719_164 + years * 365 + years.div_euclid(4);
                let leap = if year.rem_euclid(4) == 0 { 4 } else { 1 };
                year_start + (1..month).map(|month| month_days(leap, month)).sum::<i64>()
            }
        }
    }
}
