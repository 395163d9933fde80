//! The limits of a topic for its records.

/// The limits of a topic for its records; `None` if a limit is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordLimits {
    /// Maximum size in bytes of key, value and headers together. Unknown where records are compressed when sent.
    pub bytes_max: Option<usize>,
    /// Maximum size in bytes of a batch of records before compression, such that the topic accepts it however well it
    /// compresses.
    pub batch_bytes_max: Option<usize>,
    /// How far a timestamp may be in the future, in ms.
    pub ahead_ms_max: Option<i64>,
    /// How far a timestamp may be in the past, in ms.
    pub behind_ms_max: Option<i64>,
    /// How long the topic keeps a record after its timestamp, in ms; `None` if for ever, or since it was written.
    pub retention_ms: Option<i64>,
    /// Whether records without a key are refused because the topic is compacted.
    pub needs_key: bool,
}
