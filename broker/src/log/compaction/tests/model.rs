//! Compaction beside writes, reads and restarts, compared with what was written.

use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::super::super::tests::small_segments;
use super::reader::{Reader, Seen, Values};
use super::*;

/// Goal: readers see what they would see without compaction, whatever was written, whenever they read, and wherever the broker is killed.
/// Method: batches of several producers, alone and in transactions, with values and removals, are written, compacted and read in any
/// order. The log must have each last record at its offset, never another record, and readers that are not too slow end with the same
/// values. Producers go on with their sequence numbers.
#[test]
fn readers_see_what_they_would_see_without_it() {
    for seed in SEEDS {
        let mut world = World::new(seed);
        for _ in 0..250 {
            world.step();
        }
        world.finish();
    }
}

const SEEDS: std::ops::Range<u64> = 0..100;

struct World {
    rng: StdRng,
    kept: Kept,
    now_ms: i64,
    /// The next sequence number of each producer, and the records of its transaction.
    sequences: [i32; 3],
    open: [Option<Vec<Written>>; 3],
    /// The records that are committed, by offset.
    committed: Seen,
    readers: Vec<Reader>,
    seed: u64,
}

type Written = (i64, Vec<u8>, Option<Vec<u8>>);

impl World {
    fn new(seed: u64) -> World {
        let kept = if seed.is_multiple_of(3) { Kept::in_memory() } else { Kept::in_folder() };
        World {
            rng: StdRng::seed_from_u64(seed),
            kept,
            now_ms: 1_000,
            sequences: [0; 3],
            open: [None, None, None],
            committed: Seen::new(),
            readers: vec![Reader::default(); 3],
            seed,
        }
    }

    fn step(&mut self) {
        self.now_ms += self.rng.random_range(0..4);
        match self.rng.random_range(0..25) {
            0..8 => self.write(),
            8..13 => self.end(),
            13..22 => self.read(),
            22 => self.restart(),
            _ => self.compact(),
        }
    }

    /// Producer 0 writes without transactions, the others with.
    fn write(&mut self) {
        let at = self.rng.random_range(0..self.sequences.len());
        let producer = Producer { id: at as i64, epoch: 0 };
        let count = self.rng.random_range(1..5);
        let record = |rng: &mut StdRng| {
            let key = vec![b'k', rng.random_range(0..25)];
            (key, rng.random_bool(0.7).then(|| vec![rng.random(); rng.random_range(0..30)]))
        };
        let records: Vec<_> = (0..count).map(|_| record(&mut self.rng)).collect();
        let plain = testing::with_keys(producer, self.sequences[at], &records, self.now_ms, at > 0);
        let batch = testing::packed(&plain, self.rng.random_range(0..5));
        if at > 0 && self.open[at].is_none() {
            self.kept.log.announce(producer).expect("may write");
            self.open[at] = Some(Vec::new());
        }
        let appended = self.kept.log.append(&batch, &small_segments(), self.now_ms).expect("appends");
        let again = self.kept.log.append(&batch, &small_segments(), self.now_ms).expect("is a repeat");
        assert_eq!(appended.base_offset, again.base_offset, "seed {}", self.seed);
        self.sequences[at] += count;
        let written =
            records.into_iter().zip(appended.base_offset..).map(|((key, value), offset)| (offset, key, value));
        match &mut self.open[at] {
            Some(open) => open.extend(written),
            None => self.committed.extend(written.map(|(offset, key, value)| (offset, (key, value)))),
        }
    }

    fn end(&mut self) {
        let (at, commits) = (self.rng.random_range(1..3), self.rng.random_bool(0.6));
        let producer = Producer { id: at as i64, epoch: 0 };
        self.kept.log.end_transaction(producer, commits, &small_segments(), self.now_ms).expect("ends");
        let records = self.open[at].take().unwrap_or_default();
        if commits {
            self.committed.extend(records.into_iter().map(|(offset, key, value)| (offset, (key, value))));
        }
    }

    fn read(&mut self) {
        let at = self.rng.random_range(0..self.readers.len());
        let (reader, stable) = (&mut self.readers[at], self.kept.log.ends().stable);
        // One that is too slow may miss removals of keys.
        if reader.next_offset >= stable || self.now_ms - reader.begun_ms >= REMOVALS_MS {
            *reader = Reader { begun_ms: self.now_ms, ..Reader::default() };
        }
        if reader.next_offset < stable {
            reader.read(&self.kept.log, self.rng.random_range(1..1_500));
        }
        let reader = &self.readers[at];
        if reader.next_offset >= stable {
            assert_eq!(reader.values, self.values(stable), "seed {}", self.seed);
        }
    }

    /// All transactions end with the broker.
    fn restart(&mut self) {
        let before = self.kept.log.ends();
        if self.rng.random_bool(0.5) {
            self.kept.log.write_outlines().expect("writes");
        }
        self.kept.restart();
        assert_eq!(self.kept.log.ends(), before, "seed {}", self.seed);
    }

    fn compact(&mut self) {
        let ratio = [0.0, 0.5][self.rng.random_range(0..2)];
        let compaction = Compaction { dirty_ratio_min: ratio, ..eager() };
        let (keys_max, steps) = (self.rng.random_range(4..40), self.rng.random_range(0..6));
        let ends = self.kept.log.ends();
        self.kept.compact(&compaction, keys_max, steps, self.now_ms);
        assert_eq!(self.kept.log.ends(), ends, "seed {}", self.seed);
        self.check();
    }

    /// The last values before an offset.
    fn values(&self, end: i64) -> Values {
        let mut values = Values::new();
        for (_, (key, value)) in self.committed.range(..end) {
            match value {
                Some(value) => values.insert(key.clone(), value.clone()),
                None => values.remove(key),
            };
        }
        values
    }

    fn check(&self) {
        let reader = Reader::read_all(&self.kept.log);
        let stable = self.kept.log.ends().stable;
        assert_eq!(reader.values, self.values(stable), "seed {}", self.seed);
        for (offset, record) in &reader.seen {
            assert_eq!(self.committed.get(offset), Some(record), "seed {}, offset {offset}", self.seed);
        }
    }

    fn finish(&mut self) {
        for at in 1..3 {
            let producer = Producer { id: at, epoch: 0 };
            self.kept.log.end_transaction(producer, false, &small_segments(), self.now_ms).expect("ends");
        }
        self.open = [None, None, None];
        // As late as this nothing has to stay for readers.
        for _ in 0..3 {
            self.now_ms += 10 * REMOVALS_MS;
            self.kept.log.roll(&small_segments()).expect("rolls");
            self.write();
            self.kept.log.end_transaction(Producer { id: 1, epoch: 0 }, false, &small_segments(), 0).expect("ends");
            self.kept.log.end_transaction(Producer { id: 2, epoch: 0 }, false, &small_segments(), 0).expect("ends");
            self.open = [None, None, None];
            self.kept.log.roll(&small_segments()).expect("rolls");
            self.kept.compact(&eager(), usize::MAX, 9, self.now_ms);
            self.check();
        }
        let (reader, compacted) = (Reader::read_all(&self.kept.log), self.kept.compacted.next_offset);
        let keys: BTreeSet<_> = reader.seen.range(..compacted).map(|(_, (key, _))| key).collect();
        assert_eq!(
            keys.len(),
            reader.seen.range(..compacted).count(),
            "one record of each key is left, seed {}",
            self.seed
        );
        self.kept.restart();
        self.check();
    }
}
