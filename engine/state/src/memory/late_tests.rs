//! A disk that writes what it got only later, as one with a thread of its own does.

use std::collections::VecDeque;
use std::ops::Range;

use arrow::array::Array;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::contract::commit;
use crate::{Cold, ColdSnapshot, Disk, MemoryDisk, Run, Scanned, contract};

/// A disk that writes one run each time it was asked a few times, and when somebody waits for it.
#[derive(Clone, Copy, Debug)]
struct LateDisk {
    /// The run with this number fails.
    fails: Option<u64>,
}

struct LateCold {
    fails: Option<u64>,
    late: Mutex<Late>,
}

struct Late {
    cold: Box<dyn Cold>,
    waiting: VecDeque<Task>,
    asked: u32,
}

enum Task {
    Write(Run),
    Forget(Range<u64>),
}

/// How often it is asked until it has written one more run.
const ASKED: u32 = 3;

impl std::fmt::Debug for LateCold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LateCold")
    }
}

impl Disk for LateDisk {
    fn open(&self) -> Result<Box<dyn Cold>, ColdError> {
        let late = Late { cold: MemoryDisk.open()?, waiting: VecDeque::new(), asked: 0 };
        Ok(Box::new(LateCold { fails: self.fails, late: Mutex::new(late) }))
    }
}

impl Late {
    /// Does what comes first. Returns the number of runs that are written.
    fn step(&mut self, fails: Option<u64>) -> Result<u64, ColdError> {
        let written = self.cold.written(0)?;
        match self.waiting.pop_front() {
            Some(Task::Write(_)) if fails == Some(written) => return Err(ColdError::new("it is full")),
            Some(Task::Write(run)) => self.cold.write(run)?,
            Some(Task::Forget(windows)) => self.cold.forget(windows)?,
            None => {}
        }
        self.cold.written(0)
    }
}

impl Cold for LateCold {
    fn write(&mut self, run: Run) -> Result<(), ColdError> {
        self.late.get_mut().waiting.push_back(Task::Write(run));
        Ok(())
    }

    fn written(&self, least: u64) -> Result<u64, ColdError> {
        let mut late = self.late.lock();
        late.asked += 1;
        let mut written = late.cold.written(0)?;
        if late.asked.is_multiple_of(ASKED) {
            written = late.step(self.fails)?;
        }
        while written < least {
            written = late.step(self.fails)?;
        }
        Ok(written)
    }

    fn forget(&mut self, windows: Range<u64>) -> Result<(), ColdError> {
        self.late.get_mut().waiting.push_back(Task::Forget(windows));
        Ok(())
    }

    fn snapshot(&self) -> Arc<dyn ColdSnapshot> {
        self.late.lock().cold.snapshot()
    }
}

#[test]
fn it_is_a_store_while_what_it_moves_is_written_late() {
    contract::holds(|| Box::new(MemoryStore::within(&Storage::new(800, LateDisk { fails: None }))));
    contract::holds(|| Box::new(MemoryStore::within(&Storage::new(3_000, LateDisk { fails: None }))));
}

fn key(number: u32) -> [u8; 4] {
    number.wrapping_mul(0x9E37_79B9).to_be_bytes()
}

/// Everything in a snapshot, in order.
fn rows(snapshot: &Snapshot) -> Vec<(i64, Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    for batch in snapshot.scan(.., 700) {
        let Scanned { windows, keys, values } = batch.expect("the disk works");
        rows.extend(
            (0..keys.len()).map(|row| (windows.value(row), keys.value(row).to_vec(), values.value(row).to_vec())),
        );
    }
    rows.sort();
    rows
}

/// A random epoch, the same for two stores: keys are set and removed, windows are removed and expire.
fn change(rng: &mut StdRng, stores: [&mut MemoryStore; 2], round: u32) {
    let window = i64::from(rng.random_range(0..2_u32) + round / 30);
    let from = rng.random_range(0..12_000_u32);
    let keys = BinaryArray::from_iter_values((from..from + 800).map(key));
    let removed = rng.random_range(0..3_u32);
    let values: BinaryArray = (from..from + 800)
        .map(|number| (number % 3 != removed).then(|| format!("{number} in round {round}").into_bytes()))
        .collect();
    let is_removed = rng.random_bool(0.03);
    for store in stores {
        if is_removed {
            store.remove_window(window);
        }
        store.put(window, &keys, &values);
        store.expire(i64::from(round / 30) - 1);
        store.seal().expect("the disk works");
        while store.sealed_rest().expect("the disk works").is_some() {}
        commit(store);
    }
}

/// Goal: no change is lost, above all no removal, while shards are frozen, split, changed and written; and memory keeps to its
/// limit. Method: many epochs of a store with a late disk and of one without a limit; snapshots from all times have the same rows.
#[test]
fn what_is_frozen_is_neither_lost_nor_comes_back() {
    const LIMIT: usize = 250 << 10;
    for seed in 0..2 {
        let mut rng = StdRng::seed_from_u64(seed);
        let storage = Storage::new(LIMIT, LateDisk { fails: None });
        let (mut late, mut memory) = (MemoryStore::within(&storage), MemoryStore::default());
        let (mut snapshots, mut frozen) = (Vec::new(), 0);
        for round in 0..120 {
            change(&mut rng, [&mut late, &mut memory], round);
            assert_eq!(late.len(), memory.len(), "seed {seed}, round {round}");
            frozen += usize::from(late.tier.leaving_bytes() > 0);
            assert!(storage.bytes() <= LIMIT + LIMIT / 4 + (130 << 10), "{} bytes", storage.bytes());
            let from = rng.random_range(0..12_000_u32);
            let keys = BinaryArray::from_iter_values((from..from + 500).map(key));
            let window = i64::from(round / 30) + rng.random_range(-1..2_i64);
            let [found, expected] = [&late, &memory].map(|store| store.get(window, &keys).expect("the disk works"));
            assert_eq!(found, expected, "seed {seed}, round {round}");
            if round % 9 == 0 {
                snapshots.push([&late, &memory].map(|store| store.view().snapshot()));
            }
            late.yield_memory();
        }
        assert!(frozen > 20, "{frozen} epochs with something frozen");
        for [late, memory] in snapshots {
            assert_eq!(rows(&late), rows(&memory), "seed {seed}");
        }
        drop(late);
        assert_eq!(storage.bytes(), 0);
    }
}

/// Goal: records that are restored find what is frozen. Method: keys are restored, and removed by later records, with and without
/// a limit.
#[test]
fn what_is_frozen_is_removed_by_later_records() {
    let storage = Storage::new(300 << 10, LateDisk { fails: None });
    let (mut late, mut memory) = (MemoryStore::within(&storage), MemoryStore::default());
    let mut rng = StdRng::seed_from_u64(0);
    for _ in 0..200 {
        let from = rng.random_range(0..9_000_u32);
        let window = 0_i64.to_be_bytes();
        let keys = BinaryArray::from_iter_values((from..from + 600).map(|number| [&key(number)[..], &window].concat()));
        let is_removal = rng.random_bool(0.4);
        let values: BinaryArray = (0..600).map(|row| (!is_removal).then(|| vec![row as u8; 30])).collect();
        for store in [&mut late, &mut memory] {
            store.restore(&keys, &values).expect("record keys");
        }
        assert_eq!(late.len(), memory.len());
    }
    assert_eq!(rows(&late.view().snapshot()), rows(&memory.view().snapshot()));
}

/// Goal: a disk that fails later fails its store, at the latest when a commit would have to wait for it. Method: the second run
/// fails.
#[test]
fn a_disk_that_fails_later_fails_a_later_commit() {
    let mut store = MemoryStore::within(&Storage::new(300 << 10, LateDisk { fails: Some(1) }));
    let mut rng = StdRng::seed_from_u64(0);
    let mut rounds = 0;
    while store.failure().is_none() && rounds < 100 {
        change(&mut rng, [&mut store, &mut MemoryStore::default()], 0);
        rounds += 1;
    }
    assert_eq!(store.failure(), Some(ColdError::new("it is full")));
    assert!(store.seal().is_err(), "nothing is committed after that");
}
