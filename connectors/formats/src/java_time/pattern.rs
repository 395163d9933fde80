//! Compiles the text of a pattern to a list of items, by the rules of `DateTimeFormatter.ofPattern`.
//!
//! Adjacent numbers share their digits: the first one without a fixed width leaves room for the fixed ones after it
//! (`yyyyMMdd`), which is computed here, once for each pattern.

use super::error::PatternError;
use super::field::Field;
use super::item::{Item, Number, NumberKind, OffsetForm, Presence, Sign, Style};

/// The items of a pattern.
pub(super) fn compile(pattern: &str) -> Result<Vec<Item>, PatternError> {
    let mut compiler = Compiler { pattern, at: 0, open: Vec::new(), current: Section::default(), pad: None };
    while let Some(next) = compiler.peek() {
        compiler.take(next)?;
    }
    while compiler.close_section() {}
    Ok(compiler.current.items)
}

#[derive(Default)]
struct Section {
    items: Vec<Item>,
    /// The number that leaves digits for fixed numbers directly after it.
    yielding: Option<usize>,
}

struct Compiler<'a> {
    pattern: &'a str,
    at: usize,
    open: Vec<Section>,
    current: Section,
    pad: Option<usize>,
}

/// A sequence of the same letter.
#[derive(Clone, Copy)]
struct Run {
    letter: char,
    position: usize,
    count: usize,
}

impl Run {
    fn miscounted(self) -> PatternError {
        PatternError::Count { letter: self.letter, position: self.position, count: self.count }
    }

    /// Fails if the sequence is longer than `max`.
    fn at_most(self, max: usize) -> Result<(), PatternError> {
        if self.count > max { Err(self.miscounted()) } else { Ok(()) }
    }
}

impl Compiler<'_> {
    fn peek(&self) -> Option<char> {
        self.pattern[self.at..].chars().next()
    }

    fn take(&mut self, next: char) -> Result<(), PatternError> {
        let position = self.at;
        if next.is_ascii_alphabetic() {
            return self.take_letters();
        }
        self.at += next.len_utf8();
        match next {
            '\'' => self.take_quoted(position)?,
            '[' => self.open.push(std::mem::take(&mut self.current)),
            ']' if !self.close_section() => return Err(PatternError::UnopenedOption { position }),
            ']' => {}
            '{' | '}' | '#' => return Err(PatternError::Reserved { character: next, position }),
            literal => self.push_literal(literal.encode_utf8(&mut [0; 4])),
        }
        Ok(())
    }

    fn take_run(&mut self) -> Option<Run> {
        let letter = self.peek().filter(char::is_ascii_alphabetic)?;
        let position = self.at;
        let count = self.pattern[position..].chars().take_while(|next| *next == letter).count();
        self.at += count;
        Some(Run { letter, position, count })
    }

    fn take_letters(&mut self) -> Result<(), PatternError> {
        let Some(run) = self.take_run() else { return Ok(()) };
        if run.letter != 'p' {
            return self.push_run(run);
        }
        let padded = self.take_run().ok_or(PatternError::Pad { position: run.position })?;
        self.pad = Some(run.count);
        self.current.yielding = None;
        self.push_run(padded)
    }

    fn take_quoted(&mut self, position: usize) -> Result<(), PatternError> {
        let mut text = String::new();
        loop {
            let next = self.peek().ok_or(PatternError::OpenQuote { position })?;
            self.at += next.len_utf8();
            if next != '\'' {
                text.push(next);
            } else if self.peek() == Some('\'') {
                self.at += 1;
                text.push('\'');
            } else {
                break;
            }
        }
        self.push_literal(if text.is_empty() { "'" } else { &text });
        Ok(())
    }

    fn push_literal(&mut self, text: &str) {
        if let Some(Item::Literal(before)) = self.current.items.last_mut() {
            before.push_str(text);
        } else {
            self.push(Item::Literal(text.to_owned()));
        }
    }

    fn close_section(&mut self) -> bool {
        let Some(outer) = self.open.pop() else { return false };
        let inner = std::mem::replace(&mut self.current, outer);
        self.current.yielding = None;
        if !inner.items.is_empty() {
            self.push(Item::Optional(inner.items));
        }
        true
    }

    fn push(&mut self, item: Item) {
        let item = match self.pad.take() {
            Some(width) => Item::Padded { width, item: Box::new(item) },
            None => item,
        };
        self.current.items.push(item);
        self.current.yielding = None;
    }

    /// Adds a number, and reserves its digits in the number before it.
    fn push_number(&mut self, run: Run, number: Number) -> Result<(), PatternError> {
        let yielding = self.current.yielding;
        self.push(Item::Number(number));
        self.current.yielding = Some(self.current.items.len() - 1);
        let Some(before) = yielding else { return Ok(()) };
        let Some(Item::Number(base)) = self.current.items.get_mut(before) else {
            return Err(PatternError::PaddedRun { position: run.position });
        };
        if number.is_fixed() {
            base.reserved += number.width_max;
            self.current.yielding = Some(before);
        } else {
            // Two numbers of no fixed width: the second yields from here on, the first takes all it can, as in Java.
            base.reserved = 0;
        }
        Ok(())
    }

    fn push_run(&mut self, run: Run) -> Result<(), PatternError> {
        if let Some(number) = number(run)? {
            return self.push_number(run, number);
        }
        let item = match run.letter {
            'X' | 'x' => Item::Offset(iso_offset(run)?),
            'Z' => local_offset(run)?,
            _ => name(run)?,
        };
        self.push(item);
        Ok(())
    }
}

/// The number that the letters denote; none if they denote a name.
fn number(run: Run) -> Result<Option<Number>, PatternError> {
    use Field::{
        AlignedWeekday, ClockHour, ClockHourOfAmPm, DayOfMonth, DayOfYear, Hour, HourOfAmPm, MilliOfDay, Minute,
        ModifiedJulianDay, Nano, NanoOfDay, Second, WeekOfMonth, WeekOfWeekYear, WeekYear, Year, YearOfEra,
    };
    let number = match run.letter {
        'u' => year(run, Year)?,
        'y' => year(run, YearOfEra)?,
        'Y' => year(run, WeekYear)?,
        'M' | 'L' | 'Q' | 'q' | 'e' | 'c' => return name_number(run),
        'd' => short(run, DayOfMonth)?,
        'h' => short(run, ClockHourOfAmPm)?,
        'H' => short(run, Hour)?,
        'k' => short(run, ClockHour)?,
        'K' => short(run, HourOfAmPm)?,
        'm' => short(run, Minute)?,
        's' => short(run, Second)?,
        'F' => run.at_most(1).map(|()| Number::free(AlignedWeekday))?,
        'D' if run.count == 1 => Number::free(DayOfYear),
        'D' => run.at_most(3).map(|()| Number::unsigned(DayOfYear, run.count, 3))?,
        'W' => run.at_most(1).map(|()| Number::unsigned(WeekOfMonth, 1, 1))?,
        'w' => run.at_most(2).map(|()| Number::unsigned(WeekOfWeekYear, run.count, 2))?,
        'g' => run.at_most(19).map(|()| Number { width_min: run.count, ..Number::free(ModifiedJulianDay) })?,
        'A' => run.at_most(19).map(|()| Number::unsigned(MilliOfDay, run.count, 19))?,
        'n' => run.at_most(19).map(|()| Number::unsigned(Nano, run.count, 19))?,
        'N' => run.at_most(19).map(|()| Number::unsigned(NanoOfDay, run.count, 19))?,
        'S' => {
            run.at_most(9)?;
            Number { kind: NumberKind::Fraction, ..Number::unsigned(Nano, run.count, run.count) }
        }
        _ => return Ok(None),
    };
    Ok(Some(number))
}

fn year(run: Run, field: Field) -> Result<Number, PatternError> {
    run.at_most(19)?;
    Ok(match run.count {
        2 => Number { kind: NumberKind::TwoDigitYear, ..Number::unsigned(field, 2, 2) },
        1 | 3 => Number { width_min: run.count, ..Number::free(field) },
        _ => Number { width_min: run.count, sign: Sign::MinusOrExceeding, ..Number::free(field) },
    })
}

/// One letter for a number of any width, two letters for two digits.
fn short(run: Run, field: Field) -> Result<Number, PatternError> {
    run.at_most(2)?;
    Ok(if run.count == 1 { Number::free(field) } else { Number::unsigned(field, 2, 2) })
}

/// Fields that are numbers in one or two letters and names in more.
fn name_number(run: Run) -> Result<Option<Number>, PatternError> {
    match run.letter {
        _ if run.count > 2 => Ok(None),
        'c' if run.count == 2 => Err(run.miscounted()),
        'e' | 'c' => Ok(Some(Number::unsigned(Field::LocalWeekday, run.count, run.count))),
        'M' | 'L' => short(run, Field::Month).map(Some),
        _ => short(run, Field::Quarter).map(Some),
    }
}

fn name(run: Run) -> Result<Item, PatternError> {
    let text = |field| style(run).map(|style| Item::Text { field, style });
    match run.letter {
        'G' => text(Field::Era),
        'M' | 'L' => text(Field::Month),
        'Q' | 'q' => text(Field::Quarter),
        'E' | 'e' | 'c' => text(Field::Weekday),
        'a' => run.at_most(1).map(|()| Item::Text { field: Field::AmPm, style: Style::Short }),
        'B' if matches!(run.count, 1 | 4 | 5) => style(run).map(Item::DayPeriod),
        'O' if matches!(run.count, 1 | 4) => Ok(Item::GmtOffset { full: run.count == 4 }),
        'V' if run.count == 2 => Ok(Item::ZoneId),
        'z' => run.at_most(4).map(|()| Item::ZoneText { full: run.count == 4, generic: false }),
        'v' if matches!(run.count, 1 | 4) => Ok(Item::ZoneText { full: run.count == 4, generic: true }),
        'B' | 'O' | 'V' | 'v' => Err(run.miscounted()),
        letter => Err(PatternError::UnknownLetter { letter, position: run.position }),
    }
}

fn style(run: Run) -> Result<Style, PatternError> {
    match run.count {
        1..=3 => Ok(Style::Short),
        4 => Ok(Style::Full),
        5 => Ok(Style::Narrow),
        _ => Err(run.miscounted()),
    }
}

fn iso_offset(run: Run) -> Result<OffsetForm, PatternError> {
    use Presence::{Always, Never, NonZero};
    let (minutes, seconds, colon, zero) = match run.count {
        1 => (NonZero, Never, false, "+00"),
        2 => (Always, Never, false, "+0000"),
        3 => (Always, Never, true, "+00:00"),
        4 => (Always, NonZero, false, "+0000"),
        5 => (Always, NonZero, true, "+00:00"),
        _ => return Err(run.miscounted()),
    };
    Ok(OffsetForm { minutes, seconds, colon, zero: if run.letter == 'X' { "Z" } else { zero } })
}

fn local_offset(run: Run) -> Result<Item, PatternError> {
    use Presence::{Always, Never, NonZero};
    match run.count {
        1..=3 => Ok(Item::Offset(OffsetForm { minutes: Always, seconds: Never, colon: false, zero: "+0000" })),
        4 => Ok(Item::GmtOffset { full: true }),
        5 => Ok(Item::Offset(OffsetForm { minutes: Always, seconds: NonZero, colon: true, zero: "Z" })),
        _ => Err(run.miscounted()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_numbers_share_digits() {
        let items = compile("yyyyMMddHHmmssSSS").unwrap();
        let reserved = |item: &Item| if let Item::Number(number) = item { number.reserved } else { 0 };
        assert_eq!(reserved(&items[0]), 13);
        assert!(items[1..].iter().all(|item| reserved(item) == 0));
    }

    #[test]
    fn literals_and_options() {
        let items = compile("yyyy'o''clock'[-[M]").unwrap();
        assert_eq!(items[1], Item::Literal("o'clock".into()));
        let Item::Optional(inner) = &items[2] else { panic!("{items:?}") };
        assert_eq!(inner[0], Item::Literal("-".into()));
        assert_eq!(compile("''").unwrap(), [Item::Literal("'".into())]);
    }

    #[test]
    fn errors_name_letter_and_position() {
        let check = |pattern: &str, message: &str| {
            assert_eq!(compile(pattern).unwrap_err().to_string(), message, "{pattern}");
        };
        check("yyyy-bb", "unknown pattern letter 'b' at position 5");
        check("HHH", "pattern letter 'H' at position 0 cannot be repeated 3 times");
        check("yyyy#", "reserved character '#' at position 4 of the pattern");
        check("d 'o", "quote opened at position 2 of the pattern is not closed");
        check("d]", "unmatched ']' at position 1 of the pattern");
        check("pp", "pad letter 'p' at position 0 is followed by nothing to pad");
        check("ppHmm", "padded number at position 3 runs into the number after it");
    }
}
