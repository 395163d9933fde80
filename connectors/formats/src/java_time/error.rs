//! The errors of patterns, texts and values.

use thiserror::Error;

/// An invalid pattern, which Java would refuse too. Positions are in bytes, from zero.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PatternError {
    /// A letter that no field has.
    #[error("unknown pattern letter '{letter}' at position {position}")]
    UnknownLetter {
        /// The letter.
        letter: char,
        /// Its position.
        position: usize,
    },
    /// A known letter, repeated an unsupported number of times.
    #[error("pattern letter '{letter}' at position {position} cannot be repeated {count} times")]
    Count {
        /// The letter.
        letter: char,
        /// The position of the first repetition.
        position: usize,
        /// The number of repetitions.
        count: usize,
    },
    /// One of `{`, `}` and `#`, which Java reserves.
    #[error("reserved character '{character}' at position {position} of the pattern")]
    Reserved {
        /// The character.
        character: char,
        /// Its position.
        position: usize,
    },
    /// A quote that is opened and never closed.
    #[error("quote opened at position {position} of the pattern is not closed")]
    OpenQuote {
        /// The position of the opening quote.
        position: usize,
    },
    /// A `]` with no `[` before it.
    #[error("unmatched ']' at position {position} of the pattern")]
    UnopenedOption {
        /// Its position.
        position: usize,
    },
    /// A padded number directly followed by another number, which Java refuses because there is no boundary between
    /// them.
    #[error("padded number at position {position} runs into the number after it")]
    PaddedRun {
        /// The position of the number after the padded one.
        position: usize,
    },
    /// The pad letter `p` with nothing after it that could be padded.
    #[error("pad letter 'p' at position {position} is followed by nothing to pad")]
    Pad {
        /// The position of the pad letter.
        position: usize,
    },
}

/// A text that does not contain a date or a time in the form of the pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseError {
    /// The text does not match the pattern.
    #[error("text does not match the pattern at position {position}")]
    Mismatch {
        /// The position of the mismatch, in bytes from zero.
        position: usize,
    },
    /// There is text after the end of the match.
    #[error("text continues after the end of the pattern, at position {position}")]
    Trailing {
        /// The position of the remaining text.
        position: usize,
    },
    /// A number that is out of range for its field, such as month 13.
    #[error("{field} {value} is out of range")]
    OutOfRange {
        /// The name of the field.
        field: &'static str,
        /// The number in the text.
        value: i64,
    },
    /// Two parts of the text contradict each other, such as a wrong day of the week.
    #[error("parts of the text contradict each other")]
    Conflict,
    /// The text does not contain a complete date or time.
    #[error("text does not contain a complete {wanted}")]
    Incomplete {
        /// The requested type: `date` or `time`.
        wanted: &'static str,
    },
    /// The text contains a part that the requested type does not have.
    #[error("text of a {wanted} must not contain parts of a {found}")]
    WrongKind {
        /// The requested type: `date` or `time`.
        wanted: &'static str,
        /// The type of the additional part: `date` or `time`.
        found: &'static str,
    },
}

/// A value that the pattern cannot write.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FormatError {
    /// The pattern contains a part that the value does not have, such as the hour of a date.
    #[error("value has no {field}, which the pattern asks for")]
    Unsupported {
        /// The name of the part.
        field: &'static str,
    },
    /// The value needs more characters than the pattern allows.
    #[error("{value} does not fit in the {width} characters that the pattern gives it")]
    Width {
        /// The value.
        value: i64,
        /// The number of characters that the pattern allows.
        width: usize,
    },
}

/// A name that is not a time zone.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown time zone \"{name}\"")]
pub struct ZoneError {
    /// The name as given.
    pub name: String,
}
