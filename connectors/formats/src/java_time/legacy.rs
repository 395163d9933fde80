//! Patterns of Java's older `SimpleDateFormat`, for reading dates as `PARSE_DATE` does.
//!
//! They are separate from [`Pattern`](super::Pattern) because hardly any rule is the same: blanks before a part are
//! skipped, names match in any case and length, numbers overflow into the next part (32 January is 1 February), and
//! text after the match is ignored.

use super::MS_PER_DAY;
use super::error::{ParseError, PatternError};
use super::legacy_calendar::{Calendar, Unit};
use super::text::MONTHS;
use super::zone::Zone;
use super::zone_text;

/// A pattern of Java's `SimpleDateFormat` with its lenient calendar, in English and UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyPattern {
    items: Vec<Item>,
    century_start_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Literal(char),
    Field { letter: char, count: usize },
}

const LETTERS: &str = "GyMdkHmsSEDFwWahKzZYuXL";
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl LegacyPattern {
    /// Compiles a pattern. Years of two digits are those from eighty years before `now_ms`
    /// (milliseconds since 1970 UTC) to twenty after it.
    ///
    /// # Errors
    /// A letter is unknown or a quote is not closed; the error says where.
    pub fn new(pattern: &str, now_ms: i64) -> Result<Self, PatternError> {
        Ok(Self { items: compile(pattern)?, century_start_ms: century_start(now_ms) })
    }

    /// Parses a date to days since 1970-01-01. Missing parts are taken from 1970-01-01.
    ///
    /// # Errors
    /// The beginning of the text does not match the pattern, or the text contains a time of day other than midnight
    /// UTC.
    pub fn parse_date(&self, text: &str) -> Result<i32, ParseError> {
        let ms = self.parse_timestamp_ms(text)?;
        if ms.rem_euclid(MS_PER_DAY) != 0 {
            return Err(ParseError::WrongKind { wanted: "date", found: "time" });
        }
        let days = ms.div_euclid(MS_PER_DAY);
        i32::try_from(days).map_err(|_| ParseError::OutOfRange { field: "year", value: days / 365 + 1_970 })
    }

    /// Parses an instant to milliseconds since 1970 UTC. Missing parts are taken from 1970-01-01T00:00 UTC.
    ///
    /// # Errors
    /// The beginning of the text does not match the pattern.
    pub fn parse_timestamp_ms(&self, text: &str) -> Result<i64, ParseError> {
        let mut reader =
            LenientReader { text, at: 0, calendar: Calendar::default(), century_start_ms: self.century_start_ms };
        for (index, item) in self.items.iter().enumerate() {
            match item {
                Item::Literal(literal) => reader.literal(*literal)?,
                Item::Field { letter, count } => {
                    let width = borders_on_number(self.items.get(index + 1)).then_some(*count);
                    reader.field(*letter, *count, width)?;
                }
            }
        }
        reader.settle()
    }
}

/// Whether the width of a number is limited to its letters, because another number follows directly.
fn borders_on_number(next: Option<&Item>) -> bool {
    match next {
        Some(Item::Field { letter: 'M' | 'L', count }) => *count <= 2,
        Some(Item::Field { letter, .. }) => !matches!(letter, 'G' | 'E' | 'a' | 'z' | 'Z' | 'X'),
        _ => false,
    }
}

/// Eighty years before now, to the millisecond.
fn century_start(now_ms: i64) -> i64 {
    let now = super::civil::Civil::from_days(now_ms.div_euclid(MS_PER_DAY));
    now.moved(now.year - 80, now.month).days() * MS_PER_DAY + now_ms.rem_euclid(MS_PER_DAY)
}

fn compile(pattern: &str) -> Result<Vec<Item>, PatternError> {
    let mut items = Vec::new();
    let mut quote = None;
    let mut rest = pattern.char_indices().peekable();
    while let Some((position, next)) = rest.next() {
        if next == '\'' {
            if rest.next_if(|(_, after)| *after == '\'').is_some() {
                items.push(Item::Literal('\''));
            } else {
                quote = if quote.is_some() { None } else { Some(position) };
            }
        } else if quote.is_some() || !next.is_ascii_alphabetic() {
            items.push(Item::Literal(next));
        } else if !LETTERS.contains(next) {
            return Err(PatternError::UnknownLetter { letter: next, position });
        } else {
            let mut count = 1;
            while rest.next_if(|(_, after)| *after == next).is_some() {
                count += 1;
            }
            if next == 'X' && count > 3 {
                return Err(PatternError::Count { letter: next, position, count });
            }
            items.push(Item::Field { letter: next, count });
        }
    }
    quote.map_or(Ok(items), |position| Err(PatternError::OpenQuote { position }))
}

struct LenientReader<'a> {
    text: &'a str,
    at: usize,
    calendar: Calendar,
    century_start_ms: i64,
}

impl LenientReader<'_> {
    fn mismatch(&self) -> ParseError {
        ParseError::Mismatch { position: self.at }
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    fn literal(&mut self, literal: char) -> Result<(), ParseError> {
        if !self.rest().starts_with(literal) {
            return Err(self.mismatch());
        }
        self.at += literal.len_utf8();
        Ok(())
    }

    /// Reads one field; `width` limits a number that is adjacent to another.
    fn field(&mut self, letter: char, count: usize, width: Option<usize>) -> Result<(), ParseError> {
        // The blanks count towards the width, and are skipped before numbers and zones only, as in Java.
        let end = width.map(|width| self.at + width);
        let is_name = matches!(letter, 'G' | 'E' | 'a') || (matches!(letter, 'M' | 'L') && count > 2);
        while !is_name && matches!(self.byte(self.at), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        if self.at == self.text.len() {
            return Err(self.mismatch());
        }
        match letter {
            'G' => self.name(&["BC", "AD", "Before Christ", "Anno Domini"]).map(|era| {
                self.calendar.set(Unit::Era, era % 2);
            }),
            'M' | 'L' if count > 2 => self.month_name(),
            'E' => self.weekday_name(),
            'a' => self.name(&["AM", "PM"]).map(|half| self.calendar.set(Unit::AmPm, half)),
            'z' | 'Z' => self.zone(),
            'X' => self.iso_zone(count),
            'y' | 'Y' => self.year(letter, count, end),
            _ => self.plain_number(letter, end),
        }
    }

    fn month_name(&mut self) -> Result<(), ParseError> {
        let month = self.long_or_short(&MONTHS)?;
        self.calendar.set(Unit::Month, month);
        Ok(())
    }

    fn weekday_name(&mut self) -> Result<(), ParseError> {
        let weekday = self.long_or_short(&WEEKDAYS)? + 1;
        self.calendar.set(Unit::Weekday, weekday);
        Ok(())
    }

    fn long_or_short(&mut self, names: &[&str]) -> Result<i64, ParseError> {
        let short: Vec<&str> = names.iter().map(|name| &name[..3]).collect();
        self.name(names).or_else(|_| self.name(&short))
    }

    /// The index of the longest name that the text goes on with, in any case.
    fn name(&mut self, names: &[&str]) -> Result<i64, ParseError> {
        let starts = |name: &str| self.rest().get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        let found = (0_i64..).zip(names).filter(|(_, name)| starts(name)).max_by_key(|(_, name)| name.len());
        let (index, name) = found.ok_or_else(|| self.mismatch())?;
        self.at += name.len();
        Ok(index)
    }

    fn number(&mut self, end: Option<usize>) -> Result<i64, ParseError> {
        let end = end.unwrap_or(self.text.len());
        let bytes = self.text.as_bytes().get(self.at..end).ok_or_else(|| self.mismatch())?;
        let negative = bytes.first() == Some(&b'-');
        let digits = &bytes[usize::from(negative)..];
        let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.mismatch());
        }
        let step = |value: i64, digit: &u8| value.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
        let value = digits[..count].iter().fold(0, step);
        self.at += count + usize::from(negative);
        // Java keeps the low 32 bits of a longer number; a date so far off is none.
        let value = i32::try_from(value).map_err(|_| ParseError::OutOfRange { field: "number", value })?;
        Ok(i64::from(if negative { -value } else { value }))
    }

    fn year(&mut self, letter: char, count: usize, end: Option<usize>) -> Result<(), ParseError> {
        let start = self.at;
        let mut year = self.number(end)?;
        let two_digits = self.text.as_bytes()[start..self.at].iter().all(u8::is_ascii_digit) && self.at - start == 2;
        if count <= 2 && two_digits {
            year = self.calendar.two_digit_year(year, self.century_start_ms);
        }
        self.calendar.set(if letter == 'y' { Unit::Year } else { Unit::WeekYear }, year);
        Ok(())
    }

    fn plain_number(&mut self, letter: char, end: Option<usize>) -> Result<(), ParseError> {
        let value = self.number(end)?;
        let (unit, value) = match letter {
            'M' | 'L' => (Unit::Month, value - 1),
            'd' => (Unit::DayOfMonth, value),
            'D' => (Unit::DayOfYear, value),
            'F' => (Unit::WeekdayInMonth, value),
            'w' => (Unit::WeekOfYear, value),
            'W' => (Unit::WeekOfMonth, value),
            'u' => (Unit::Weekday, calendar_weekday(value)),
            'k' => (Unit::Hour, if value == 24 { 0 } else { value }),
            'H' => (Unit::Hour, value),
            'h' => (Unit::HourOfAmPm, if value == 12 { 0 } else { value }),
            'K' => (Unit::HourOfAmPm, value),
            'm' => (Unit::Minute, value),
            's' => (Unit::Second, value),
            _ => (Unit::Millisecond, value),
        };
        self.calendar.set(unit, value);
        Ok(())
    }

    /// `GMT`, `GMT+h:mm`, `+hhmm` or the name of a zone.
    fn zone(&mut self) -> Result<(), ParseError> {
        if self.rest().get(..3).is_some_and(|start| start.eq_ignore_ascii_case("GMT")) {
            self.at += 3;
            if matches!(self.byte(self.at), Some(b'+' | b'-')) {
                return self.numeric_zone(2, true, false);
            }
            self.calendar.zone = Some(Zone::UTC);
            return Ok(());
        }
        if matches!(self.byte(self.at), Some(b'+' | b'-')) {
            return self.numeric_zone(2, false, true);
        }
        let short = zone_text::find(self.rest(), false, true);
        let full = zone_text::find(self.rest(), true, true);
        let (zone, length) = short.max_by_length(full).ok_or_else(|| self.mismatch())?;
        self.calendar.zone = Some(zone);
        self.at += length;
        Ok(())
    }

    /// `Z`, or as many digits as letters: `+hh`, `+hhmm`, `+hh:mm`.
    fn iso_zone(&mut self, count: usize) -> Result<(), ParseError> {
        if self.byte(self.at) == Some(b'Z') {
            self.at += 1;
            self.calendar.zone = Some(Zone::UTC);
            return Ok(());
        }
        if !matches!(self.byte(self.at), Some(b'+' | b'-')) {
            return Err(self.mismatch());
        }
        self.numeric_zone(count, count == 3, true)
    }

    /// A sign, hours of one or two digits (two when `padded`), and minutes unless `count` is 1.
    fn numeric_zone(&mut self, count: usize, colon: bool, padded: bool) -> Result<(), ParseError> {
        let start = self.at;
        let wrong = || ParseError::Mismatch { position: start };
        let sign = if self.byte(start) == Some(b'-') { -1 } else { 1 };
        self.at += 1;
        let hours = self.short_number(if padded { 2 } else { 1 }, 2).filter(|hours| *hours < 24).ok_or_else(wrong)?;
        let mut minutes = 0;
        if count != 1 {
            if colon && self.byte(self.at) != Some(b':') {
                return Err(wrong());
            }
            self.at += usize::from(colon);
            minutes = self.short_number(2, 2).filter(|minutes| *minutes < 60).ok_or_else(wrong)?;
        }
        let zone = Zone::any_offset(sign * (hours * 3_600 + minutes * 60));
        self.calendar.zone = Some(zone);
        Ok(())
    }

    fn short_number(&mut self, count_min: usize, count_max: usize) -> Option<i32> {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take(count_max).take_while(|byte| byte.is_ascii_digit()).count();
        let value = rest[..count].iter().fold(0, |value, digit| value * 10 + i32::from(digit - b'0'));
        self.at += count;
        (count >= count_min).then_some(value)
    }

    fn settle(self) -> Result<i64, ParseError> {
        self.calendar.settle(self.century_start_ms)
    }
}

/// The calendar's day of the week, from Sunday, of an ISO one. Numbers that are none stay, and overflow later.
fn calendar_weekday(iso: i64) -> i64 {
    match iso {
        1..=6 => iso + 1,
        7 => 1,
        other => other,
    }
}

/// The longer of two matches, the first when they are alike.
trait Longer {
    fn max_by_length(self, other: Self) -> Self;
}

impl Longer for Option<(Zone, usize)> {
    fn max_by_length(self, other: Self) -> Self {
        let length = |found: &Self| found.map_or(0, |(_, length)| length);
        if length(&other) > length(&self) { other } else { self }
    }
}
