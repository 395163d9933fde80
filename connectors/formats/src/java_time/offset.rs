//! Offsets from UTC in texts: `+02:00`, `Z`, `GMT+2`, and the offsets that open the name of a zone.

use super::error::ParseError;
use super::field::Field;
use super::item::{OffsetForm, Presence};
use super::parse::{MatchError, MatchResult, TextReader};
use super::zone::{Zone, push_two};

/// The form of an offset within the name of a zone.
const IN_ZONE: OffsetForm =
    OffsetForm { minutes: Presence::Always, seconds: Presence::NonZero, colon: true, zero: "Z" };

/// Reads an offset of the form.
pub(super) fn parse(reader: &mut TextReader<'_>, form: &OffsetForm, at: usize) -> MatchResult {
    let (offset_s, end) = match digits(reader, form, at)? {
        _ if reader.starts_with(at, form.zero) => (0, at + form.zero.len()),
        Some(found) => found,
        None => return Err(MatchError::Mismatch(at)),
    };
    reader.set(Field::OffsetSeconds, offset_s, at, end)
}

/// Reads the sign, hours, minutes and seconds; returns the offset and its end, or none if there is none.
fn digits(reader: &TextReader<'_>, form: &OffsetForm, at: usize) -> Result<Option<(i64, usize)>, MatchError> {
    let Some(sign) = sign(reader, at) else { return Ok(None) };
    let Some(hours) = two_digits(reader, at + 1) else { return Ok(None) };
    let mut end = at + 3;
    let (mut minutes, mut seconds) = (0, 0);
    for (presence, part) in [(form.minutes, &mut minutes), (form.seconds, &mut seconds)] {
        let start = end + usize::from(form.colon);
        let found = (!form.colon || reader.byte(end) == Some(b':')).then(|| two_digits(reader, start)).flatten();
        match (presence, found) {
            (Presence::NonZero | Presence::Always, Some(value)) => (*part, end) = (value, start + 2),
            (Presence::Always, None) => return Ok(None),
            _ => break,
        }
    }
    if hours > 23 {
        return Err(MatchError::Invalid(ParseError::OutOfRange { field: Field::OffsetSeconds.name(), value: hours }));
    }
    Ok(Some((sign * (hours * 3_600 + minutes * 60 + seconds), end)))
}

fn sign(reader: &TextReader<'_>, at: usize) -> Option<i64> {
    match reader.byte(at)? {
        b'+' => Some(1),
        b'-' => Some(-1),
        _ => None,
    }
}

/// Two digits below sixty.
fn two_digits(reader: &TextReader<'_>, at: usize) -> Option<i64> {
    Some(reader.digit(at)? * 10 + reader.digit(at + 1)?).filter(|value| *value < 60)
}

/// Reads `GMT`, `GMT+8`, `GMT+8:30`; when full, `GMT` or `GMT+08:30`.
pub(super) fn parse_gmt(reader: &mut TextReader<'_>, full: bool, at: usize) -> MatchResult {
    if !reader.starts_with(at, "GMT") {
        return Err(MatchError::Mismatch(at));
    }
    let Some(sign) = sign(reader, at + 3) else {
        return reader.set(Field::OffsetSeconds, 0, at, at + 3);
    };
    let (hours, after_hours) = gmt_hours(reader, full, at + 4).ok_or(MatchError::Mismatch(at))?;
    let minutes = gmt_part(reader, after_hours);
    if full && minutes.is_none() {
        return Err(MatchError::Mismatch(at));
    }
    let (minutes, after_minutes) = minutes.unwrap_or((0, after_hours));
    let seconds = if after_minutes > after_hours { gmt_part(reader, after_minutes) } else { None };
    let (seconds, end) = seconds.unwrap_or((0, after_minutes));
    reader.set(Field::OffsetSeconds, sign * (hours * 3_600 + minutes * 60 + seconds), at, end)
}

fn gmt_hours(reader: &TextReader<'_>, full: bool, at: usize) -> Option<(i64, usize)> {
    let first = reader.digit(at)?;
    match reader.digit(at + 1) {
        Some(second) => Some((first * 10 + second, at + 2)),
        None if full => None,
        None => Some((first, at + 1)),
    }
}

/// A colon and two digits; Java does not limit these here, but only the whole offset.
fn gmt_part(reader: &TextReader<'_>, at: usize) -> Option<(i64, usize)> {
    if reader.byte(at) != Some(b':') {
        return None;
    }
    Some((reader.digit(at + 1)? * 10 + reader.digit(at + 2)?, at + 3))
}

/// Reads a zone that is an offset, with or without the prefix `UTC`, `GMT` or `UT`; none if there is none.
pub(super) fn parse_zone(reader: &mut TextReader<'_>, at: usize) -> Option<MatchResult> {
    if sign(reader, at).is_some() {
        return Some(zone_offset(reader, "", at, at));
    }
    if reader.starts_with(at, "GMT0") {
        reader.parsed.zone = Some(Zone::from(chrono_tz::Tz::GMT0));
        return Some(Ok(at + 4));
    }
    let prefix = ["UTC", "GMT", "UT"].into_iter().find(|prefix| reader.starts_with(at, prefix))?;
    Some(zone_offset(reader, prefix, at, at + prefix.len()))
}

fn zone_offset(reader: &mut TextReader<'_>, prefix: &'static str, at: usize, digits_at: usize) -> MatchResult {
    let (offset_s, end) = match digits(reader, &IN_ZONE, digits_at) {
        Ok(Some(found)) => found,
        Ok(None) if !prefix.is_empty() => (0, digits_at),
        _ => return Err(MatchError::Mismatch(at)),
    };
    let zone = i32::try_from(offset_s).ok().and_then(|offset_s| Zone::fixed(prefix, offset_s));
    reader.parsed.zone = Some(zone.ok_or(MatchError::Mismatch(at))?);
    Ok(end)
}

/// Writes an offset (seconds east of UTC) in the form.
pub(super) fn write(offset_s: i32, form: &OffsetForm, out: &mut String) {
    let [hours, minutes, seconds] = parts(offset_s);
    let shows = |presence, value| match presence {
        Presence::Never => false,
        Presence::NonZero => value > 0,
        Presence::Always => true,
    };
    let with_minutes = shows(form.minutes, minutes);
    let with_seconds = with_minutes && shows(form.seconds, seconds);
    if hours == 0 && !(with_minutes && minutes > 0) && !(with_seconds && seconds > 0) {
        return out.push_str(form.zero);
    }
    out.push(if offset_s < 0 { '-' } else { '+' });
    push_two(hours, out);
    for value in [(with_minutes, minutes), (with_seconds, seconds)].iter().filter(|part| part.0).map(|part| part.1) {
        if form.colon {
            out.push(':');
        }
        push_two(value, out);
    }
}

/// Writes `GMT`, `GMT+8`, `GMT+8:30`; when full, `GMT` or `GMT+08:30`.
pub(super) fn write_gmt(offset_s: i32, full: bool, out: &mut String) {
    out.push_str("GMT");
    if offset_s == 0 {
        return;
    }
    let [hours, minutes, seconds] = parts(offset_s);
    out.push(if offset_s < 0 { '-' } else { '+' });
    if full || hours >= 10 {
        push_two(hours, out);
    } else {
        out.extend(char::from_digit(hours, 10));
    }
    if full || minutes != 0 || seconds != 0 {
        out.push(':');
        push_two(minutes, out);
    }
    if seconds != 0 {
        out.push(':');
        push_two(seconds, out);
    }
}

fn parts(offset_s: i32) -> [u32; 3] {
    let seconds = offset_s.unsigned_abs();
    [seconds / 3_600, seconds / 60 % 60, seconds % 60]
}
