//! English names of months, days, AM and PM, eras and quarters.

use super::field::Field;
use super::item::Style;

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const HALVES: [&str; 2] = ["AM", "PM"];
const ERAS_SHORT: [&str; 2] = ["BC", "AD"];
const ERAS_FULL: [&str; 2] = ["Before Christ", "Anno Domini"];
const QUARTERS_SHORT: [&str; 4] = ["Q1", "Q2", "Q3", "Q4"];
const QUARTERS_FULL: [&str; 4] = ["1st quarter", "2nd quarter", "3rd quarter", "4th quarter"];
const QUARTERS_NARROW: [&str; 4] = ["1", "2", "3", "4"];

/// The name of a field's value; none if the field has no such value or no names.
pub(super) fn name(field: Field, style: Style, value: i64) -> Option<&'static str> {
    let (names, length) = table(field, style)?;
    let index = usize::try_from(value - field.range().0).ok()?;
    names.get(index).map(|name| &name[..length.min(name.len())])
}

/// The value whose name the text starts with, and the length of that name in bytes.
///
/// If several names match, the longest wins; if several values share it, the last one.
pub(super) fn find(
    field: Field,
    style: Style,
    text: &str,
    starts: impl Fn(&str, &str) -> bool,
) -> Option<(i64, usize)> {
    let (names, length) = table(field, style)?;
    let first = field.range().0;
    (first..)
        .zip(names)
        .map(|(value, name)| (value, &name[..length.min(name.len())]))
        .filter(|(_, name)| starts(text, name))
        .max_by_key(|(_, name)| name.len())
        .map(|(value, name)| (value, name.len()))
}

/// The full names, and how many of their letters the style keeps.
fn table(field: Field, style: Style) -> Option<(&'static [&'static str], usize)> {
    let letters = match style {
        Style::Short => 3,
        Style::Full => usize::MAX,
        Style::Narrow => 1,
    };
    Some(match (field, style) {
        (Field::Month, _) => (&MONTHS, letters),
        (Field::Weekday, _) => (&WEEKDAYS, letters),
        (Field::AmPm, _) => (&HALVES, letters),
        (Field::Era, Style::Full) => (&ERAS_FULL, letters),
        (Field::Era, _) => (&ERAS_SHORT, letters),
        (Field::Quarter, Style::Short) => (&QUARTERS_SHORT, letters),
        (Field::Quarter, Style::Full) => (&QUARTERS_FULL, letters),
        (Field::Quarter, Style::Narrow) => (&QUARTERS_NARROW, letters),
        _ => return None,
    })
}
