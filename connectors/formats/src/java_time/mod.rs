//! Dates and times by Java's patterns, on chrono's time zones.
//!
//! ksqlDB's `TIMESTAMP_FORMAT`, `FORMAT_…` and `PARSE_…` take patterns of Java's
//! `java.time.format.DateTimeFormatter`, and `PARSE_DATE` those of the older
//! `java.text.SimpleDateFormat`. A [`Pattern`] and a [`LegacyPattern`] are these, compiled once and used
//! for every record; [`iso`] holds the fixed forms that casts and comparisons use. Nothing here
//! knows SQL, records or the present time.
//!
//! ```
//! use headwater_formats::java_time::{Pattern, Zone};
//!
//! let pattern = Pattern::new("yyyy-MM-dd HH:mm:ss zzz")?;
//! let mut text = String::new();
//! pattern.format_timestamp_ms(1_526_075_913_000, Zone::of("America/Los_Angeles")?, &mut text)?;
//! assert_eq!(text, "2018-05-11 14:58:33 PDT");
//! assert_eq!(pattern.parse_timestamp_ms(&text, Zone::UTC)?, 1_526_075_913_000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where it differs from Java 17
//!
//! * Texts are American English and weeks begin on Sunday, whatever the locale of the machine.
//! * Digits are ASCII, and so is the comparison of zone names that ignores case.
//! * A number of nineteen digits that passes `i64` is a mismatch, where Java tries its first eighteen.
//! * Padding (`p`) and positions in errors count bytes of the text, where Java counts UTF-16 units.
//! * Zones come from another edition of the time zone database; see [`Zone`].
//! * Beyond ksqlDB: a time that the clocks of a zone skip or repeat is resolved on the whole date and time, not
//!   field by field, so no hour is lost on the way.

mod civil;
mod day_period;
mod defaults;
mod error;
mod field;
mod format;
pub mod iso;
mod item;
mod legacy;
mod legacy_calendar;
mod offset;
mod parse;
mod parsed;
mod pattern;
mod resolve;
mod text;
mod zone;
mod zone_names;
mod zone_text;

pub use error::{FormatError, ParseError, PatternError, ZoneError};
pub use legacy::LegacyPattern;
pub use zone::Zone;

use field::{Field, NANOS_PER_DAY, NANOS_PER_SECOND};
use format::{Moment, ZoneMoment};
use item::Item;
use resolve::{Resolved, resolve};

const MS_PER_DAY: i64 = 86_400_000;
const NANOS_PER_MS: i64 = 1_000_000;

/// A pattern of Java's `DateTimeFormatter`.
///
/// Building one parses the pattern; keep it and use it for all texts and values. Parsing allocates
/// nothing, formatting only what the output needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    items: Vec<Item>,
    ignore_case: bool,
}

impl Pattern {
    /// Compiles a pattern, by the rules of `DateTimeFormatter.ofPattern`.
    ///
    /// # Errors
    /// Java would refuse the pattern; the error names the letter and its position.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        Ok(Self { items: pattern::compile(pattern)?, ignore_case: false })
    }

    /// Makes the pattern ignore the case of letters in texts.
    #[must_use]
    pub fn ignoring_case(self) -> Self {
        Self { ignore_case: true, ..self }
    }

    /// Parses an instant to milliseconds since 1970 UTC. Missing parts are taken from 1970-01-01T00:00; the default
    /// for the zone is `default_zone`.
    ///
    /// # Errors
    /// The text does not match the whole pattern, or its value is invalid.
    pub fn parse_timestamp_ms(&self, text: &str, default_zone: impl Into<Zone>) -> Result<i64, ParseError> {
        let resolved = self.resolve(text)?;
        let (days, nanos) = defaults::complete(&resolved)?;
        let local_s = days * 86_400 + nanos / NANOS_PER_SECOND;
        let utc_s = match (resolved.offset_s()?, resolved.rest.zone) {
            (Some(offset_s), _) => local_s - offset_s,
            (None, zone) => zone.unwrap_or_else(|| default_zone.into()).utc_s_of_local(local_s),
        };
        let ms = utc_s.checked_mul(1_000).and_then(|ms| ms.checked_add(nanos % NANOS_PER_SECOND / NANOS_PER_MS));
        ms.ok_or(ParseError::OutOfRange { field: Field::Year.name(), value: days / 365 + 1_970 })
    }

    /// Parses a date to days since 1970-01-01. A time in the text is checked and dropped, as by `LocalDate.parse`.
    ///
    /// # Errors
    /// The text does not match the whole pattern, its value is invalid, or it does not contain a complete date that
    /// fits in 32 bits.
    pub fn parse_date(&self, text: &str) -> Result<i32, ParseError> {
        let resolved = self.resolve(text)?;
        let days = resolved.days.ok_or(ParseError::Incomplete { wanted: "date" })?;
        i32::try_from(days).map_err(|_| ParseError::OutOfRange { field: Field::Year.name(), value: days / 365 + 1_970 })
    }

    /// Parses a time of day to milliseconds since midnight, rounded down.
    ///
    /// # Errors
    /// The text does not match the whole pattern, its value is invalid, it does not contain a complete time (at least
    /// hours), or it contains parts of a date.
    pub fn parse_time_ms(&self, text: &str) -> Result<i32, ParseError> {
        let resolved = self.resolve(text)?;
        if resolved.days.is_some() || resolved.rest.fields().any(|field| field.is_date() && field.is_chrono()) {
            return Err(ParseError::WrongKind { wanted: "time", found: "date" });
        }
        let nanos = resolved.nanos.ok_or(ParseError::Incomplete { wanted: "time" })?;
        i32::try_from(nanos / NANOS_PER_MS).map_err(|_| ParseError::Incomplete { wanted: "time" })
    }

    fn resolve(&self, text: &str) -> Result<Resolved, ParseError> {
        let resolved = resolve(&parse::parse(&self.items, text, self.ignore_case)?)?;
        if resolved.is_whole() {
            resolved.offset_s()?;
        }
        Ok(resolved)
    }

    /// Appends an instant (milliseconds since 1970 UTC) as local time in a zone.
    ///
    /// # Errors
    /// The pattern has too little room for a number. `out` is left unchanged.
    pub fn format_timestamp_ms(&self, ms: i64, zone: impl Into<Zone>, out: &mut String) -> Result<(), FormatError> {
        let zone = zone.into();
        let utc_s = ms.div_euclid(1_000);
        let offset_s = zone.offset_s_at(utc_s);
        let local_s = utc_s + i64::from(offset_s);
        let nanos = local_s.rem_euclid(86_400) * NANOS_PER_SECOND + ms.rem_euclid(1_000) * NANOS_PER_MS;
        let moment = Moment {
            days: Some(local_s.div_euclid(86_400)),
            nanos: Some(nanos),
            zone: Some(ZoneMoment { zone, utc_s, offset_s }),
        };
        self.write(&moment, out)
    }

    /// Appends a date (days since 1970-01-01).
    ///
    /// # Errors
    /// The pattern contains a part of a time or a zone, or has too little room for a number. `out` is left unchanged.
    pub fn format_date(&self, days: i32, out: &mut String) -> Result<(), FormatError> {
        self.write(&Moment { days: Some(i64::from(days)), nanos: None, zone: None }, out)
    }

    /// Appends a time of day (milliseconds since midnight).
    ///
    /// # Errors
    /// The time is not within a day, or the pattern contains a part of a date or a zone, or has too little room for a
    /// number. `out` is left unchanged.
    pub fn format_time_ms(&self, ms: i32, out: &mut String) -> Result<(), FormatError> {
        let nanos = i64::from(ms) * NANOS_PER_MS;
        if !(0..NANOS_PER_DAY).contains(&nanos) {
            return Err(FormatError::Unsupported { field: "time outside of a day" });
        }
        self.write(&Moment { days: None, nanos: Some(nanos), zone: None }, out)
    }

    fn write(&self, moment: &Moment, out: &mut String) -> Result<(), FormatError> {
        let length = out.len();
        format::write(&self.items, moment, out).inspect_err(|_| out.truncate(length))
    }
}

impl Resolved {
    fn is_whole(&self) -> bool {
        self.days.is_some() && self.nanos.is_some()
    }

    /// The offset, in seconds east of UTC, that decides on the instant. Next to a zone it does so only for a
    /// whole date and time.
    fn offset_s(&self) -> Result<Option<i64>, ParseError> {
        if !self.is_whole() && self.rest.zone.is_some() {
            return Ok(None);
        }
        let offset_s = self.rest.get(Field::OffsetSeconds);
        offset_s.map(|offset_s| parsed::check(Field::OffsetSeconds, offset_s)).transpose()
    }
}

#[cfg(test)]
mod tests;
