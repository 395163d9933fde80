//! Why a JSON payload is bad, and where.

use std::fmt;

/// An error in a payload. It is boxed when returned, so that results stay small.
#[derive(Debug)]
pub(super) struct Fault {
    kind: FaultKind,
    /// The byte of the payload, from 0.
    at: usize,
    what: String,
    /// The fields, elements and entries around the position, the innermost first, as they are printed.
    path: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum FaultKind {
    /// The bytes are not JSON: nothing after this position can be trusted.
    Syntax,
    /// A well-formed value that its column cannot hold: reading could continue after it.
    Misfit,
}

/// The result of reading.
pub(super) type Read<T> = Result<T, Box<Fault>>;

impl Fault {
    #[cold]
    pub(super) fn syntax(at: usize, what: impl Into<String>) -> Box<Self> {
        Box::new(Self { kind: FaultKind::Syntax, at, what: what.into(), path: Vec::new() })
    }

    #[cold]
    pub(super) fn misfit(at: usize, what: impl Into<String>) -> Box<Self> {
        Box::new(Self { kind: FaultKind::Misfit, at, what: what.into(), path: Vec::new() })
    }

    /// True if the value is well formed, as far as it was read.
    pub(super) fn is_misfit(&self) -> bool {
        self.kind == FaultKind::Misfit
    }

    /// Adds the enclosing field, element or entry to the path.
    #[cold]
    pub(super) fn within(mut self: Box<Self>, step: String) -> Box<Self> {
        self.path.push(step);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FaultKind::Syntax => write!(f, "not valid JSON: {} at byte {}", self.what, self.at),
            FaultKind::Misfit => {
                f.write_str("$")?;
                self.path.iter().rev().try_for_each(|step| f.write_str(step))?;
                write!(f, ": {} (byte {})", self.what, self.at)
            }
        }
    }
}
