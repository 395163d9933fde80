//! Why a payload is bad or a row cannot be written, and where.

use std::borrow::Cow;

/// An error in a payload or a row. It is boxed when returned, so that results stay small.
#[derive(Debug)]
pub(super) struct Fault {
    /// The byte of the payload, from 0; rows have none.
    at: Option<usize>,
    what: Cow<'static, str>,
    /// The fields, items and entries around the position, the innermost first, as they are printed.
    path: Vec<String>,
}

/// The result of reading or writing.
pub(super) type Outcome<T> = Result<T, Box<Fault>>;

/// What is wrong with a null in a field that its schema requires.
pub(super) const NULL_REFUSED: &str = "the value is null, but the schema requires one and has no default";

/// How many steps of a long path are shown, from the outermost one.
const STEPS_SHOWN: usize = 16;

impl Fault {
    /// An error at a byte of a payload, if that is known.
    #[cold]
    pub(super) fn new(at: Option<usize>, what: impl Into<Cow<'static, str>>) -> Box<Self> {
        Box::new(Self { at, what: what.into(), path: Vec::new() })
    }

    /// An error at a byte of a payload.
    #[cold]
    pub(super) fn at(at: usize, what: impl Into<Cow<'static, str>>) -> Box<Self> {
        Self::new(Some(at), what)
    }

    /// An error in a row.
    #[cold]
    pub(super) fn of_row(what: impl Into<Cow<'static, str>>) -> Box<Self> {
        Self::new(None, what)
    }

    /// Adds the enclosing field to the path.
    #[cold]
    pub(super) fn in_field(mut self: Box<Self>, name: &str) -> Box<Self> {
        self.path.push(format!(".{name}"));
        self
    }

    /// Adds the enclosing item, numbered from 0, to the path.
    #[cold]
    pub(super) fn in_item(mut self: Box<Self>, index: usize) -> Box<Self> {
        self.path.push(format!("[{index}]"));
        self
    }

    /// Adds the enclosing entry to the path.
    #[cold]
    pub(super) fn in_entry(mut self: Box<Self>, key: &[u8]) -> Box<Self> {
        self.path.push(format!("[{:?}]", String::from_utf8_lossy(key)));
        self
    }

    /// The reason as text, with the path; `whole` stands for the whole payload.
    #[cold]
    pub(super) fn reason(&self, whole: &str) -> String {
        let path: String = match self.path.as_slice() {
            [] => whole.to_owned(),
            [inner @ .., _, _] if inner.len() > STEPS_SHOWN => {
                let outer = self.path[self.path.len() - STEPS_SHOWN..].iter().rev();
                format!("${}…{}", outer.map(String::as_str).collect::<String>(), self.path[0])
            }
            steps => std::iter::once("$").chain(steps.iter().rev().map(String::as_str)).collect(),
        };
        let at = self.at.map(|at| format!(" (byte {at})"));
        format!("{path}: {}{}", self.what, at.unwrap_or_default())
    }
}
