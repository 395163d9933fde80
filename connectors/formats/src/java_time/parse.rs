//! Matches a text against the items of a pattern and collects the values of fields.

use super::day_period::DayPeriod;
use super::error::ParseError;
use super::field::Field;
use super::item::{Item, Number, NumberKind, Sign, Style};
use super::parsed::Parsed;
use super::{offset, text, zone_text};

/// The reason why an item does not match.
pub(super) enum MatchError {
    /// The text does not match the pattern at this position; an optional section can be skipped.
    Mismatch(usize),
    /// The text matches but its value is invalid; nothing can be skipped.
    Invalid(ParseError),
}

/// The end of the item in the text, in bytes.
pub(super) type MatchResult = Result<usize, MatchError>;

/// Matches the whole text against the items.
pub(super) fn parse(items: &[Item], text: &str, ignore_case: bool) -> Result<Parsed, ParseError> {
    let mut reader = TextReader { text, ignore_case, parsed: Parsed::new() };
    match reader.items(items, 0) {
        Ok(end) if end == text.len() => Ok(reader.parsed),
        Ok(position) => Err(ParseError::Trailing { position }),
        Err(MatchError::Mismatch(position)) => Err(ParseError::Mismatch { position }),
        Err(MatchError::Invalid(error)) => Err(error),
    }
}

/// A text, and the values parsed from it so far.
pub(super) struct TextReader<'a> {
    pub(super) text: &'a str,
    pub(super) ignore_case: bool,
    pub(super) parsed: Parsed,
}

impl<'a> TextReader<'a> {
    fn items(&mut self, items: &[Item], mut at: usize) -> MatchResult {
        for item in items {
            at = self.item(item, at)?;
        }
        Ok(at)
    }

    fn item(&mut self, item: &Item, at: usize) -> MatchResult {
        match item {
            Item::Literal(literal) => self.literal(literal, at),
            Item::Number(number) => self.number(number, at),
            Item::Text { field, style } => self.name(*field, *style, at),
            Item::DayPeriod(style) => self.day_period(*style, at),
            Item::Offset(form) => offset::parse(self, form, at),
            Item::GmtOffset { full } => offset::parse_gmt(self, *full, at),
            Item::ZoneId => self.zone(at, zone_text::find_region),
            Item::ZoneText { full, .. } => self.zone(at, |text, ignore_case| zone_text::find(text, *full, ignore_case)),
            Item::Padded { width, item } => self.padded(*width, item, at),
            Item::Optional(items) => self.optional(items, at),
        }
    }

    fn optional(&mut self, items: &[Item], at: usize) -> MatchResult {
        let before = self.parsed;
        match self.items(items, at) {
            Err(MatchError::Mismatch(_)) => {
                self.parsed = before;
                Ok(at)
            }
            step => step,
        }
    }

    /// The text from a position on; empty if the position is not a character boundary.
    pub(super) fn rest(&self, at: usize) -> &'a str {
        self.text.get(at..).unwrap_or("")
    }

    pub(super) fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    pub(super) fn digit(&self, at: usize) -> Option<i64> {
        self.byte(at).filter(u8::is_ascii_digit).map(|digit| i64::from(digit - b'0'))
    }

    /// Sets a field; a value that contradicts an earlier one is a mismatch at the start of the item.
    pub(super) fn set(&mut self, field: Field, value: i64, start: usize, end: usize) -> MatchResult {
        self.parsed.agree(field, value).map_err(|_| MatchError::Mismatch(start))?;
        Ok(end)
    }

    pub(super) fn starts_with(&self, at: usize, start: &str) -> bool {
        starts(self.rest(at), start, self.ignore_case).is_some()
    }

    fn literal(&self, literal: &str, at: usize) -> MatchResult {
        starts(self.rest(at), literal, self.ignore_case).map(|length| at + length).ok_or(MatchError::Mismatch(at))
    }

    fn name(&mut self, field: Field, style: Style, at: usize) -> MatchResult {
        let ignore_case = self.ignore_case;
        let found = text::find(field, style, self.rest(at), |text, name| starts(text, name, ignore_case).is_some());
        let (value, length) = found.ok_or(MatchError::Mismatch(at))?;
        self.set(field, value, at, at + length)
    }

    fn day_period(&mut self, style: Style, at: usize) -> MatchResult {
        let found = DayPeriod::all()
            .filter(|period| self.starts_with(at, period.text(style)))
            .max_by_key(|period| period.text(style).len());
        let period = found.ok_or(MatchError::Mismatch(at))?;
        self.parsed.day_period = Some(period);
        Ok(at + period.text(style).len())
    }

    fn zone(&mut self, at: usize, find: impl Fn(&str, bool) -> Option<(super::Zone, usize)>) -> MatchResult {
        if let Some(step) = offset::parse_zone(self, at) {
            return step;
        }
        if let Some((zone, length)) = find(self.rest(at), self.ignore_case) {
            self.parsed.zone = Some(zone);
            return Ok(at + length);
        }
        if self.starts_with(at, "Z") {
            self.parsed.zone = Some(super::Zone::UTC);
            return Ok(at + 1);
        }
        Err(MatchError::Mismatch(at))
    }

    fn padded(&mut self, width: usize, item: &Item, at: usize) -> MatchResult {
        let end = at + width;
        let Some(window) = self.text.get(..end).filter(|_| at < self.text.len()) else {
            return Err(MatchError::Mismatch(at));
        };
        let blanks = window[at..].bytes().take_while(|byte| *byte == b' ').count();
        let whole = std::mem::replace(&mut self.text, window);
        let step = self.item(item, at + blanks);
        self.text = whole;
        match step {
            Ok(reached) if reached != end => Err(MatchError::Mismatch(at + blanks)),
            step => step,
        }
    }

    fn number(&mut self, number: &Number, at: usize) -> MatchResult {
        let sign = self.sign(number, at)?;
        let start = at + usize::from(sign != Signed::None);
        let digits = self.digit_count(number, start).ok_or(MatchError::Mismatch(start))?;
        let end = start + digits;
        // Nineteen digits may pass the largest number; no field's value is that long.
        let value: i64 = self.text[start..end].parse().map_err(|_| MatchError::Mismatch(at))?;
        let value = match sign {
            Signed::Minus if value == 0 => return Err(MatchError::Mismatch(at)),
            Signed::Minus => -value,
            Signed::Plus if digits <= number.width_min => return Err(MatchError::Mismatch(at)),
            Signed::None if number.sign == Sign::MinusOrExceeding && digits > number.width_min => {
                return Err(MatchError::Mismatch(start));
            }
            _ => value,
        };
        self.set(number.field, scaled(number, value, digits), start, end)
    }

    fn sign(&self, number: &Number, at: usize) -> Result<Signed, MatchError> {
        match (self.byte(at), number.sign) {
            (Some(b'-'), Sign::Minus | Sign::MinusOrExceeding) => Ok(Signed::Minus),
            (Some(b'+'), Sign::MinusOrExceeding) => Ok(Signed::Plus),
            (Some(b'+' | b'-'), _) => Err(MatchError::Mismatch(at)),
            _ => Ok(Signed::None),
        }
    }

    /// The number of digits of a number: as many as possible, minus those that the numbers after it need.
    fn digit_count(&self, number: &Number, start: usize) -> Option<usize> {
        let room = number.width_max + number.reserved;
        let run = self.text.as_bytes()[start..].iter().take(room).take_while(|byte| byte.is_ascii_digit()).count();
        let own = if number.reserved == 0 { run } else { number.width_min.max(run.saturating_sub(number.reserved)) };
        (run >= number.width_min).then_some(own.min(run))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Signed {
    None,
    Plus,
    Minus,
}

fn scaled(number: &Number, value: i64, digits: usize) -> i64 {
    match number.kind {
        NumberKind::Plain => value,
        NumberKind::TwoDigitYear => 2_000 + value,
        NumberKind::Fraction => (digits..9).fold(value, |value, _| value * 10),
    }
}

/// The number of bytes of the prefix, if the text starts with it.
fn starts(text: &str, start: &str, ignore_case: bool) -> Option<usize> {
    if !ignore_case {
        return text.starts_with(start).then_some(start.len());
    }
    let mut rest = text.chars();
    for wanted in start.chars() {
        let found = rest.next()?;
        if found != wanted && !found.to_lowercase().eq(wanted.to_lowercase()) {
            return None;
        }
    }
    Some(text.len() - rest.as_str().len())
}
