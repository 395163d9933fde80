//! How far a task is.

/// How far a task is with the batch that was handled last, once its commands are performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskPosition {
    /// All of its records have come out.
    Done,
    /// All records before this offset have come out, and nothing of the one at it.
    Before(i64),
    /// Part of the record at this offset has come out or has changed the state, and part is left: no commit is possible.
    Within(i64),
}
