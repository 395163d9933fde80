//! What can be wrong with a pattern, a text or a value.

use thiserror::Error;

/// A pattern that Java would refuse. Positions count bytes from zero.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PatternError {
    /// A letter that no field answers to.
    #[error("unknown pattern letter '{letter}' at position {position}")]
    UnknownLetter {
        /// The letter.
        letter: char,
        /// Where it stands.
        position: usize,
    },
    /// A known letter repeated a number of times that has no meaning.
    #[error("pattern letter '{letter}' at position {position} cannot be repeated {count} times")]
    Count {
        /// The letter.
        letter: char,
        /// Where the run of it begins.
        position: usize,
        /// How long the run is.
        count: usize,
    },
    /// One of `{`, `}` and `#`, which Java keeps for later.
    #[error("reserved character '{character}' at position {position} of the pattern")]
    Reserved {
        /// The character.
        character: char,
        /// Where it stands.
        position: usize,
    },
    /// A quote that is opened and never closed.
    #[error("quote opened at position {position} of the pattern is not closed")]
    OpenQuote {
        /// Where the quote is opened.
        position: usize,
    },
    /// A `]` with no `[` before it.
    #[error("unmatched ']' at position {position} of the pattern")]
    UnopenedOption {
        /// Where it stands.
        position: usize,
    },
    /// A padded number with another number right after it: Java fails on it, for the two have no border.
    #[error("padded number at position {position} runs into the number after it")]
    PaddedRun {
        /// Where the number after the padded one begins.
        position: usize,
    },
    /// The pad letter `p` with nothing after it that could be padded.
    #[error("pad letter 'p' at position {position} is followed by nothing to pad")]
    Pad {
        /// Where the pad letter stands.
        position: usize,
    },
}

/// A text that does not say a date or a time in the pattern asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseError {
    /// The text departs from the pattern. The position counts bytes from zero.
    #[error("text does not match the pattern at position {position}")]
    Mismatch {
        /// Where it departs.
        position: usize,
    },
    /// The pattern is matched and text is left over.
    #[error("text continues after the end of the pattern, at position {position}")]
    Trailing {
        /// Where the rest begins.
        position: usize,
    },
    /// A number that its field does not reach, such as month 13.
    #[error("{field} {value} is out of range")]
    OutOfRange {
        /// What the number stands for.
        field: &'static str,
        /// The number in the text.
        value: i64,
    },
    /// Two parts of the text contradict each other, such as a wrong day of the week.
    #[error("parts of the text contradict each other")]
    Conflict,
    /// The text holds too little for what was asked.
    #[error("text does not contain a complete {wanted}")]
    Incomplete {
        /// `date` or `time`.
        wanted: &'static str,
    },
    /// The text holds a part that what was asked for has no place for.
    #[error("text of a {wanted} must not contain parts of a {found}")]
    WrongKind {
        /// `date` or `time`: what was asked.
        wanted: &'static str,
        /// `date` or `time`: what else the text holds.
        found: &'static str,
    },
}

/// A value that the pattern cannot write.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FormatError {
    /// The pattern asks for a part that the value has not, such as the hour of a date.
    #[error("value has no {field}, which the pattern asks for")]
    Unsupported {
        /// The part asked for.
        field: &'static str,
    },
    /// The value needs more room than the pattern gives.
    #[error("{value} does not fit in the {width} characters that the pattern gives it")]
    Width {
        /// The value.
        value: i64,
        /// The room given, in characters.
        width: usize,
    },
}

/// A name that is no time zone.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown time zone \"{name}\"")]
pub struct ZoneError {
    /// The name as given.
    pub name: String,
}
