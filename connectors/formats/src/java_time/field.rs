//! The calendar fields that pattern letters name, and the limits of each.
//!
//! It is separate from the patterns because parsing, resolving and formatting use fields, while only the compiler of
//! patterns uses letters.

/// A calendar field, numbered so that values can be stored in an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Field {
    Era,
    YearOfEra,
    Year,
    Quarter,
    Month,
    DayOfYear,
    DayOfMonth,
    AlignedWeekday,
    Weekday,
    AmPm,
    Hour,
    ClockHour,
    HourOfAmPm,
    ClockHourOfAmPm,
    Minute,
    Second,
    Nano,
    MilliOfDay,
    NanoOfDay,
    ModifiedJulianDay,
    WeekYear,
    WeekOfWeekYear,
    WeekOfMonth,
    LocalWeekday,
    OffsetSeconds,
}

/// The number of fields.
pub(super) const FIELDS: usize = Field::OffsetSeconds as usize + 1;

/// The largest year in Java's calendar, before or after zero.
pub(super) const YEAR_MAX: i64 = 999_999_999;
pub(super) const NANOS_PER_SECOND: i64 = 1_000_000_000;
pub(super) const NANOS_PER_DAY: i64 = 86_400 * NANOS_PER_SECOND;

impl Field {
    /// The smallest and the largest value of the field in any year.
    pub(super) fn range(self) -> (i64, i64) {
        match self {
            Self::Era | Self::AmPm => (0, 1),
            Self::YearOfEra => (1, YEAR_MAX + 1),
            Self::Year | Self::WeekYear => (-YEAR_MAX, YEAR_MAX),
            Self::Quarter => (1, 4),
            Self::Month => (1, 12),
            Self::DayOfYear => (1, 366),
            Self::DayOfMonth => (1, 31),
            Self::AlignedWeekday | Self::Weekday | Self::LocalWeekday => (1, 7),
            Self::Hour => (0, 23),
            Self::ClockHour => (1, 24),
            Self::HourOfAmPm => (0, 11),
            Self::ClockHourOfAmPm => (1, 12),
            Self::Minute | Self::Second => (0, 59),
            Self::Nano => (0, NANOS_PER_SECOND - 1),
            Self::MilliOfDay => (0, 86_399_999),
            Self::NanoOfDay => (0, NANOS_PER_DAY - 1),
            Self::ModifiedJulianDay => (-365_243_178_000, 365_243_178_000),
            Self::WeekOfWeekYear => (1, 53),
            Self::WeekOfMonth => (0, 6),
            Self::OffsetSeconds => (-64_800, 64_800),
        }
    }

    /// Whether the field belongs to a time of day.
    pub(super) fn is_time(self) -> bool {
        (Self::AmPm as u8..=Self::NanoOfDay as u8).contains(&(self as u8))
    }

    /// Whether the field belongs to a date. The offset from UTC belongs to neither.
    pub(super) fn is_date(self) -> bool {
        !self.is_time() && self != Self::OffsetSeconds
    }

    /// Whether the field is in `java.time.temporal.ChronoField`. Other fields are only used if a complete date is
    /// known.
    pub(super) fn is_chrono(self) -> bool {
        !matches!(
            self,
            Self::Quarter
                | Self::ModifiedJulianDay
                | Self::WeekYear
                | Self::WeekOfWeekYear
                | Self::WeekOfMonth
                | Self::LocalWeekday
        )
    }

    /// The name of the field in error messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Era => "era",
            Self::YearOfEra | Self::Year => "year",
            Self::Quarter => "quarter",
            Self::Month => "month",
            Self::DayOfYear => "day of year",
            Self::DayOfMonth => "day of month",
            Self::AlignedWeekday | Self::Weekday | Self::LocalWeekday => "day of week",
            Self::AmPm => "half of day",
            Self::Hour | Self::ClockHour => "hour",
            Self::HourOfAmPm | Self::ClockHourOfAmPm => "hour of half day",
            Self::Minute => "minute",
            Self::Second => "second",
            Self::Nano => "nanosecond",
            Self::MilliOfDay => "millisecond of day",
            Self::NanoOfDay => "nanosecond of day",
            Self::ModifiedJulianDay => "modified Julian day",
            Self::WeekYear => "week-based year",
            Self::WeekOfWeekYear => "week of year",
            Self::WeekOfMonth => "week of month",
            Self::OffsetSeconds => "offset from UTC",
        }
    }
}
