//! The value of a copied record: its number in the source, and which transaction it belongs to.

use std::fmt;
use std::str::FromStr;

/// A copied record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its number in the source.
    pub number: usize,
    /// The number of its transaction; no two attempts have the same.
    pub transaction: u32,
    /// How many records its transaction has.
    pub size: usize,
    /// Whether the transaction is aborted on purpose.
    pub is_doomed: bool,
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, transaction, size, is_doomed } = self;
        write!(f, "{number} {transaction} {size} {}", u8::from(*is_doomed))
    }
}

/// A value that no copier has written.
#[derive(Debug)]
pub struct NotATag;

impl FromStr for Tag {
    type Err = NotATag;

    fn from_str(text: &str) -> Result<Self, NotATag> {
        fn next<T: FromStr>(parts: &mut std::str::Split<'_, char>) -> Result<T, NotATag> {
            parts.next().and_then(|part| part.parse().ok()).ok_or(NotATag)
        }
        let parts = &mut text.split(' ');
        let (number, transaction, size) = (next(parts)?, next(parts)?, next(parts)?);
        let is_doomed = next::<u8>(parts)? == 1;
        Ok(Self { number, transaction, size, is_doomed })
    }
}
