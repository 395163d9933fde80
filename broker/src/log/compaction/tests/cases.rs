//! Single cases: what must stay, what must not be missed, and what fails.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use kafka_protocol::ResponseError;

use super::super::super::batch::BatchHeader;
use super::super::super::tests::{read_around, small_segments};
use super::reader::Reader;
use super::*;

/// Goal: removals of keys stay for their time after the first compaction, and go with a later one.
#[test]
fn removals_stay_for_their_time() {
    let mut kept = Kept::in_memory();
    let removal = testing::with_keys(Producer::NONE, -1, &[(vec![1], None)], 5, false);
    fill(&kept.log, 0..30);
    kept.log.append(&removal, &small_segments(), 0).expect("appends");
    let has_removal = |kept: &Kept| Reader::read_all(&kept.log).seen.contains_key(&30);
    for (now_ms, is_there) in [(1_000, true), (1_099, true), (1_100, false)] {
        fill(&kept.log, 100..120);
        kept.compact(&eager(), 1_000, 9, now_ms).expect("is worth it");
        assert_eq!(has_removal(&kept), is_there, "at {now_ms}");
        assert!(!Reader::read_all(&kept.log).values.contains_key(&vec![1]));
    }
}

/// Goal: what is too young, not decided, or not worth it stays.
#[test]
fn it_begins_when_it_may_and_is_worth_it() {
    let log = Log::open(opening(SegmentStore::Memory)).expect("opens");
    assert!(log.plan_compaction(&eager(), 1_000).is_none(), "nothing is there");
    let producer = Producer { id: 7, epoch: 0 };
    log.announce(producer).expect("may write");
    let open = testing::with_keys(producer, 0, &[(vec![1], Some(vec![1]))], 5, true);
    log.append(&open, &small_segments(), 0).expect("appends");
    fill(&log, 0..30);
    assert!(log.plan_compaction(&eager(), 1_000).is_none(), "it is not decided");
    log.end_transaction(producer, true, &small_segments(), 0).expect("ends");
    assert!(log.plan_compaction(&eager(), 1_000).is_some());
    let young = Compaction { lag_ms_min: 100, ..eager() };
    assert!(log.plan_compaction(&young, 104).is_none() && log.plan_compaction(&young, 105).is_some());
    let mut kept = Kept { log, ..Kept::in_memory() };
    kept.compact(&eager(), 1_000, 9, 1_000).expect("is worth it");
    fill(&kept.log, 30..40);
    let half = Compaction { dirty_ratio_min: 0.5, ..eager() };
    assert!(kept.log.plan_compaction(&half, 1_000).is_none(), "less than half is new");
    let overdue = Compaction { lag_ms_max: 900, ..half };
    assert!(kept.log.plan_compaction(&overdue, 1_000).is_some());
    fill(&kept.log, 0..30);
    assert!(kept.log.plan_compaction(&half, 1_000).is_some());
}

/// Goal: a lost or cut file of a compacted log is noticed although its offsets have gaps, and its offsets are not given again.
#[test]
fn what_is_lost_of_a_compacted_log_is_missed() {
    let files = |kept: &Kept| kept.files().len() - 1;
    let compacted = || {
        let mut kept = Kept::in_folder();
        fill(&kept.log, (0..100).map(|at| at % 50));
        kept.compact(&eager(), 1_000, 9, 1_000).expect("is worth it");
        kept
    };
    let count = files(&compacted());
    assert!(count > 3, "{count}");
    for (at, cuts) in (0..count).flat_map(|at| [(at, false), (at, true)]) {
        let mut kept = compacted();
        let (before, end) = (read_around(&kept.log).0, kept.log.ends().end);
        let file = &kept.files()[at];
        let bytes = fs::read(file).expect("reads");
        let first = BatchHeader::parse(&bytes).expect("a header");
        match cuts {
            // At the end of a batch, so that only its length tells.
            true => fs::write(file, &bytes[..first.bytes]).expect("writes"),
            false => fs::remove_file(file).expect("removes"),
        }
        kept.restart();
        let (found, corrupt) = read_around(&kept.log);
        assert!(!corrupt.is_empty() && found.len() < before.len(), "file {at}");
        assert!(found.iter().all(|batch| before.contains(batch)));
        let missing = before.iter().filter(|batch| !found.contains(batch));
        assert!(
            missing.clone().count() > 0
                && missing.flat_map(|(first, last)| *first..=*last).all(|offset| corrupt.contains(&offset))
        );
        assert_eq!(kept.log.ends().end, end);
    }
}

/// Goal: a segment with damage stays byte for byte, and the others are compacted.
#[test]
fn a_damaged_segment_stays_as_it_is() {
    for is_noticed_before in [true, false] {
        let mut kept = Kept::in_folder();
        fill(&kept.log, (0..100).map(|at| at % 50));
        let damaged = kept.files()[3].clone();
        let mut bytes = fs::read(&damaged).expect("reads");
        bytes[30..34].fill(0xff);
        fs::write(&damaged, &bytes).expect("writes");
        if is_noticed_before {
            // Only a broken length is noticed when headers are read.
            bytes[8..12].fill(0x7f);
            fs::write(&damaged, &bytes).expect("writes");
            kept.restart();
        }
        let plan = kept.log.plan_compaction(&eager(), 1_000).expect("is worth it");
        match plan.run(&|| false) {
            Ok(outcome) => outcome.discard(),
            Err(Failed::Unsound(medium, _)) => kept.log.keep_as_it_is(&medium),
            Err(failed) => panic!("{failed:?}"),
        }
        let counts = kept.compact(&eager(), 1_000, 9, 1_000).expect("is worth it");
        assert!(counts.records_after < counts.records_before);
        assert_eq!(fs::read(&damaged).expect("is there"), bytes);
        if is_noticed_before {
            let before = read_around(&kept.log);
            kept.restart();
            assert_eq!(read_around(&kept.log), before);
        }
        assert!(kept.log.plan_compaction(&eager(), 1_000).is_none(), "it is not tried for ever");
    }
}

/// Goal: a full disk changes nothing, and leaves nothing behind.
#[test]
fn a_full_disk_leaves_the_log_as_it_was() {
    let mut kept = Kept::in_folder();
    fill(&kept.log, (0..100).map(|at| at % 50));
    let (files, before) = (kept.files(), read_around(&kept.log));
    let full = kept.path().join("00000000000000000000.1.log");
    std::os::unix::fs::symlink("/dev/full", &full).expect("links");
    let plan = kept.log.plan_compaction(&eager(), 1_000).expect("is worth it");
    assert!(matches!(plan.run(&|| false), Err(Failed::Io(_))));
    assert_eq!((kept.files(), read_around(&kept.log)), (files, before));
    kept.compact(&eager(), 1_000, 9, 1_000).expect("there is room now");
}

#[test]
fn it_stops_with_the_log() {
    let kept = Kept::in_folder();
    fill(&kept.log, (0..100).map(|at| at % 50));
    let (files, plan) = (kept.files(), kept.log.plan_compaction(&eager(), 1_000).expect("is worth it"));
    let asked = std::cell::Cell::new(0);
    let is_stopped = || asked.replace(asked.get() + 1) > 120;
    assert!(matches!(plan.run(&is_stopped), Err(Failed::Stopped)));
    assert_eq!(kept.files(), files);
    kept.log.close(ResponseError::NotLeaderOrFollower).expect("closes");
    assert!(kept.log.plan_compaction(&eager(), 1_000).is_none());
}

/// Goal: reads and look-ups by time never fail while segments are replaced under them. Method: a reader in a thread, few open files.
#[test]
fn reads_go_on_meanwhile() {
    let mut kept = Kept::in_folder();
    fill(&kept.log, (0..200).map(|at| at % 50));
    let stop = AtomicBool::new(false);
    let log = Log::open(opening(SegmentStore::Memory)).expect("opens");
    let log = std::mem::replace(&mut kept.log, log);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                assert!(Reader::read_all(&log).values.len() >= 50);
                log.offset_of_time(5, Isolation::ReadUncommitted).expect("reads").expect("is there");
            }
        });
        for round in 0..60 {
            fill(&log, (0..40).map(|at| at % 20 + round % 30));
            let plan = log.plan_compaction(&eager(), 1_000).expect("is worth it");
            let outcome = plan.run(&|| false).expect("compacts");
            remove_segments(&log.replace(outcome));
        }
        stop.store(true, Ordering::Relaxed);
    });
}
