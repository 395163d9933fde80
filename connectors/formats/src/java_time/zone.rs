//! Time zones as Java names them: regions, offsets, and offsets with a prefix such as `UTC+08:00`.
//!
//! It extends chrono-tz, because Java accepts other names than regions, and because in Java the rules of a region
//! apply forever, while chrono-tz only has transitions up to the year 2100.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone};
use chrono_tz::{OffsetComponents, Tz};

use super::civil::{Civil, is_leap, weekday, year_start};
use super::error::ZoneError;

/// A time zone: a region with its history, or a fixed offset from UTC.
///
/// The history is that of the time zone database in chrono-tz, which may be newer or older than the one in
/// a given Java. Rules that differ by year past 2100 (the Ramadan pauses of Gaza and Morocco) are guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Region(Tz),
    Fixed { prefix: &'static str, offset_s: i32 },
}

/// Offsets reach eighteen hours either side of UTC.
const OFFSET_S_MAX: i32 = 18 * 3_600;
const SECONDS_PER_DAY: i64 = 86_400;
/// The first year for which chrono-tz has no transitions, and the years that are used for it and later ones.
const UNWRITTEN_YEAR: i64 = 2_100;
const STAND_IN_YEARS: std::ops::Range<i64> = 2_072..2_100;
/// Long before any zone had rules, and well inside chrono's calendar.
const ANCIENT_S: i64 = -9_000 * 365 * SECONDS_PER_DAY;
/// Regions whose winter time is a negative daylight saving in the time zone database, where Java sees summer time.
const WINTER_SAVING: [Tz; 4] = [Tz::Europe__Dublin, Tz::Eire, Tz::Africa__Casablanca, Tz::Africa__El_Aaiun];

impl From<Tz> for Zone {
    fn from(region: Tz) -> Self {
        Self(Kind::Region(region))
    }
}

impl Zone {
    /// Coordinated universal time, `Z`.
    pub const UTC: Self = Self(Kind::Fixed { prefix: "", offset_s: 0 });

    /// The zone that Java's `ZoneId.of` finds: a region (`Europe/Oslo`), an offset (`+02:00`, `+0200`, `+2`, `Z`),
    /// or an offset with a prefix (`UTC+2`, `GMT-03:30`).
    ///
    /// # Errors
    /// The name has none of these forms.
    ///
    /// ```
    /// use headwater_formats::java_time::Zone;
    /// assert_eq!(Zone::of("UTC+2").unwrap().offset_s_at(0), 7_200);
    /// assert!(Zone::of("Middle/Earth").is_err());
    /// ```
    pub fn of(name: &str) -> Result<Self, ZoneError> {
        let zone = if name == "Z" || name.starts_with(['+', '-']) {
            parse_offset(name).and_then(|offset_s| Self::fixed("", offset_s))
        } else {
            prefixed(name).or_else(|| region(name).map(Self::from))
        };
        zone.ok_or_else(|| ZoneError { name: name.to_owned() })
    }

    /// The zone with a fixed offset; `prefix` is "", "UTC", "GMT" or "UT". None beyond eighteen hours.
    pub(super) fn fixed(prefix: &'static str, offset_s: i32) -> Option<Self> {
        (offset_s.abs() <= OFFSET_S_MAX).then_some(Self(Kind::Fixed { prefix, offset_s }))
    }

    /// The zone of one offset below a day; the older patterns go beyond eighteen hours.
    pub(super) fn any_offset(offset_s: i32) -> Self {
        Self(Kind::Fixed { prefix: "", offset_s })
    }

    /// The region, unless the zone is an offset other than that of `UTC` or `GMT`.
    pub(super) fn as_region(self) -> Option<Tz> {
        match self.0 {
            Kind::Region(region) => Some(region),
            Kind::Fixed { prefix, offset_s: 0 } => prefix.parse().ok(),
            Kind::Fixed { .. } => None,
        }
    }

    /// Seconds east of UTC at an instant, which is in seconds since 1970 UTC.
    pub fn offset_s_at(self, utc_s: i64) -> i32 {
        match self.0 {
            Kind::Fixed { offset_s, .. } => offset_s,
            Kind::Region(Tz::UTC) => 0,
            Kind::Region(region) => region.offset_from_utc_datetime(&naive(written(utc_s))).fix().local_minus_utc(),
        }
    }

    /// Whether the instant (seconds since 1970 UTC) falls in summer time.
    pub(super) fn is_summer_at(self, utc_s: i64) -> bool {
        let Kind::Region(region) = self.0 else { return false };
        let offset = region.offset_from_utc_datetime(&naive(written(utc_s)));
        let saving = offset.dst_offset();
        let is_east = offset.fix().local_minus_utc() > 0;
        saving > TimeDelta::zero() || (saving.is_zero() && is_east && WINTER_SAVING.contains(&region))
    }

    /// The instant (seconds since 1970 UTC) at which clocks in the zone show `local_s`.
    ///
    /// A time that clocks skip is moved forward by the length of the gap, a time that they show twice is the
    /// first of the two, as in `java.time.ZonedDateTime.ofLocal`.
    pub fn utc_s_of_local(self, local_s: i64) -> i64 {
        match self.0 {
            Kind::Fixed { offset_s, .. } => local_s - i64::from(offset_s),
            Kind::Region(Tz::UTC) => local_s,
            Kind::Region(region) => local_s - i64::from(self.local_offset_s(region, local_s)),
        }
    }

    fn local_offset_s(self, region: Tz, local_s: i64) -> i32 {
        match region.offset_from_local_datetime(&naive(written(local_s))) {
            MappedLocalTime::Single(offset) => offset.fix().local_minus_utc(),
            MappedLocalTime::Ambiguous(first, second) => {
                first.fix().local_minus_utc().max(second.fix().local_minus_utc())
            }
            MappedLocalTime::None => self.offset_s_at(local_s - SECONDS_PER_DAY),
        }
    }

    /// Writes the zone's name: `Europe/Oslo`, `Z`, `+02:00`, `UTC+02:00`.
    pub(super) fn write_id(self, out: &mut String) {
        match self.0 {
            Kind::Region(region) => out.push_str(region.name()),
            Kind::Fixed { prefix: "", offset_s: 0 } => out.push('Z'),
            Kind::Fixed { prefix, offset_s } => {
                out.push_str(prefix);
                if offset_s != 0 {
                    write_offset(offset_s, out);
                }
            }
        }
    }
}

/// The region with this name, unless Java does not have it.
pub(super) fn region(name: &str) -> Option<Tz> {
    // Java knows these four only as old short names, not as regions.
    if matches!(name, "EST" | "MST" | "HST" | "ROC") {
        return None;
    }
    name.parse().ok()
}

fn prefixed(name: &str) -> Option<Zone> {
    let (prefix, rest) =
        ["UTC", "GMT", "UT"].into_iter().find_map(|prefix| Some((prefix, name.strip_prefix(prefix)?)))?;
    if rest.is_empty() {
        return Zone::fixed(prefix, 0);
    }
    if !rest.starts_with(['+', '-']) {
        return None;
    }
    Zone::fixed(prefix, parse_offset(rest)?)
}

/// Seconds of an offset text: `Z`, `+h`, `+hh`, `+hh:mm`, `+hhmm`, `+hh:mm:ss`, `+hhmmss`.
fn parse_offset(text: &str) -> Option<i32> {
    if text == "Z" {
        return Some(0);
    }
    let negative = text.starts_with('-');
    let digits = text.get(1..)?;
    let pair = |at: usize| -> Option<i32> {
        let pair = digits.get(at..at + 2)?;
        if pair.bytes().all(|byte| byte.is_ascii_digit()) { pair.parse().ok() } else { None }
    };
    let colons = |at: &[usize]| at.iter().all(|&at| digits.as_bytes().get(at) == Some(&b':'));
    let (hours, minutes, seconds) = match digits.len() {
        1 => (i32::try_from(digits.chars().next()?.to_digit(10)?).ok()?, 0, 0),
        2 => (pair(0)?, 0, 0),
        4 => (pair(0)?, pair(2)?, 0),
        5 if colons(&[2]) => (pair(0)?, pair(3)?, 0),
        6 => (pair(0)?, pair(2)?, pair(4)?),
        8 if colons(&[2, 5]) => (pair(0)?, pair(3)?, pair(6)?),
        _ => return None,
    };
    let offset_s = hours * 3_600 + minutes * 60 + seconds;
    let valid = minutes < 60 && seconds < 60 && offset_s <= OFFSET_S_MAX;
    valid.then_some(if negative { -offset_s } else { offset_s })
}

fn write_offset(offset_s: i32, out: &mut String) {
    out.push(if offset_s < 0 { '-' } else { '+' });
    let seconds = offset_s.unsigned_abs();
    push_two(seconds / 3_600, out);
    out.push(':');
    push_two(seconds / 60 % 60, out);
    if !seconds.is_multiple_of(60) {
        out.push(':');
        push_two(seconds % 60, out);
    }
}

/// Writes a number below one hundred with two digits.
pub(super) fn push_two(value: u32, out: &mut String) {
    for digit in [value / 10, value % 10] {
        out.push(char::from_digit(digit, 10).unwrap_or('?'));
    }
}

fn naive(seconds: i64) -> NaiveDateTime {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default().naive_utc()
}

/// A second with the same offset for which chrono-tz has transitions. After 2100 the rules repeat, so a year of the
/// same length that begins on the same day of the week is used; before any rules, all moments are equivalent.
fn written(seconds: i64) -> i64 {
    if seconds < ANCIENT_S {
        return ANCIENT_S;
    }
    let days = seconds.div_euclid(SECONDS_PER_DAY);
    if days < year_start(UNWRITTEN_YEAR) {
        return seconds;
    }
    let year = Civil::from_days(days).year;
    let start = year_start(year);
    let alike =
        |candidate: &i64| is_leap(*candidate) == is_leap(year) && weekday(year_start(*candidate)) == weekday(start);
    let stand_in = STAND_IN_YEARS.clone().find(alike).unwrap_or(STAND_IN_YEARS.start);
    seconds - (start - year_start(stand_in)) * SECONDS_PER_DAY
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> String {
        let mut out = String::new();
        Zone::of(name).unwrap().write_id(&mut out);
        out
    }

    #[test]
    fn names_that_java_takes() {
        assert_eq!(id("Europe/Oslo"), "Europe/Oslo");
        assert_eq!(id("+0130"), "+01:30");
        assert_eq!(id("-3"), "-03:00");
        assert_eq!(id("UTC+8"), "UTC+08:00");
        assert_eq!(id("GMT+00:00"), "GMT");
        assert_eq!(id("Z"), "Z");
        for bad in ["", "EST", "+19", "+1:00", "+01:60", "UTC+", "UTC8", "europe/oslo", "+é", "+18:00:01"] {
            assert!(Zone::of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn gaps_move_forward_and_overlaps_take_the_first() {
        let zone = Zone::from(Tz::America__Los_Angeles);
        let day = |year, month, day| Civil { year, month, day }.days() * SECONDS_PER_DAY;
        let skipped = day(2023, 3, 12) + 9_000;
        assert_eq!(zone.utc_s_of_local(skipped), skipped + 8 * 3_600);
        let twice = day(2023, 11, 5) + 5_400;
        assert_eq!(zone.utc_s_of_local(twice), twice + 7 * 3_600);
    }

    #[test]
    fn rules_go_on_after_the_written_transitions() {
        let zone = Zone::from(Tz::America__Los_Angeles);
        let summer = Civil { year: 2_301, month: 7, day: 1 }.days() * SECONDS_PER_DAY;
        assert_eq!(zone.offset_s_at(summer), -7 * 3_600);
        let winter = Civil { year: 99_999_999, month: 1, day: 1 }.days() * SECONDS_PER_DAY;
        assert_eq!(zone.offset_s_at(winter), -8 * 3_600);
        assert_eq!(zone.offset_s_at(i64::MIN / 2_000), -28_378);
    }
}
