//! The memory of a store, and its contract with and without a disk.

use std::ops::Range;

use super::*;
use crate::contract::commit;
use crate::{Cold, ColdSnapshot, Disk, MemoryDisk, Run, contract};

#[test]
fn it_is_a_store() {
    contract::holds(|| Box::new(MemoryStore::default()));
}

#[test]
fn it_is_a_store_while_everything_moves_to_disk() {
    contract::holds(|| Box::new(MemoryStore::within(&Storage::new(1, MemoryDisk))));
}

/// Goal: memory is given back. Method: values that grow and keys that go, over many epochs.
#[test]
fn what_is_unused_is_given_back() {
    let mut store = MemoryStore::default();
    let key = |number: u32| BinaryArray::from_vec(vec![&number.to_be_bytes()]);
    for round in 0..2_000 {
        let value = vec![0_u8; 50 + round as usize % 100];
        store.put(0, &key(round), &BinaryArray::from_vec(vec![&value]));
        store.put(0, &key(round.saturating_sub(10)), &BinaryArray::new_null(1));
        store.seal().expect("it is small");
        commit(&mut store);
    }
    assert_eq!(store.len(), 10);
    assert!(store.bytes() < 32 << 10, "{} bytes", store.bytes());
}

/// Goal: a restore takes no more memory than what it restores. Method: a changelog that is far longer than the state.
#[test]
fn what_later_records_replace_is_given_back() {
    let mut store = MemoryStore::default();
    for round in 0..2_000_u32 {
        let key = [&round.to_be_bytes()[..], &0_i64.to_be_bytes()].concat();
        for value in [Some(&[0_u8; 100][..]), None] {
            let keys = BinaryArray::from_vec(vec![&key]);
            store.restore(&keys, &BinaryArray::from_opt_vec(vec![value])).expect("a record key");
        }
    }
    let keys = BinaryArray::from_vec(vec![b"k\0\0\0\0\0\0\0\0"]);
    store.restore(&keys, &keys).expect("a record key");
    for bytes in 0..2_000 {
        store.restore(&keys, &BinaryArray::from_vec(vec![&vec![0; bytes]])).expect("a record key");
    }
    assert_eq!(store.len(), 1);
    assert!(store.bytes() < 32 << 10, "{} bytes", store.bytes());
}

#[test]
fn a_window_that_expires_gives_its_memory_back() {
    let mut store = MemoryStore::default();
    for window in 0..100 {
        let keys: BinaryArray = (0..100_u32).map(|key| Some(key.to_be_bytes())).collect();
        store.put(window * 10, &keys, &keys);
    }
    store.seal().expect("it is small");
    let (len, bytes) = (store.len(), store.bytes());
    store.expire(500);
    assert_eq!(store.len(), len / 2);
    (0..2).for_each(|_| store.seal().map(|_| commit(&mut store)).expect("it is small"));
    assert!((bytes * 2 / 5..bytes * 3 / 5).contains(&store.bytes()), "{} of {bytes}", store.bytes());
    store.expire(i64::MAX);
    assert_eq!((store.len(), store.is_empty()), (0, true));
    (0..2).for_each(|_| store.seal().map(|_| commit(&mut store)).expect("it is small"));
    assert_eq!(store.bytes(), 0);
}

/// Goal: all stores together keep to the limit, and one that is idle yields to one that grows. Method: two stores with more state
/// than the limit, one after the other.
#[test]
fn an_idle_store_yields_memory_to_one_that_grows() {
    const LIMIT: usize = 4 << 20;
    let storage = Storage::new(LIMIT, MemoryDisk);
    let mut stores = [MemoryStore::within(&storage), MemoryStore::within(&storage)];
    let keys = |batch: u64| BinaryArray::from_iter_values((batch * 1_000..(batch + 1) * 1_000).map(u64::to_be_bytes));
    let mut bytes = Vec::new();
    for at in [0, 1] {
        for batch in 0..60 {
            let values = BinaryArray::from_iter_values(std::iter::repeat_n([7_u8; 100], 1_000));
            stores[at].put(0, &keys(batch), &values);
            stores[at].seal().expect("the disk works");
            commit(&mut stores[at]);
            stores[1 - at].yield_memory();
            assert!(storage.bytes() <= LIMIT + (1 << 20), "{} bytes", storage.bytes());
        }
        bytes.push(stores.each_ref().map(Store::bytes));
    }
    assert!(bytes[0][0] > LIMIT / 2, "nobody else needs it: {bytes:?}");
    assert!(bytes[1][0] < LIMIT * 2 / 3 && bytes[1][1] > LIMIT / 4, "both need it: {bytes:?}");
    assert_eq!(stores.each_ref().map(Store::len), [60_000, 60_000]);
    for store in &stores {
        assert_eq!(store.get(0, &keys(3)).expect("the disk works").null_count(), 0);
    }
    drop(stores);
    assert_eq!(storage.bytes(), 0);
}

/// A disk that forgets nothing.
#[derive(Debug)]
struct Forgetless;

#[derive(Debug)]
struct ForgetlessPlace(Box<dyn Cold>);

impl Disk for Forgetless {
    fn open(&self) -> Result<Box<dyn Cold>, ColdError> {
        Ok(Box::new(ForgetlessPlace(MemoryDisk.open()?)))
    }
}

impl Cold for ForgetlessPlace {
    fn write(&mut self, run: Run) -> Result<(), ColdError> {
        self.0.write(run)
    }

    fn written(&self, least: u64) -> Result<u64, ColdError> {
        self.0.written(least)
    }

    fn forget(&mut self, _: Range<u64>) -> Result<(), ColdError> {
        Err(ColdError::new("it forgets nothing"))
    }

    fn snapshot(&self) -> Arc<dyn ColdSnapshot> {
        self.0.snapshot()
    }
}

/// Goal: a store whose disk failed during a restore is not used. Method: a window of two leaves the changelog.
#[test]
fn a_disk_that_fails_during_a_restore_is_known() {
    let mut store = MemoryStore::within(&Storage::new(1, Forgetless));
    let keys = [1_i64, 2].map(|window| [&b"k"[..], &window.to_be_bytes()].concat());
    let all = BinaryArray::from_iter_values(&keys);
    store.restore(&all, &all).expect("the disk can be written");
    let error = store.restore(&all.slice(0, 1), &BinaryArray::new_null(1)).expect_err("the window is on disk");
    assert_eq!(ColdError::behind(&error), store.failure().as_ref());
    assert_eq!(error.to_string(), "External error: it forgets nothing");
}
