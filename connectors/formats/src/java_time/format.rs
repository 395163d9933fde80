//! Formats a date, a time or an instant with the items of a pattern.

use std::fmt::Write;

use super::day_period::DayPeriod;
use super::error::FormatError;
use super::field::{Field, NANOS_PER_SECOND};
use super::item::{Item, Number, NumberKind, Sign, Style};
use super::resolve::{date_part, time_part};
use super::zone::Zone;
use super::zone_text::Call;
use super::{offset, text, zone_text};

/// The value to format; a part that it does not have cannot be written.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    /// Days since 1970-01-01.
    pub(super) days: Option<i64>,
    /// Nanoseconds since midnight.
    pub(super) nanos: Option<i64>,
    pub(super) zone: Option<ZoneMoment>,
}

/// A zone, the instant (seconds since 1970 UTC) and the offset of the zone at it.
#[derive(Clone, Copy)]
pub(super) struct ZoneMoment {
    pub(super) zone: Zone,
    pub(super) utc_s: i64,
    pub(super) offset_s: i32,
}

impl Moment {
    fn get(&self, field: Field) -> Result<i64, FormatError> {
        let part = if field == Field::OffsetSeconds {
            self.zone.map(|zone| i64::from(zone.offset_s))
        } else if field.is_time() {
            self.nanos.and_then(|nanos| time_part(nanos, field))
        } else {
            self.days.and_then(|days| date_part(days, field))
        };
        part.ok_or(FormatError::Unsupported { field: field.name() })
    }

    fn zone(&self) -> Result<ZoneMoment, FormatError> {
        self.zone.ok_or(FormatError::Unsupported { field: "time zone" })
    }
}

/// Writes the items. On an error, `out` may contain some of them.
pub(super) fn write(items: &[Item], moment: &Moment, out: &mut String) -> Result<(), FormatError> {
    items.iter().try_for_each(|item| write_item(item, moment, out))
}

fn write_item(item: &Item, moment: &Moment, out: &mut String) -> Result<(), FormatError> {
    match item {
        Item::Literal(literal) => out.push_str(literal),
        Item::Number(number) => write_number(number, moment.get(number.field)?, out)?,
        Item::Text { field, style } => write_name(*field, *style, moment, out)?,
        Item::DayPeriod(style) => {
            let minute = moment.get(Field::NanoOfDay)? / (60 * NANOS_PER_SECOND);
            out.push_str(DayPeriod::of(minute).text(*style));
        }
        Item::Offset(form) => offset::write(moment.zone()?.offset_s, form, out),
        Item::GmtOffset { full } => offset::write_gmt(moment.zone()?.offset_s, *full, out),
        Item::ZoneId => moment.zone()?.zone.write_id(out),
        Item::ZoneText { full, generic } => write_zone_text(Call { full: *full, generic: *generic }, moment, out)?,
        Item::Padded { width, item } => write_padded(*width, item, moment, out)?,
        Item::Optional(items) => return write_optional(items, moment, out),
    }
    Ok(())
}

/// An optional section is omitted if it needs a part that the value does not have.
fn write_optional(items: &[Item], moment: &Moment, out: &mut String) -> Result<(), FormatError> {
    let length = out.len();
    match write(items, moment, out) {
        Err(FormatError::Unsupported { .. }) => {
            out.truncate(length);
            Ok(())
        }
        done => done,
    }
}

fn write_padded(width: usize, item: &Item, moment: &Moment, out: &mut String) -> Result<(), FormatError> {
    let start = out.len();
    write_item(item, moment, out)?;
    let length = out[start..].chars().count();
    let Some(missing) = width.checked_sub(length) else {
        return Err(FormatError::Width { value: i64::try_from(length).unwrap_or(i64::MAX), width });
    };
    for _ in 0..missing {
        out.insert(start, ' ');
    }
    Ok(())
}

fn write_name(field: Field, style: Style, moment: &Moment, out: &mut String) -> Result<(), FormatError> {
    let value = moment.get(field)?;
    match text::name(field, style, value) {
        Some(name) => out.push_str(name),
        None => write_number(&Number::free(field), value, out)?,
    }
    Ok(())
}

fn write_zone_text(call: Call, moment: &Moment, out: &mut String) -> Result<(), FormatError> {
    let at = moment.zone()?;
    match zone_text::name_at(at.zone, at.utc_s, call) {
        Some(name) => out.push_str(name),
        None => at.zone.write_id(out),
    }
    Ok(())
}

fn write_number(number: &Number, value: i64, out: &mut String) -> Result<(), FormatError> {
    match number.kind {
        NumberKind::Plain => write_plain(number, value, out),
        NumberKind::TwoDigitYear => {
            push_digits(value.abs() % 100, 2, out);
            Ok(())
        }
        NumberKind::Fraction => {
            let dropped = u32::try_from(9_usize.saturating_sub(number.width_min)).unwrap_or(0);
            push_digits(value / 10_i64.pow(dropped), number.width_min, out);
            Ok(())
        }
    }
}

fn write_plain(number: &Number, value: i64, out: &mut String) -> Result<(), FormatError> {
    let digits = value.unsigned_abs().checked_ilog10().map_or(1, |log| log as usize + 1);
    if digits > number.width_max || (value < 0 && number.sign == Sign::Never) {
        return Err(FormatError::Width { value, width: number.width_max });
    }
    if value < 0 {
        out.push('-');
    } else if number.sign == Sign::MinusOrExceeding && digits > number.width_min {
        out.push('+');
    }
    push_digits(value.saturating_abs(), number.width_min, out);
    Ok(())
}

fn push_digits(value: i64, width: usize, out: &mut String) {
    write!(out, "{value:0width$}").expect("writing to a string does not fail");
}
