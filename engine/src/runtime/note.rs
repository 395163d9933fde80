//! What a query commits with each offset, so that whoever continues there knows which log the offset belongs to.
//!
//! It is stored as the metadata that Kafka keeps with a committed offset, in the same transaction. Offsets that were
//! committed by others, such as an operator's tool or an older version, have no note and are trusted.

use std::fmt;

use headwater_connectors::transport::TopicId;

/// The prefix of every note.
const MARK: &str = "headwater";

/// The note committed with the offset of one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Note {
    /// The id of the topic that was read; `None` if the cluster does not report ids.
    pub(super) topic: Option<TopicId>,
    /// How many partitions the topic had when the query began. Partitions with higher numbers were added later.
    pub(super) partitions: Option<i32>,
    /// The number of the latest `RESUME … FROM` that this partition has seen.
    pub(super) restart: u64,
    /// Number of offsets lost in gaps so far.
    pub(super) lost: u64,
    /// The stream time of the task that reads the partition, in ms since the epoch, if it has state.
    pub(super) time_ms: Option<i64>,
    /// The offset of the record that set the stream time, if it is known.
    pub(super) time_offset: Option<i64>,
    /// Whether windows have left the state of that task because they expired.
    pub(super) has_expired: bool,
}

impl Note {
    /// Parses a note. Any other text yields an empty one.
    pub(super) fn read(text: &str) -> Self {
        let mut words = text.split(' ');
        let mut note = Self::default();
        if words.next() != Some(MARK) {
            return note;
        }
        for (name, value) in words.filter_map(|word| word.split_once('=')) {
            match name {
                "topic" => note.topic = value.parse().ok(),
                "partitions" => note.partitions = value.parse().ok(),
                "restart" => note.restart = value.parse().unwrap_or(0),
                "lost" => note.lost = value.parse().unwrap_or(0),
                "time" => note.time_ms = value.parse().ok(),
                "at" => note.time_offset = value.parse().ok(),
                "expired" => note.has_expired = value == "1",
                // A field of a newer version.
                _ => {}
            }
        }
        note
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MARK)?;
        self.topic.map_or(Ok(()), |id| write!(f, " topic={id}"))?;
        self.partitions.map_or(Ok(()), |count| write!(f, " partitions={count}"))?;
        self.time_ms.map_or(Ok(()), |time| write!(f, " time={time}"))?;
        self.time_offset.map_or(Ok(()), |offset| write!(f, " at={offset}"))?;
        let numbers = [("restart", self.restart), ("lost", self.lost), ("expired", self.has_expired.into())];
        numbers.iter().filter(|(_, number)| *number > 0).try_for_each(|(name, number)| write!(f, " {name}={number}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let all = [
            Note::default(),
            Note {
                topic: Some(TopicId(7)),
                partitions: Some(3),
                restart: 2,
                lost: 60,
                time_ms: Some(-5),
                time_offset: Some(7),
                has_expired: true,
            },
            Note { partitions: Some(1), ..Note::default() },
        ];
        for note in all {
            assert_eq!(Note::read(&note.to_string()), note, "{note}");
        }
    }

    #[test]
    fn other_texts_yield_an_empty_note() {
        for text in ["", "a note", "topic=AAAAAAAAAAAAAAAAAAAABw", "headwater", "headwater topic=? partitions=x new=1"]
        {
            assert_eq!(Note::read(text), Note::default(), "{text}");
        }
    }
}
