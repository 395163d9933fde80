//! What a compaction comes to.

use std::io;
use std::sync::Arc;

use super::super::medium::Medium;
use super::compacted::Compacted;
use super::rewritten::Rewritten;

/// A compacted log that is still to take the place of the old one.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What the journal is to be told.
    pub(crate) compacted: Compacted,
    pub(crate) counts: Counts,
    pub(super) rewritten: Rewritten,
    /// The segments of the log that were looked at; those that are kept come with `true`.
    pub(super) sources: Vec<(Arc<Medium>, bool)>,
    /// Nothing is left of the aborted transactions that ended before this offset.
    pub(super) none_aborted_before: i64,
}

impl Outcome {
    /// Removes what was written.
    pub(crate) fn discard(self) {
        self.rewritten.discard();
    }
}

/// What a compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) records_before: u64,
    pub(crate) records_after: u64,
    pub(crate) bytes_before: u64,
    pub(crate) bytes_after: u64,
    /// Records that went because they have no key.
    pub(crate) keyless: u64,
    /// Batches that stay as they are because their records cannot be read.
    pub(crate) unreadable: u64,
}

/// Why nothing was compacted.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The log was closed.
    Stopped,
    /// A segment cannot be read, and will be kept as it is.
    Unsound(Arc<Medium>, io::Error),
    Io(io::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        Failed::Io(error)
    }
}
