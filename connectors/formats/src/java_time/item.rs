//! A compiled pattern: a list of items, each of which can be parsed and formatted.
//!
//! It is plain data, which `pattern` builds, and `parse` and `format` interpret.

use super::field::Field;

/// One part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// Literal text.
    Literal(String),
    /// A number.
    Number(Number),
    /// A name, such as that of a month.
    Text { field: Field, style: Style },
    /// A part of the day, such as "in the morning".
    DayPeriod(Style),
    /// An offset from UTC in digits.
    Offset(OffsetForm),
    /// `GMT+8`, or `GMT+08:00` when full.
    GmtOffset { full: bool },
    /// The name of a zone, such as `Europe/Oslo`.
    ZoneId,
    /// The common name of a zone: `PST`, or `Pacific Standard Time` if full; `PT` if generic.
    ZoneText { full: bool, generic: bool },
    /// Another item, padded with blanks on the left to a width.
    Padded { width: usize, item: Box<Item> },
    /// An optional section.
    Optional(Vec<Item>),
}

/// The length of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Short,
    Full,
    Narrow,
}

/// A number and its width in digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) field: Field,
    pub(super) kind: NumberKind,
    pub(super) width_min: usize,
    pub(super) width_max: usize,
    pub(super) sign: Sign,
    /// The number of digits to leave for the numbers that directly follow.
    pub(super) reserved: usize,
}

/// The relation between the digits and the field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberKind {
    /// The digits are the value.
    Plain,
    /// Two digits of a year between 2000 and 2099.
    TwoDigitYear,
    /// The first digits of the fraction of a second.
    Fraction,
}

/// The rules for the sign of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// Never; a negative value cannot be written.
    Never,
    /// A minus for negative values.
    Minus,
    /// A minus for negative values, a plus for values that need more than the minimum width.
    MinusOrExceeding,
}

/// The form of an offset in digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OffsetForm {
    pub(super) minutes: Presence,
    pub(super) seconds: Presence,
    pub(super) colon: bool,
    /// The text for offset zero.
    pub(super) zero: &'static str,
}

/// Whether a part of an offset is present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Never,
    /// Left out when zero.
    NonZero,
    Always,
}

impl Number {
    /// A number of its own width, with a minus when negative.
    pub(super) fn free(field: Field) -> Self {
        Self { field, kind: NumberKind::Plain, width_min: 1, width_max: 19, sign: Sign::Minus, reserved: 0 }
    }

    /// A number between two widths, without a sign.
    pub(super) fn unsigned(field: Field, width_min: usize, width_max: usize) -> Self {
        Self { field, kind: NumberKind::Plain, width_min, width_max, sign: Sign::Never, reserved: 0 }
    }

    /// Whether it always takes the same number of digits.
    pub(super) fn is_fixed(&self) -> bool {
        self.width_min == self.width_max && self.sign == Sign::Never
    }
}
