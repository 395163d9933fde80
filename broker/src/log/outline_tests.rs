//! Tests of opening a log with outlines: closed segments are not read, and everything is as if they were.

use std::fs;

use super::batch::testing;
use super::tests::{PRODUCER, fill, open, read_around, small_segments};
use super::*;

/// A log of several segments with records of an idempotent producer, an aborted transaction, and one that is open at the end.
fn filled(log: &Log) {
    let [other, late] = [8, 9].map(|id| Producer { id, epoch: 0 });
    fill(log, &small_segments(), &[5; 5]);
    log.append(&testing::batch(PRODUCER, 0, 3, 7, false), &small_segments(), 0).expect("appends");
    for producer in [other, late] {
        log.announce(producer).expect("may write");
        log.append(&testing::batch(producer, 0, 2, 9, true), &small_segments(), 0).expect("appends");
    }
    fill(log, &small_segments(), &[5; 10]);
    log.end_transaction(other, false, &small_segments(), 0).expect("ends");
    fill(log, &small_segments(), &[5; 20]);
}

/// All that a log tells of itself.
fn told(log: &Log) -> String {
    let ends = log.ends();
    let reader = |isolation| log.read(0, 1 << 20, isolation, true).expect("reads").aborted;
    let times = [5, 7, 9, 10].map(|ms| log.offset_of_time(ms, Isolation::ReadUncommitted).expect("reads"));
    let transactions = (log.open_transactions(), reader(Isolation::ReadCommitted));
    format!("{ends:?} {transactions:?} {times:?} {:?} {}", log.activity(), log.bytes())
}

/// Goal: with outlines a log is what it is without. Method: the same log is opened in both ways, and continued.
#[test]
fn a_log_is_the_same_with_outlines_and_without() {
    let mut all = Vec::new();
    for has_outlines in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        filled(&open(folder.path()));
        // Producers have the times of their batches after a restart.
        let log = open(folder.path());
        if has_outlines {
            log.write_outlines().expect("writes");
        }
        drop(log);
        let log = open(folder.path());
        let is_outlined = log.state.lock().segments.iter().filter(|segment| segment.is_outlined).count();
        assert_eq!(is_outlined > 5, has_outlines, "{is_outlined}");
        let again = log.append(&testing::batch(PRODUCER, 0, 3, 7, false), &small_segments(), 0).expect("is a repeat");
        assert_eq!(again.base_offset, 10);
        let late = Producer { id: 9, epoch: 0 };
        log.append(&testing::batch(late, 2, 2, 9, true), &small_segments(), 0).expect("its transaction goes on");
        all.push((told(&log), read_around(&log)));
    }
    assert_eq!(all[0], all[1]);
}

/// Goal: closed segments are not read: a start takes as long as the open segment is. Method: their bytes are destroyed.
#[test]
fn closed_segments_are_not_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = open(folder.path());
    filled(&log);
    log.write_outlines().expect("writes");
    let (ends, activity) = (log.ends(), log.activity().len());
    let last = log.state.lock().segments.last().expect("there is one").medium.name();
    drop(log);
    for entry in fs::read_dir(folder.path()).expect("is there") {
        let path = entry.expect("is there").path();
        if path.extension().is_some_and(|ending| ending == "log") && path.display().to_string() != last {
            let bytes = fs::metadata(&path).expect("is there").len();
            fs::write(&path, vec![0xff; bytes as usize]).expect("writes");
        }
    }
    let log = open(folder.path());
    assert_eq!((log.ends(), log.activity().len()), (ends, activity));
    assert!(log.read(0, 1_000, Isolation::ReadUncommitted, true).is_err(), "what is destroyed is not served");
    assert_eq!(
        log.append(&testing::batch(PRODUCER, 0, 3, 7, false), &small_segments(), 0).expect("appends").base_offset,
        10
    );
}

/// Goal: an outline that does not fit is as good as none. Method: a segment is cut, an outline is damaged, each in turn.
#[test]
fn an_outline_that_does_not_fit_is_ignored() {
    for at in 0..6 {
        for cuts in [true, false] {
            let folder = tempfile::tempdir().expect("a folder");
            let log = open(folder.path());
            filled(&log);
            let before = read_around(&log);
            log.write_outlines().expect("writes");
            let name = log.state.lock().segments[at].medium.name();
            drop(log);
            let file = if cuts { name } else { name.replace(".log", ".outline") };
            let bytes = fs::read(&file).expect("reads");
            fs::write(&file, &bytes[..bytes.len() - 1]).expect("writes");
            let (found, corrupt) = read_around(&open(folder.path()));
            match cuts {
                true => assert!(!corrupt.is_empty() && found.len() == before.0.len() - 1, "segment {at}"),
                false => assert_eq!((found, corrupt), before, "segment {at}"),
            }
        }
    }
}

/// Goal: outlines go with their segments.
#[test]
fn nothing_is_left_of_removed_segments() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = open(folder.path());
    filled(&log);
    log.write_outlines().expect("writes");
    log.end_transaction(Producer { id: 9, epoch: 0 }, true, &small_segments(), 0).expect("ends");
    log.roll(&small_segments()).expect("rolls");
    log.delete_before(-1).expect("deletes");
    assert_eq!(fs::read_dir(folder.path()).expect("is there").count(), 1, "the open segment");
}
