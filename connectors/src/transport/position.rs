//! A committed position in a partition.

use std::fmt;
use std::sync::Arc;

/// Where a group resumes in a partition, and a note that is committed with the offset.
///
/// ```
/// use headwater_connectors::transport::Position;
///
/// let position = Position::from(17);
/// assert_eq!((position.offset, &*position.note), (17, ""));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The next offset to read.
    pub offset: i64,
    /// Text committed with the offset, at most 4,096 bytes; may be empty. Clients that do not know about it replace it
    /// with an empty one.
    pub note: Arc<str>,
}

impl Position {
    /// A position with a note.
    pub fn new(offset: i64, note: &Arc<str>) -> Self {
        Self { offset, note: Arc::clone(note) }
    }
}

impl From<i64> for Position {
    fn from(offset: i64) -> Self {
        Self { offset, note: Arc::default() }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.offset)
    }
}
