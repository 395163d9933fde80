//! The state of a partition's idempotent producers, so that a batch that is sent twice is stored once.
//!
//! Separate because it does no I/O: batches in, verdicts out. The rules are Kafka's: a duplicate of one of the last
//! five batches gets the original result, a gap in the sequence is refused, a newer epoch starts at sequence 0, and an
//! older epoch is fenced.

use std::collections::{BTreeMap, VecDeque};

use kafka_protocol::ResponseError;
use serde::{Deserialize, Serialize};

use super::batch::BatchHeader;
use super::producer::Producer;

/// The number of batches that are remembered for each producer; clients keep at most five in flight.
const BATCHES_REMEMBERED: usize = 5;

/// Whether a batch is to be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Append,
    /// The batch is already stored, at this offset.
    Duplicate {
        base_offset: i64,
    },
}

/// The state of a producer, for administrators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProducerActivity {
    pub(crate) producer: Producer,
    pub(crate) last_sequence: i32,
    pub(crate) last_timestamp_ms: i64,
    /// The offset at which its open transaction begins, if it has written to one.
    pub(crate) transaction_start: Option<i64>,
}

/// The last batches of a producer, by their first offsets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LastBatches {
    /// The last batch of records.
    pub(crate) data: Option<i64>,
    /// The last end of a transaction.
    pub(crate) marker: Option<i64>,
}

/// The state of all known producers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Producers {
    by_id: BTreeMap<i64, Remembered>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    epoch: i16,
    batches: VecDeque<Sequences>,
    /// The offset of the last end of a transaction.
    last_marker: Option<i64>,
    last_timestamp_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sequences {
    first: i32,
    last: i32,
    base_offset: i64,
}

impl Producers {
    /// Checks a batch before it is appended.
    pub(crate) fn check(&self, header: &BatchHeader) -> Result<Verdict, ResponseError> {
        let Some(known) = self.by_id.get(&header.producer.id).filter(|_| header.is_idempotent()) else {
            return Ok(Verdict::Append);
        };
        if header.producer.epoch < known.epoch {
            return Err(ResponseError::InvalidProducerEpoch);
        }
        if header.producer.epoch > known.epoch {
            return continues(header.base_sequence == 0);
        }
        match known.stored(header) {
            Some(base_offset) => Ok(Verdict::Duplicate { base_offset }),
            None => continues(header.base_sequence == known.next_sequence()),
        }
    }

    /// Records a batch that was appended.
    pub(crate) fn appended(&mut self, header: &BatchHeader, now_ms: i64) {
        if header.is_idempotent() {
            let sequences = Sequences {
                first: header.base_sequence,
                last: header.last_sequence(),
                base_offset: header.base_offset,
            };
            let known = self.at_epoch(header.producer, now_ms);
            known.batches.push_back(sequences);
            if known.batches.len() > BATCHES_REMEMBERED {
                known.batches.pop_front();
            }
        }
    }

    /// Records the end of a transaction. A marker with a higher epoch resets the sequence; otherwise the first batch of
    /// the next producer would look like a duplicate.
    pub(crate) fn ended(&mut self, producer: Producer, marker_offset: i64, now_ms: i64) {
        self.at_epoch(producer, now_ms).last_marker = Some(marker_offset);
    }

    /// The known epoch of a producer.
    pub(crate) fn epoch(&self, producer_id: i64) -> Option<i16> {
        self.by_id.get(&producer_id).map(|known| known.epoch)
    }

    /// Removes producers that have written nothing since `before_ms`, except those for which `keep` returns true.
    pub(crate) fn forget_idle(&mut self, before_ms: i64, keep: impl Fn(i64) -> bool) {
        self.by_id.retain(|id, known| known.last_timestamp_ms >= before_ms || keep(*id));
    }

    /// The last batches of every known producer, by its id: what is known of it comes from them when the log is opened again.
    pub(crate) fn last_batches(&self) -> impl Iterator<Item = (i64, LastBatches)> + '_ {
        self.by_id.iter().map(|(id, known)| {
            let data = known.batches.back().map(|batch| batch.base_offset);
            (*id, LastBatches { data, marker: known.last_marker })
        })
    }

    /// The state of every known producer.
    pub(crate) fn activity(&self) -> impl Iterator<Item = ProducerActivity> + '_ {
        self.by_id.iter().map(|(id, known)| ProducerActivity {
            producer: Producer { id: *id, epoch: known.epoch },
            last_sequence: known.batches.back().map_or(-1, |batch| batch.last),
            last_timestamp_ms: known.last_timestamp_ms,
            transaction_start: None,
        })
    }

    fn at_epoch(&mut self, producer: Producer, now_ms: i64) -> &mut Remembered {
        let fresh = || Remembered {
            epoch: producer.epoch,
            batches: VecDeque::new(),
            last_marker: None,
            last_timestamp_ms: now_ms,
        };
        let known = self.by_id.entry(producer.id).or_insert_with(fresh);
        if producer.epoch > known.epoch {
            *known = fresh();
        }
        known.last_timestamp_ms = now_ms;
        known
    }
}

impl Remembered {
    fn stored(&self, header: &BatchHeader) -> Option<i64> {
        let sought = (header.base_sequence, header.last_sequence());
        self.batches.iter().find(|batch| (batch.first, batch.last) == sought).map(|batch| batch.base_offset)
    }

    fn next_sequence(&self) -> i32 {
        self.batches.back().map_or(0, |batch| batch.last.checked_add(1).unwrap_or(0))
    }
}

fn continues(in_sequence: bool) -> Result<Verdict, ResponseError> {
    if in_sequence { Ok(Verdict::Append) } else { Err(ResponseError::OutOfOrderSequenceNumber) }
}

#[cfg(test)]
mod tests {
    use super::super::batch::testing;
    use super::*;

    fn header(epoch: i16, sequence: i32, records: i32) -> BatchHeader {
        let batch = testing::batch(Producer { id: 1, epoch }, sequence, records, 0, false);
        BatchHeader::parse(&batch).expect("a header")
    }

    /// Five batches of two records at offsets 2, 4, 6, …, after one that is forgotten.
    fn six_batches() -> Producers {
        let mut producers = Producers::default();
        for batch in 0..6 {
            let header = BatchHeader { base_offset: i64::from(batch) * 2, ..header(4, batch * 2, 2) };
            assert_eq!(producers.check(&header), Ok(Verdict::Append));
            producers.appended(&header, 0);
        }
        producers
    }

    #[test]
    fn a_repeat_gets_the_first_answer_again() {
        let producers = six_batches();
        for batch in 1..6 {
            let verdict = producers.check(&header(4, batch * 2, 2));
            assert_eq!(verdict, Ok(Verdict::Duplicate { base_offset: i64::from(batch) * 2 }));
        }
    }

    #[test]
    fn gaps_forgotten_batches_and_old_epochs_are_refused() {
        let producers = six_batches();
        for (epoch, sequence, records, error) in [
            (4, 13, 2, ResponseError::OutOfOrderSequenceNumber),
            (4, 0, 2, ResponseError::OutOfOrderSequenceNumber),
            (4, 10, 1, ResponseError::OutOfOrderSequenceNumber),
            (5, 12, 2, ResponseError::OutOfOrderSequenceNumber),
            (3, 12, 2, ResponseError::InvalidProducerEpoch),
        ] {
            assert_eq!(producers.check(&header(epoch, sequence, records)), Err(error));
        }
    }

    #[test]
    fn a_newer_epoch_starts_at_zero() {
        let mut producers = six_batches();
        let header = header(5, 0, 2);
        assert_eq!(producers.check(&header), Ok(Verdict::Append));
        producers.appended(&header, 0);
        assert_eq!(producers.epoch(1), Some(5));
    }

    #[test]
    fn a_marker_of_a_higher_epoch_clears_the_sequences() {
        let mut producers = six_batches();
        producers.ended(Producer { id: 1, epoch: 4 }, 12, 0);
        assert_eq!(producers.check(&header(4, 12, 2)), Ok(Verdict::Append));
        producers.ended(Producer { id: 1, epoch: 5 }, 12, 0);
        assert_eq!(producers.check(&header(5, 0, 2)), Ok(Verdict::Append));
        assert_eq!(producers.check(&header(4, 12, 2)), Err(ResponseError::InvalidProducerEpoch));
    }

    #[test]
    fn sequences_start_again_after_the_greatest() {
        let mut producers = Producers::default();
        producers.appended(&header(0, i32::MAX - 1, 2), 0);
        assert_eq!(producers.check(&header(0, 0, 1)), Ok(Verdict::Append));
        let wrapping = header(0, i32::MAX, 3);
        assert_eq!(wrapping.last_sequence(), 1);
    }

    #[test]
    fn idle_producers_are_forgotten() {
        let mut producers = six_batches();
        producers.forget_idle(1, |id| id == 1);
        assert_eq!(producers.epoch(1), Some(4));
        producers.forget_idle(1, |_| false);
        assert_eq!(producers.epoch(1), None);
    }
}
