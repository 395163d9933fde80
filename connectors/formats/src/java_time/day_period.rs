//! Parts of the day in English: "in the morning", "noon", "at night".

use super::item::Style;

/// A part of the day, as a range of minutes since midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DayPeriod(usize);

struct Row {
    text: &'static str,
    narrow: &'static str,
    from: i64,
    to: i64,
}

const fn row(text: &'static str, narrow: &'static str, from_hour: i64, to_hour: i64) -> Row {
    Row { text, narrow, from: from_hour * 60, to: to_hour * 60 }
}

/// Single moments come first: exactly midnight is "midnight", not "at night".
const ROWS: [Row; 8] = [
    row("midnight", "mi", 0, 0),
    row("noon", "n", 12, 12),
    row("in the morning", "in the morning", 6, 12),
    row("in the afternoon", "in the afternoon", 12, 18),
    row("in the evening", "in the evening", 18, 21),
    row("at night", "at night", 21, 6),
    row("AM", "a", 0, 12),
    row("PM", "p", 12, 24),
];
/// AM and PM are parsed but never written.
const WRITTEN: usize = 6;

impl DayPeriod {
    /// The part of the day that contains a minute (since midnight).
    pub(super) fn of(minute: i64) -> Self {
        Self((0..WRITTEN).find(|index| Self(*index).includes(minute)).unwrap_or(WRITTEN - 1))
    }

    /// All parts that a text may name.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..ROWS.len()).map(Self)
    }

    pub(super) fn text(self, style: Style) -> &'static str {
        if style == Style::Narrow { ROWS[self.0].narrow } else { ROWS[self.0].text }
    }

    pub(super) fn includes(self, minute: i64) -> bool {
        let Row { from, to, .. } = ROWS[self.0];
        if from == to {
            return minute == from;
        }
        if from < to { (from..to).contains(&minute) } else { minute >= from || minute < to }
    }

    /// The minute in the middle.
    pub(super) fn middle(self) -> i64 {
        let Row { from, to, .. } = ROWS[self.0];
        let length = (to - from).rem_euclid(1_440);
        (from + length / 2) % 1_440
    }
}
