//! The fixed ISO 8601 forms of ksqlDB's casts and comparisons, and their inverse.
//!
//! They are separate from [`Pattern`](super::Pattern) because parts may be missing at the end: `2020`, `2020-05`,
//! `2020-05-12T21`. A missing part is the first month, the first day, or midnight.
//!
//! ```
//! use headwater_formats::java_time::iso;
//! assert_eq!(iso::parse_partial_iso_timestamp_ms("1970-01-02T01+0100"), Ok(86_400_000));
//! ```

use std::fmt::Write;

use super::civil::Civil;
use super::error::ParseError;
use super::zone::{Zone, push_two};

const MS_PER_DAY: i64 = 86_400_000;
/// The most digits of a year with a sign: milliseconds fit in 64 bits by far.
const YEAR_DIGITS_MAX: usize = 6;

/// Milliseconds since 1970 UTC of `yyyy[-MM[-dd['T'HH[:mm[:ss[.S[S[S]]]]]]]]`. After a time an offset
/// may follow: `Z`, `±HH`, `±HHMM` or `±HH:MM`; without one the text is in UTC. A day past the end of
/// its month is the month's last and 24:00 the next midnight, as in ksqlDB.
///
/// # Errors
/// The text has another form, or is not a valid time.
pub fn parse_partial_iso_timestamp_ms(text: &str) -> Result<i64, ParseError> {
    let mut reader = IsoReader { text, at: 0 };
    let (year, month, day) = reader.partial_date()?;
    let mut local_ms = Civil { year, month, day }.moved(year, month).days() * MS_PER_DAY;
    let mut offset_s = 0;
    if reader.take(b'T') {
        local_ms += reader.partial_time()?;
        offset_s = reader.offset()?;
    }
    reader.end()?;
    Ok(local_ms - i64::from(offset_s) * 1_000)
}

/// Milliseconds since 1970 UTC of `yyyy-MM-dd'T'HH:mm[:ss[.S…]]` and an offset, as Java's `ISO_OFFSET_DATE_TIME`: `Z`,
/// `±HH`, `±HHMM`, `±HH:MM` or `±HH:MM:SS`. Up to nine digits of a second are read; those below the millisecond are
/// dropped, so that the result is the last millisecond before the time. Years of more than four digits have a sign.
///
/// # Errors
/// The text has another form, or is not a valid time.
pub fn parse_iso_instant_ms(text: &str) -> Result<i64, ParseError> {
    let mut reader = IsoReader { text, at: 0 };
    let date = reader.whole_date()?;
    reader.expect(b'T')?;
    let local_ms = date.days() * MS_PER_DAY + reader.whole_time()?;
    Ok(local_ms - reader.offset_ms()?)
}

/// Milliseconds since midnight UTC of `HH:mm[:ss[.S…]]` and an offset, as Java's `ISO_OFFSET_TIME`: see
/// [`parse_iso_instant_ms`].
///
/// # Errors
/// The text has another form, or is not a valid time.
pub fn parse_iso_offset_time_ms(text: &str) -> Result<i32, ParseError> {
    let mut reader = IsoReader { text, at: 0 };
    let local_ms = reader.whole_time()?;
    let ms = (local_ms - reader.offset_ms()?).rem_euclid(MS_PER_DAY);
    i32::try_from(ms).map_err(|_| ParseError::Incomplete { wanted: "time" })
}

/// Days since 1970-01-01 of `yyyy[-MM[-dd]]`.
///
/// # Errors
/// The text has another form or names a day that does not exist.
pub fn parse_partial_iso_date(text: &str) -> Result<i32, ParseError> {
    let mut reader = IsoReader { text, at: 0 };
    let (year, month, day) = reader.partial_date()?;
    reader.end()?;
    let date = Civil::new(year, month, day).ok_or(ParseError::OutOfRange { field: "day of month", value: day })?;
    i32::try_from(date.days()).map_err(|_| ParseError::OutOfRange { field: "year", value: year })
}

/// Milliseconds since midnight of `HH:mm[:ss[.S…]]`; digits below the millisecond, up to nine, are dropped.
///
/// # Errors
/// The text has another form or names a time that does not exist.
pub fn parse_iso_time_ms(text: &str) -> Result<i32, ParseError> {
    let mut reader = IsoReader { text, at: 0 };
    let ms = reader.whole_time()?;
    reader.end()?;
    i32::try_from(ms).map_err(|_| ParseError::Incomplete { wanted: "time" })
}

/// Appends an instant (milliseconds since 1970 UTC) as `yyyy-MM-dd'T'HH:mm:ss.SSS`.
pub fn format_iso_timestamp_ms(ms: i64, out: &mut String) {
    let days = ms.div_euclid(MS_PER_DAY);
    let date = Civil::from_days(days);
    // ksqlDB's pattern counts years of an era, so the year before 1 is 1 again.
    let year = if date.year > 0 { date.year } else { 1 - date.year };
    push_date(Civil { year, ..date }, out);
    out.push('T');
    let ms_of_day = ms.rem_euclid(MS_PER_DAY);
    push_clock(ms_of_day, out);
    push_fraction(ms_of_day, out);
}

/// Appends a date (days since 1970-01-01) as `yyyy-MM-dd`, with a sign when the year has not four digits.
pub fn format_iso_date(days: i32, out: &mut String) {
    push_date(Civil::from_days(i64::from(days)), out);
}

/// Appends a time of day (milliseconds since midnight) as `HH:mm`, `HH:mm:ss` or `HH:mm:ss.SSS`: the
/// shortest that says it all, as Java's `LocalTime.toString`. Other days are counted away.
pub fn format_iso_time_ms(ms: i32, out: &mut String) {
    let ms = i64::from(ms).rem_euclid(MS_PER_DAY);
    let start = out.len();
    push_clock(ms, out);
    if ms % 60_000 == 0 {
        out.truncate(start + "HH:mm".len());
    } else if ms % 1_000 != 0 {
        push_fraction(ms, out);
    }
}

fn push_date(date: Civil, out: &mut String) {
    if date.year > 9_999 {
        out.push('+');
    }
    let width = if date.year < 0 { 5 } else { 4 };
    write!(out, "{:0width$}", date.year).expect("writing to a string does not fail");
    for part in [date.month, date.day] {
        out.push('-');
        push_two(u32::try_from(part).unwrap_or(0), out);
    }
}

fn push_clock(ms_of_day: i64, out: &mut String) {
    let seconds = u32::try_from(ms_of_day / 1_000).unwrap_or(0);
    push_two(seconds / 3_600, out);
    out.push(':');
    push_two(seconds / 60 % 60, out);
    out.push(':');
    push_two(seconds % 60, out);
}

fn push_fraction(ms_of_day: i64, out: &mut String) {
    let ms = u32::try_from(ms_of_day % 1_000).unwrap_or(0);
    out.push('.');
    out.extend(char::from_digit(ms / 100, 10));
    push_two(ms % 100, out);
}

struct IsoReader<'a> {
    text: &'a str,
    at: usize,
}

impl IsoReader<'_> {
    fn mismatch(&self) -> ParseError {
        ParseError::Mismatch { position: self.at }
    }

    fn take(&mut self, wanted: u8) -> bool {
        let found = self.text.as_bytes().get(self.at) == Some(&wanted);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, wanted: u8) -> Result<(), ParseError> {
        if self.take(wanted) { Ok(()) } else { Err(self.mismatch()) }
    }

    fn end(&self) -> Result<(), ParseError> {
        if self.at == self.text.len() { Ok(()) } else { Err(ParseError::Trailing { position: self.at }) }
    }

    /// Reads as many digits as there are, up to a maximum.
    fn digits(&mut self, count_max: usize) -> (i64, usize) {
        let rest = &self.text.as_bytes()[self.at..];
        let digits = rest.iter().take(count_max).take_while(|byte| byte.is_ascii_digit());
        let (value, count) =
            digits.fold((0, 0), |(value, count), digit| (value * 10 + i64::from(digit - b'0'), count + 1));
        self.at += count;
        (value, count)
    }

    fn number(&mut self, count: usize, field: &'static str, min: i64, max: i64) -> Result<i64, ParseError> {
        let start = self.at;
        let (value, found) = self.digits(count);
        if found < count {
            return Err(ParseError::Mismatch { position: start });
        }
        if (min..=max).contains(&value) { Ok(value) } else { Err(ParseError::OutOfRange { field, value }) }
    }

    fn partial_date(&mut self) -> Result<(i64, i64, i64), ParseError> {
        let year = self.number(4, "year", 1, 9_999)?;
        if !self.take(b'-') {
            return Ok((year, 1, 1));
        }
        let month = self.number(2, "month", 1, 12)?;
        let day = if self.take(b'-') { self.number(2, "day of month", 1, 31)? } else { 1 };
        Ok((year, month, day))
    }

    /// `yyyy-MM-dd`, with a sign if the year has more than four digits or is before year 0.
    fn whole_date(&mut self) -> Result<Civil, ParseError> {
        let start = self.at;
        let is_negative = self.take(b'-');
        let digits_max = if is_negative || self.take(b'+') { YEAR_DIGITS_MAX } else { 4 };
        let (year, digits) = self.digits(digits_max);
        if digits < 4 {
            return Err(ParseError::Mismatch { position: start });
        }
        self.expect(b'-')?;
        let month = self.number(2, "month", 1, 12)?;
        self.expect(b'-')?;
        let day = self.number(2, "day of month", 1, 31)?;
        let date = Civil::new(if is_negative { -year } else { year }, month, day);
        date.ok_or(ParseError::OutOfRange { field: "day of month", value: day })
    }

    /// Milliseconds since midnight of `HH:mm[:ss[.S…]]`.
    fn whole_time(&mut self) -> Result<i64, ParseError> {
        let hour = self.number(2, "hour", 0, 23)?;
        self.expect(b':')?;
        let mut ms = hour * 3_600_000 + self.number(2, "minute", 0, 59)? * 60_000;
        if self.take(b':') {
            ms += self.number(2, "second", 0, 59)? * 1_000;
            if self.take(b'.') {
                ms += self.fraction_ms(9)?;
            }
        }
        Ok(ms)
    }

    /// Milliseconds since midnight of `HH[:mm[:ss[.S[S[S]]]]]`.
    fn partial_time(&mut self) -> Result<i64, ParseError> {
        let hour = self.number(2, "hour", 0, 24)?;
        let mut past_hour = 0;
        if self.take(b':') {
            past_hour += self.number(2, "minute", 0, 59)? * 60_000;
            if self.take(b':') {
                past_hour += self.number(2, "second", 0, 59)? * 1_000;
                if self.take(b'.') {
                    past_hour += self.fraction_ms(3)?;
                }
            }
        }
        if hour == 24 && past_hour > 0 {
            return Err(ParseError::OutOfRange { field: "hour", value: hour });
        }
        Ok(hour * 3_600_000 + past_hour)
    }

    fn fraction_ms(&mut self, count_max: usize) -> Result<i64, ParseError> {
        let (value, count) = self.digits(count_max);
        let scale = |exponent: usize| 10_i64.pow(u32::try_from(exponent).unwrap_or(0));
        match count {
            0 => Err(self.mismatch()),
            1..=3 => Ok(value * scale(3 - count)),
            _ => Ok(value / scale(count - 3)),
        }
    }

    /// Seconds east of UTC of the offset that ends the text; none is UTC.
    fn offset(&mut self) -> Result<i32, ParseError> {
        match self.at == self.text.len() {
            true => Ok(0),
            false => self.given_offset(&[3, 5, 6]),
        }
    }

    /// Milliseconds east of UTC of the offset that ends the text.
    fn offset_ms(&mut self) -> Result<i64, ParseError> {
        self.given_offset(&[3, 5, 6, 9]).map(|seconds| i64::from(seconds) * 1_000)
    }

    /// Seconds east of UTC of an offset, which has one of these lengths or is `Z`.
    fn given_offset(&mut self, lengths: &[usize]) -> Result<i32, ParseError> {
        // A text cut within a character is not an offset.
        let rest = self.text.get(self.at..).unwrap_or_default();
        let known = rest == "Z" || (lengths.contains(&rest.len()) && rest.starts_with(['+', '-']));
        let zone = if known { Zone::of(rest).ok() } else { None };
        let zone = zone.ok_or_else(|| self.mismatch())?;
        self.at = self.text.len();
        Ok(zone.offset_s_at(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    #[test]
    fn partial_timestamps() {
        let check = |text: &str, ms: i64| assert_eq!(parse_partial_iso_timestamp_ms(text), Ok(ms), "{text}");
        check("1970", 0);
        check("1971", 365 * DAY);
        check("1970-02", 31 * DAY);
        check("1970-01-02", DAY);
        check("1970-01-02T03", DAY + 10_800_000);
        check("1970-01-02T03:04", DAY + 11_040_000);
        check("1970-01-02T03:04:05", DAY + 11_045_000);
        check("1970-01-02T03:04:05.6", DAY + 11_045_600);
        check("1970-01-02T03:04:05.678Z", DAY + 11_045_678);
        check("2020-02-10T08:31:44.001+0000", 1_581_323_504_001);
        check("2019-01-01T00:00:00+0445", 1_546_300_800_000 - 17_100_000);
        check("1970-01-01T00:00-01:00", 3_600_000);
        check("1970-01-01T24:00", DAY);
        check("1970-02-31", 58 * DAY);
    }

    #[test]
    fn instants_have_an_offset() {
        for (text, ms) in [
            ("1970-01-02T03:04:05Z", DAY + 11_045_000),
            ("1970-01-02T03:04Z", DAY + 11_040_000),
            ("1970-01-02T03:04:05.678999999Z", DAY + 11_045_678),
            ("1969-12-31T23:59:59.9999Z", -1),
            ("1970-01-01T00:00:00+02:00", -7_200_000),
            ("1970-01-01T00:00:00-0130", 5_400_000),
            ("1970-01-01T00:00:00+00:19:32", -1_172_000),
            ("2024-02-29T10:11:12.123456Z", 1_709_201_472_123),
            ("+12345-01-01T00:00:00Z", 327_403_382_400_000),
            ("-0001-01-01T00:00:00Z", -62_198_755_200_000),
        ] {
            assert_eq!(parse_iso_instant_ms(text), Ok(ms), "{text}");
        }
        for bad in [
            "",
            "2024-02-29T10:11:12",
            "2024-02-29",
            "2023-02-29T10:11:12Z",
            "2024-02-29 10:11:12Z",
            "2024-02-29T24:00:00Z",
            "2024-02-29T10:11:60Z",
            "2024-02-29T10:11:12.Z",
            "2024-02-29T10:11:12+25:00",
            "2024-02-29T10:11:12Zé",
            "12345-01-01T00:00:00Z",
            "1709201472123",
        ] {
            assert!(parse_iso_instant_ms(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_with_an_offset_are_turned_to_utc() {
        for (text, ms) in [("10:11:12.123456Z", 36_672_123), ("01:00+02:00", 82_800_000), ("23:30:00-01:00", 1_800_000)]
        {
            assert_eq!(parse_iso_offset_time_ms(text), Ok(ms), "{text}");
        }
        for bad in ["", "10:11:12", "24:00Z", "10Z", "2024-02-29T10:11:12Z"] {
            assert!(parse_iso_offset_time_ms(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn texts_that_are_no_timestamps() {
        for bad in [
            "",
            "foo",
            "70",
            "2020-",
            "2020-5",
            "2020-13",
            "2020-00-01",
            "2020T10",
            "2020-05-12T",
            "2020-05-12T2",
            "2020-05-12T25",
            "2020-05-12T10:60",
            "2020-05-12T10:10:10.",
            "2020-05-12T10:10:10.1234",
            "2020-05-12Z",
            "2020-05-12T10+1",
            "2020-05-12T10+25:00",
            "2020-05-12 10:00",
            "2020-05-12T24:01",
            "２０２０",
            "2020-05-1é",
        ] {
            let refused = !matches!(bad, "2020T10") && parse_partial_iso_timestamp_ms(bad).is_ok();
            assert!(!refused, "{bad}");
        }
    }

    #[test]
    fn dates_and_times() {
        assert_eq!(parse_partial_iso_date("1970-01-10"), Ok(9));
        assert_eq!(parse_partial_iso_date("1970-01"), Ok(0));
        assert_eq!(parse_partial_iso_date("1969-12-31"), Ok(-1));
        assert!(parse_partial_iso_date("2019-02-29").is_err());
        assert!(parse_partial_iso_date("2019-02-20T").is_err());
        assert_eq!(parse_iso_time_ms("00:00:00.010"), Ok(10));
        assert_eq!(parse_iso_time_ms("00:00:01"), Ok(1_000));
        assert_eq!(parse_iso_time_ms("00:01"), Ok(60_000));
        assert_eq!(parse_iso_time_ms("23:59:59.999999999"), Ok(86_399_999));
        for bad in ["foo", "24:00", "1:00", "01", "01:00:", "01:00:00.", "01:00Z", "01:00:00.1234567890"] {
            assert!(parse_iso_time_ms(bad).is_err(), "{bad}");
        }
    }

    fn written(write: impl Fn(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn forms_that_are_written() {
        assert_eq!(written(|out| format_iso_timestamp_ms(10, out)), "1970-01-01T00:00:00.010");
        assert_eq!(written(|out| format_iso_timestamp_ms(-1, out)), "1969-12-31T23:59:59.999");
        assert_eq!(written(|out| format_iso_date(4, out)), "1970-01-05");
        assert_eq!(written(|out| format_iso_date(i32::MAX, out)), "+5881580-07-11");
        assert_eq!(written(|out| format_iso_time_ms(5_000, out)), "00:00:05");
        assert_eq!(written(|out| format_iso_time_ms(60_000, out)), "00:01");
        assert_eq!(written(|out| format_iso_time_ms(60_010, out)), "00:01:00.010");
    }

    /// Goal: what is written is read as the same. Method: steps through five thousand years.
    #[test]
    fn written_forms_are_read_back() {
        let mut ms = parse_partial_iso_timestamp_ms("0001").unwrap();
        while ms < 95_600_000_000_000 {
            let text = written(|out| format_iso_timestamp_ms(ms, out));
            assert_eq!(parse_partial_iso_timestamp_ms(&text), Ok(ms), "{text}");
            let days = i32::try_from(ms.div_euclid(DAY)).unwrap();
            assert_eq!(parse_partial_iso_date(&written(|out| format_iso_date(days, out))), Ok(days));
            let time = i32::try_from(ms.rem_euclid(DAY)).unwrap();
            assert_eq!(parse_iso_time_ms(&written(|out| format_iso_time_ms(time, out))), Ok(time));
            ms += 7_777_777_771;
        }
    }
}
