//! The progress of a task within a batch.

/// The progress of a task with the batch that it handled last, once its commands have been performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskPosition {
    /// All rows of the batch have been emitted.
    Done,
    /// The rows of all records before this offset have been emitted, and none of the record at it.
    Before(i64),
    /// Part of the record at this offset was emitted or has changed the state, and part is left: no commit is possible.
    Within(i64),
}
