//! Days since 1970-01-01 and the calendar: years, months, days, weeks.
//!
//! It is plain arithmetic on `i64`, because Java's years reach a billion and chrono's only a quarter million.
//! Weeks are those of the United States, which ksqlDB's Java also uses when the locale is en_US:
//! they begin on Sunday and the first week of a year is the one that holds 1 January.

/// A date of the proleptic Gregorian calendar, which is always valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
}

const DAYS_PER_CYCLE: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_EPOCH: i64 = 719_468;

impl Civil {
    /// The date; none if the month or day does not exist in that year.
    pub(super) fn new(year: i64, month: i64, day: i64) -> Option<Self> {
        let exists = (1..=12).contains(&month) && (1..=month_days(year, month)).contains(&day);
        exists.then_some(Self { year, month, day })
    }

    /// The date this many days after 1970-01-01.
    pub(super) fn from_days(days: i64) -> Self {
        let shifted = days + DAYS_TO_EPOCH;
        let cycle = shifted.div_euclid(DAYS_PER_CYCLE);
        let day_of_cycle = shifted.rem_euclid(DAYS_PER_CYCLE);
        let year_of_cycle =
            (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
        // Years that begin in March put the leap day last, so months need no table.
        let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        Self { year: year_of_cycle + cycle * 400 + i64::from(month <= 2), month, day }
    }

    /// Days since 1970-01-01.
    pub(super) fn days(self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let cycle = year.div_euclid(400);
        let year_of_cycle = year.rem_euclid(400);
        let month_from_march = (self.month + 9) % 12;
        let day_of_year = (153 * month_from_march + 2) / 5 + self.day - 1;
        let day_of_cycle = year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year;
        cycle * DAYS_PER_CYCLE + day_of_cycle - DAYS_TO_EPOCH
    }

    /// 1 for the first of January.
    pub(super) fn day_of_year(self) -> i64 {
        self.days() - year_start(self.year) + 1
    }

    /// The same day in another month or year, or the last day of that month if it has fewer days.
    pub(super) fn moved(self, year: i64, month: i64) -> Self {
        Self { year, month, day: self.day.min(month_days(year, month)) }
    }
}

/// Whether the year has 366 days.
pub(super) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// The number of days in the year.
pub(super) fn year_days(year: i64) -> i64 {
    if is_leap(year) { 366 } else { 365 }
}

/// The number of days in the month (1 to 12).
pub(super) fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The first of January, in days since 1970-01-01.
pub(super) fn year_start(year: i64) -> i64 {
    Civil { year, month: 1, day: 1 }.days()
}

/// The ISO day of the week: 1 is Monday, 7 is Sunday.
pub(super) fn weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7) + 1
}

/// The American day of the week: 1 is Sunday, 7 is Saturday.
pub(super) fn local_weekday(days: i64) -> i64 {
    weekday(days) % 7 + 1
}

/// The week of the month; week 1 contains the first day.
pub(super) fn week_of_month(days: i64) -> i64 {
    let first_day = days - Civil::from_days(days).day + 1;
    (days - week_start(first_day)) / 7 + 1
}

/// The week-based year and the week in it; the first week of a year contains 1 January.
pub(super) fn week_of_year(days: i64) -> (i64, i64) {
    let year = Civil::from_days(days).year;
    let next = week_start(year_start(year + 1));
    if days >= next {
        return (year + 1, 1);
    }
    (year, (days - week_start(year_start(year))) / 7 + 1)
}

/// The last week that belongs to the week-based year.
pub(super) fn last_week(week_year: i64) -> i64 {
    (week_start(year_start(week_year + 1)) - week_start(year_start(week_year))) / 7
}

/// The Sunday on or before the day.
pub(super) fn week_start(days: i64) -> i64 {
    days - (local_weekday(days) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: days and dates are inverse, and follow one another. Method: every day of 1200 years.
    #[test]
    fn days_and_dates_are_inverse() {
        let (first, last) = (year_start(-400), year_start(2_800));
        let mut before = Civil::from_days(first - 1);
        for days in first..last {
            let date = Civil::from_days(days);
            assert_eq!(date.days(), days);
            assert_eq!(Civil::new(date.year, date.month, date.day), Some(date));
            let follows = (date.year, date.month, date.day) > (before.year, before.month, before.day);
            assert!(follows, "{date:?} after {before:?}");
            before = date;
        }
    }

    #[test]
    fn dates_of_known_days() {
        assert_eq!(Civil::from_days(0), Civil { year: 1970, month: 1, day: 1 });
        assert_eq!(Civil::from_days(17_662), Civil { year: 2018, month: 5, day: 11 });
        assert_eq!(weekday(17_662), 5);
        assert_eq!(week_of_year(Civil { year: 2018, month: 12, day: 30 }.days()), (2019, 1));
        assert_eq!(last_week(2_016), 53);
        assert_eq!(Civil::new(2019, 2, 29), None);
    }
}
