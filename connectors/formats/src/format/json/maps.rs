//! The forms of a MAP.

/// Which forms a MAP may have, and how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Maps {
    /// An object with a member for each entry.
    Objects,
    /// Written as an array of objects with the members `key` and `value`, and read in both forms: so does Kafka Connect
    /// with maps whose keys may be null, as those of ksqlDB.
    Entries,
}
