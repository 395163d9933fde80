//! The progress of a task within a batch.

/// The progress of a task with the batch that it handled last, once its commands have been performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskPosition {
    /// All of its records have come out.
    Done,
    /// All records before this offset have come out, and nothing of the one at it.
    Before(i64),
    /// Part of the record at this offset has come out or has changed the state, and part is left: no commit is possible.
    Within(i64),
}
