//! Stores over files, and files that are full, damaged or gone.

use std::ops::Range;
use std::path::Path;

use arrow::array::{Array, BinaryArray};
use headwater_state::{ColdError, MemoryStore, Snapshot, Storage, Store};

/// Storage that moves everything as soon as it is committed.
fn storage(parent: &Path) -> Storage {
    super::storage(0, parent)
}

fn keys(numbers: Range<u32>) -> BinaryArray {
    BinaryArray::from_iter_values(numbers.map(|number| number.wrapping_mul(0x9E37_79B9).to_be_bytes()))
}

fn values(numbers: Range<u32>, round: u32) -> BinaryArray {
    BinaryArray::from_iter_values(numbers.map(|number| format!("{number} in round {round}")))
}

fn commit(store: &mut dyn Store) -> Result<usize, arrow::error::ArrowError> {
    let mut written = store.seal()?.keys.len();
    while let Some(rest) = store.sealed_rest()? {
        written += rest.keys.len();
    }
    store.commit();
    store.settle();
    Ok(written)
}

/// The folders of trees.
fn trees(parent: &Path) -> usize {
    let folders = std::fs::read_dir(parent).expect("it is there").flatten().filter(|entry| entry.path().is_dir());
    folders.map(|folder| std::fs::read_dir(folder.path()).expect("it is there").count()).sum()
}

/// Goal: what was moved is read, overwritten, removed and given back, while merges go on and snapshots stay as they are. Method:
/// many rounds over a few windows, each committed and moved at once, or while the rounds go on.
#[test]
fn a_store_over_files_is_like_one_in_memory() {
    for bytes_max in [0, super::CACHE_BYTES.0 + (500 << 10)] {
        is_like_one_in_memory(bytes_max);
    }
}

fn is_like_one_in_memory(bytes_max: usize) {
    let parent = tempfile::tempdir().expect("a folder");
    let storage = super::storage(bytes_max, parent.path());
    let (mut store, mut memory) = (MemoryStore::within(&storage), MemoryStore::default());
    let mut snapshots = Vec::new();
    for round in 0..60_u32 {
        let window = i64::from(round / 10);
        for store in [&mut store, &mut memory] {
            let some = round * 97 % 2_000..round * 97 % 2_000 + 3_000;
            store.put(window, &keys(some.clone()), &values(some, round));
            store.put(window, &keys(0..50), &BinaryArray::new_null(50));
            store.expire(window - 2);
            commit(store).expect("the folder is writable");
        }
        if round % 7 == 0 {
            snapshots.push((store.view().snapshot(), memory.view().snapshot()));
        }
        assert_eq!(store.len(), memory.len());
        for window in window - 3..=window {
            let asked = keys(round * 97 % 2_000..round * 97 % 2_000 + 1_500);
            let (found, expected) = (store.get(window, &asked), memory.get(window, &asked));
            assert_eq!(found.expect("it is readable"), expected.expect("it fits"), "round {round}, window {window}");
        }
    }
    for (snapshot, expected) in snapshots {
        let rows = |snapshot: &Snapshot| {
            let mut rows = Vec::new();
            for batch in snapshot.scan(.., 1_000).map(|batch| batch.expect("it is readable")) {
                let each = batch.windows.values().iter().zip(batch.keys.iter().zip(&batch.values));
                rows.extend(
                    each.map(|(window, (key, value))| (*window, key.map(<[u8]>::to_vec), value.map(<[u8]>::to_vec))),
                );
            }
            rows.sort();
            rows
        };
        assert_eq!(rows(&snapshot), rows(&expected));
    }
    assert_eq!(trees(parent.path()), 1);
    drop((store, memory));
    // A merge that is running may keep the folder for a moment.
    drop(storage);
    for _ in 0..1_000 {
        if std::fs::read_dir(parent.path()).expect("it is there").count() == 0 {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    panic!("the folder is left");
}

/// Goal: the keys of large windows leave the changelog although they do not fit in one piece.
#[test]
fn the_keys_of_a_large_window_leave_the_changelog_in_pieces() {
    let parent = tempfile::tempdir().expect("a folder");
    let mut store = MemoryStore::within(&storage(parent.path()));
    for from in [0, 100_000] {
        store.put(7, &keys(from..from + 100_000), &values(from..from + 100_000, 1));
        commit(&mut store).expect("the folder is writable");
    }
    store.remove_window(7);
    let first = store.seal().expect("it is readable");
    let mut removed = vec![first];
    while let Some(rest) = store.sealed_rest().expect("it is readable") {
        removed.push(rest);
    }
    assert!(removed.len() > 2, "{} pieces", removed.len());
    assert_eq!(removed.iter().map(|piece| piece.values.null_count()).sum::<usize>(), 200_000);
    store.commit();
    store.settle();
    assert_eq!((store.len(), trees(parent.path())), (0, 0), "an empty tree is deleted");
}

fn failure(store: &mut MemoryStore) -> String {
    store.put(0, &keys(0..10), &values(0..10, 1));
    // The failure of a commit, whose changes are in the changelog, is reported by what follows.
    let error = commit(store).and_then(|_| store.seal().map(drop)).expect_err("the disk has failed");
    assert_eq!(ColdError::behind(&error), store.failure().as_ref());
    error.to_string()
}

#[test]
fn a_folder_that_cannot_be_created_is_named() {
    let parent = tempfile::tempdir().expect("a folder");
    let file = parent.path().join("file");
    std::fs::write(&file, "").expect("it is writable");
    let error = failure(&mut MemoryStore::within(&storage(&file.join("state"))));
    assert!(error.contains("could not create a folder for state in") && error.ends_with("not a directory"), "{error}");
}

/// Goal: a folder that vanishes fails the stores that used it, and no others. Method: it is deleted between two commits.
#[test]
fn a_folder_that_vanishes_is_replaced_for_new_stores() {
    let parent = tempfile::tempdir().expect("a folder");
    let storage = storage(parent.path());
    let mut store = MemoryStore::within(&storage);
    store.put(0, &keys(0..10), &values(0..10, 0));
    commit(&mut store).expect("the folder is writable");
    // A merge that is running may still create files.
    while std::fs::remove_dir_all(parent.path()).is_err() {}
    let error = failure(&mut store);
    assert!(
        error.contains("state") && error.contains(" \"/") && error.ends_with("no such file or directory"),
        "{error}"
    );
    let mut other = MemoryStore::within(&storage);
    other.put(0, &keys(0..10), &values(0..10, 0));
    commit(&mut other).expect("the folder is created again");
    assert_eq!(other.get(0, &keys(0..10)).expect("it is readable"), values(0..10, 0));
}

/// Goal: damage is found. Method: a byte of each table is changed.
#[test]
fn a_damaged_file_is_found_when_it_is_read() {
    let parent = tempfile::tempdir().expect("a folder");
    let mut store = MemoryStore::within(&storage(parent.path()));
    store.put(0, &keys(0..1_000), &values(0..1_000, 0));
    commit(&mut store).expect("the folder is writable");
    for folder in std::fs::read_dir(parent.path()).expect("it is there").flatten() {
        let Ok(tables) = std::fs::read_dir(folder.path().join("0/tables")) else { continue };
        for table in tables.flatten() {
            let mut bytes = std::fs::read(table.path()).expect("it is there");
            bytes[100] ^= 1;
            std::fs::write(table.path(), bytes).expect("it is writable");
        }
    }
    let error = store.get(0, &keys(0..1_000)).expect_err("it is damaged").to_string();
    assert!(error.contains("could not read state from") && error.contains("a file in it is damaged"), "{error}");
    assert!(store.seal().is_err(), "nothing is committed after that");
}
