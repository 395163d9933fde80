//! How far a task is.

/// How far a task is with the batch that was handled last, once its commands are performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskPosition {
    /// All of its records have come out.
    Done,
    /// All records before this offset have come out, and nothing of the one at it.
    Before(i64),
    /// Something of the record at this offset has come out or changed the state, and something is left.
    Within(i64),
}
