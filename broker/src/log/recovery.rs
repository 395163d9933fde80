//! Opening a log that is there already: what one must know is read from the batch headers, and a tail
//! that was torn by a crash is trimmed.
//!
//! Apart because it runs once, and because of its one promise: every batch that was acknowledged comes
//! back, and nothing that is not a whole, undamaged batch does.

use std::io;

use super::batch::{self, BatchHeader};
use super::partition::{Log, State};
use super::place::Place;
use super::producers::Producers;
use super::segment::{Headers, Segment};
use super::transactions::Transactions;

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The disk does not let us.
    #[error("could not read {segment}: {cause}")]
    Io {
        /// File or folder.
        segment: String,
        /// What the system says.
        cause: io::Error,
    },
    /// A segment that was complete once is not any more; only the last one is ever trimmed.
    #[error("{segment} is damaged at byte {position}: move the topic's folder away, or restore the file")]
    Damaged {
        /// The file.
        segment: String,
        /// Where the first batch is that cannot be read.
        position: u64,
    },
}

impl Log {
    /// Opens the log in a place, new or not. With `trusted` (the last process ended in order) the checksums
    /// of the last segment are not looked at.
    pub(crate) fn open_at(
        place: Place,
        start_offset: i64,
        index_interval_bytes: u64,
        trusted: bool,
    ) -> Result<Log, RecoveryError> {
        let failed = |cause| RecoveryError::Io { segment: format!("{place:?}"), cause };
        place.prepare().map_err(failed)?;
        let base_offsets = place.base_offsets().map_err(failed)?;
        let mut state = State {
            segments: Vec::new(),
            start_offset: base_offsets.first().copied().unwrap_or(start_offset).max(start_offset),
            end_offset: base_offsets.first().copied().unwrap_or(start_offset),
            producers: Producers::default(),
            transactions: Transactions::default(),
            closed: None,
        };
        for (at, base_offset) in base_offsets.iter().enumerate() {
            let last = at + 1 == base_offsets.len();
            let segment = Segment::new(*base_offset, place.segment(*base_offset), index_interval_bytes);
            state.recover(segment, last, trusted)?;
        }
        if state.segments.is_empty() {
            let segment = Segment::new(state.end_offset, place.segment(state.end_offset), index_interval_bytes);
            state.segments.push(segment);
        }
        state.end_offset = state.end_offset.max(state.start_offset);
        state.transactions.forget_before(state.start_offset);
        Ok(Log::new(place, state))
    }
}

impl State {
    fn recover(&mut self, mut segment: Segment, last: bool, trusted: bool) -> Result<(), RecoveryError> {
        let medium = segment.medium.clone();
        let failed = |cause| RecoveryError::Io { segment: medium.name(), cause };
        let length = medium.length().map_err(failed)?;
        self.end_offset = self.end_offset.max(segment.base_offset);
        let mut headers = Headers::new(&medium, 0, length);
        while let Some((position, header)) = headers.next().map_err(failed)? {
            let unchecked = !last || trusted;
            let sound = header.base_offset >= self.end_offset
                && (unchecked || checksum_fits(&segment, position, &header).map_err(failed)?);
            if !sound {
                break;
            }
            let commits =
                if header.is_control() { marker_at(&segment, position, &header).map_err(failed)? } else { None };
            segment.note(&header);
            self.note(&header, commits, header.max_timestamp_ms);
        }
        if segment.length < length && !last {
            return Err(RecoveryError::Damaged { segment: medium.name(), position: segment.length });
        }
        if segment.length < length {
            tracing::warn!(segment = medium.name(), from = length, to = segment.length, "trimmed a torn tail");
            medium.truncate(segment.length).map_err(failed)?;
        }
        self.segments.push(segment);
        Ok(())
    }
}

fn checksum_fits(segment: &Segment, position: u64, header: &BatchHeader) -> io::Result<bool> {
    let batch = segment.medium.read_at(position, header.bytes)?;
    Ok(header.checksum_fits(&batch))
}

fn marker_at(segment: &Segment, position: u64, header: &BatchHeader) -> io::Result<Option<bool>> {
    Ok(batch::marker_commits(&segment.medium.read_at(position, header.bytes)?))
}
