//! Damaged bytes in a segment, and where the valid batches continue after them.
//!
//! Separate because damage is not a torn tail: if valid batches follow, nothing may be truncated. The bytes stay,
//! reading the lost offsets fails, and all other offsets are served.

use std::io;

use super::batch::{BatchHeader, HEADER_BYTES};
use super::medium::Medium;
use crate::topic_partition::TopicPartition;

/// The number of bytes read at once when searching for a batch.
const WINDOW_BYTES: u64 = 1024 * 1024;

/// The largest valid value of a batch's attributes.
const ATTRIBUTES_MAX: i16 = 0x7f;

/// A damaged range of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    /// The position of the first batch that cannot be read.
    pub(crate) from: u64,
    /// The position at which the valid batches continue.
    pub(crate) to: u64,
    /// The first offset that is lost.
    pub(crate) first_offset: i64,
    /// The first offset after it that is not lost.
    pub(crate) next_offset: i64,
}

impl Damage {
    /// Whether a record with this offset would be in the damaged range.
    pub(crate) fn holds(&self, offset: i64) -> bool {
        (self.first_offset..self.next_offset).contains(&offset)
    }

    /// Logs the damage. Called once, where it is found.
    pub(crate) fn report(&self, topic_partition: &TopicPartition, medium: &Medium) {
        tracing::error!(
            topic = topic_partition.topic,
            partition = topic_partition.partition,
            segment = medium.name(),
            from_byte = self.from,
            to_byte = self.to,
            first_offset = self.first_offset,
            next_offset = self.next_offset,
            "a segment is damaged: its bytes are kept; reading these offsets fails with CORRUPT_MESSAGE, \
             all others are served"
        );
    }
}

/// The first valid batch at or after `from`, recognized by its checksum. Examines every byte, so it is called only if
/// something is wrong.
pub(crate) fn next_sound(
    medium: &Medium,
    from: u64,
    end: u64,
    offset_min: i64,
) -> io::Result<Option<(u64, BatchHeader)>> {
    let mut at = from;
    while at + HEADER_BYTES as u64 <= end {
        let window = medium.read_at(at, WINDOW_BYTES.min(end - at) as usize)?;
        let starts = window.len() + 1 - HEADER_BYTES;
        for start in (0..starts).filter(|start| window[start + 16] == 2) {
            let position = at + start as u64;
            let plausible = |header: &BatchHeader| {
                header.base_offset >= offset_min
                    && (0..=ATTRIBUTES_MAX).contains(&header.attributes)
                    && position + header.bytes as u64 <= end
            };
            let Some(header) = BatchHeader::parse(&window[start..]).filter(plausible) else { continue };
            if header.checksum_fits(&medium.read_at(position, header.bytes)?) {
                return Ok(Some((position, header)));
            }
        }
        at += starts as u64;
    }
    Ok(None)
}
