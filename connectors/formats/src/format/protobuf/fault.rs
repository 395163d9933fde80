//! Why a payload is bad or a row cannot be written: the reason, the field, and the byte if it is known.

use std::fmt;

/// A reason with its place. It is boxed when returned, so that results stay small.
#[derive(Debug)]
pub(super) struct Fault {
    what: String,
    /// The byte of the payload, from 0.
    at: Option<usize>,
    /// The fields and elements around it, the innermost first, as they are printed.
    path: Vec<String>,
}

/// The result of reading or writing.
pub(super) type Read<T> = Result<T, Box<Fault>>;

impl Fault {
    #[cold]
    pub(super) fn new(at: Option<usize>, what: impl Into<String>) -> Box<Self> {
        Box::new(Self { what: what.into(), at, path: Vec::new() })
    }

    /// Adds the enclosing field to the path.
    #[cold]
    pub(super) fn within(mut self: Box<Self>, field: &str) -> Box<Self> {
        self.path.push(format!(".{field}"));
        self
    }

    /// Adds the enclosing element to the path.
    #[cold]
    pub(super) fn in_item(mut self: Box<Self>, index: usize) -> Box<Self> {
        self.path.push(format!("[{index}]"));
        self
    }

    /// Adds the enclosing entry of a map to the path.
    #[cold]
    pub(super) fn in_entry(mut self: Box<Self>, key: &str) -> Box<Self> {
        self.path.push(format!("[{key:?}]"));
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str("not valid Protobuf")?;
        } else {
            f.write_str("$")?;
            self.path.iter().rev().try_for_each(|step| f.write_str(step))?;
        }
        write!(f, ": {}", self.what)?;
        self.at.map_or(Ok(()), |at| write!(f, " (byte {at})"))
    }
}
