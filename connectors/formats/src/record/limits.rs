//! What a topic takes of a record.

/// What a topic takes of a record; `None` for no limit that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordLimits {
    /// Most bytes of key, value and headers together. Not known of records that are compressed on their way.
    pub bytes_max: Option<usize>,
    /// Most bytes of records that may be written at once, before they are compressed, for the topic to take them whatever
    /// they are compressed to.
    pub batch_bytes_max: Option<usize>,
    /// How far its timestamp may be ahead of the present, in ms.
    pub ahead_ms_max: Option<i64>,
    /// How far its timestamp may be behind the present, in ms.
    pub behind_ms_max: Option<i64>,
    /// Records without a key are refused: the topic is compacted.
    pub needs_key: bool,
}
