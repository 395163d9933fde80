//! Tests of retention: which segments go, and that the log is whole afterwards, however the broker ended.

use super::batch::testing;
use super::loss_tests::{MemoryExtents, open_with};
use super::tests::{fill, opening, read_all, rules, small_segments};
use super::*;

const NOW_MS: i64 = 1_000;

/// A log with segments of a few batches of two records each, with these timestamps.
fn log_with(times_ms: &[i64]) -> Log {
    let log = Log::open(opening(SegmentStore::Memory)).expect("opens");
    fill(&log, &small_segments(), times_ms);
    log
}

fn by_age(age_ms_max: i64) -> Retention {
    Retention { age_ms_max: Some(age_ms_max), bytes_max: None }
}

/// Goal: a segment goes when its latest record is too old, and never one behind a segment that stays. Method: segments that become
/// younger, with one that is old behind a young one.
#[test]
fn segments_go_by_the_age_of_their_latest_record() {
    let times_ms: Vec<i64> = (0..40).map(|batch| if batch < 30 { 100 + batch * 10 } else { 1 }).collect();
    let log = log_with(&times_ms);
    let kept = |age_ms_max| (log.kept_from(&by_age(age_ms_max), NOW_MS) / 2) as usize;
    assert_eq!(kept(900), 0, "a record at 100 is just young enough");
    let half = kept(750);
    assert!((1..=15).contains(&half), "{half}");
    assert!(times_ms[..half].iter().all(|time_ms| *time_ms < 250));
    assert!((20..30).contains(&kept(620)), "the segment with the latest time stays, and so do all behind it");
    assert_eq!(kept(500), 40);
    assert_eq!(kept(i64::MAX), 0);
}

/// Goal: as many segments stay as are needed for the bytes.
#[test]
fn segments_go_by_the_bytes_of_all() {
    let log = log_with(&[5; 40]);
    for bytes_max in (0..=log.bytes()).step_by(97) {
        let log = log_with(&[5; 40]);
        let kept_from = log.kept_from(&Retention { age_ms_max: None, bytes_max: Some(bytes_max) }, NOW_MS);
        log.delete_before(kept_from).expect("moves");
        assert!(log.bytes() >= bytes_max && log.bytes() < bytes_max + 400 + 100, "{} of {bytes_max}", log.bytes());
    }
}

#[test]
fn records_of_open_transactions_are_kept() {
    let (log, producer) = (log_with(&[5; 20]), Producer { id: 7, epoch: 0 });
    log.announce(producer).expect("may write");
    log.append(&testing::batch(producer, 0, 1, 5, true), &small_segments(), 0).expect("appends");
    fill(&log, &small_segments(), &[5; 20]);
    assert!(log.kept_from(&by_age(1), NOW_MS) <= 40);
    log.end_transaction(producer, false, &small_segments(), 0).expect("ends");
    assert_eq!(log.kept_from(&by_age(1), NOW_MS), log.ends().end);
}

/// Goal: all records can leave the disk, and nothing is missed or given again afterwards, wherever the broker was killed. Method: the
/// start is saved, and then the broker ends before the last segment ends, before files are removed, or after it.
#[test]
fn a_log_without_records_continues_at_its_end() {
    for killed_after in 0..3 {
        let (folder, extents) = (tempfile::tempdir().expect("a folder"), MemoryExtents::default());
        let log = open_with(&extents, folder.path(), 0);
        fill(&log, &small_segments(), &[5; 20]);
        let start = log.kept_from(&by_age(1), NOW_MS);
        assert_eq!(start, 40);
        if killed_after > 0 {
            log.roll(&small_segments()).expect("rolls");
        }
        if killed_after > 1 {
            log.delete_before(start).expect("moves");
            assert_eq!(log.bytes(), 0);
        }
        drop(log);
        for round in 0..3 {
            let log = open_with(&extents, folder.path(), start);
            assert_eq!((log.ends().start, log.ends().end), (start, start + 2 * round), "killed after {killed_after}");
            assert!(log.bytes() < 800, "segments before the start are removed: {}", log.bytes());
            fill(&log, &rules(), &[5]);
            assert_eq!(read_all(&log, 1_000).len() as i64, round + 1);
        }
    }
}

#[test]
fn a_segment_ends_when_its_first_record_is_old() {
    let (log, days) =
        (Log::open(opening(SegmentStore::Memory)).expect("opens"), AppendRules { segment_ms: 10, ..rules() });
    fill(&log, &days, &[100, 110, 111, 105, 121, 122]);
    // The second record of a batch is 1 ms later.
    let latest = [110, 111, 121, 122, 123].map(|time_ms| log.kept_from(&by_age(NOW_MS - time_ms - 1), NOW_MS));
    assert_eq!(latest, [0, 4, 4, 10, 12], "segments of 100 to 111, 111 to 122, and 122 to 123");
}
