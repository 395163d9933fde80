//! Tests of logs whose files are gone: the loss is noticed, and no lost offset is assigned again.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use kafka_protocol::ResponseError;

use super::tests::{Heard, fill, opening, read_all, read_around, rules, small_segments};
use super::*;

/// A store that outlives its log.
#[derive(Clone, Debug, Default)]
pub(super) struct MemoryExtents(Arc<parking_lot::Mutex<Option<Extent>>>);

impl MemoryExtents {
    pub(super) fn saved(&self) -> Option<Extent> {
        *self.0.lock()
    }
}

impl ExtentStore for MemoryExtents {
    fn save(&self, extent: Extent) -> std::io::Result<()> {
        *self.0.lock() = Some(extent);
        Ok(())
    }
}

pub(super) fn open_with(extents: &MemoryExtents, folder: &Path, start_offset: i64) -> Log {
    let store = SegmentStore::Folder { path: folder.to_owned(), handles: Arc::default() };
    let saved_extent = extents.saved();
    let extent_store: Option<Box<dyn ExtentStore>> = Some(Box::new(extents.clone()));
    Log::open(Opening { start_offset, extent_store, saved_extent, ..opening(store) }).expect("opens")
}

/// Goal: whichever file is removed, its offsets are refused, all others are readable, and none is assigned again,
/// however the broker ended and however often it starts. Method: each segment of a log is removed in turn, and then all
/// of them.
#[test]
fn what_is_removed_is_missed_and_not_given_again() {
    for (ended, removed) in [false, true].into_iter().flat_map(|ended| (0..=20).map(move |at| (ended, at))) {
        let (folder, extents) = (tempfile::tempdir().expect("a folder"), MemoryExtents::default());
        let log = open_with(&extents, folder.path(), 0);
        fill(&log, &small_segments(), &[5; 20]);
        let entries = fs::read_dir(folder.path()).expect("is there");
        let mut files: Vec<_> = entries.map(|entry| entry.expect("is there").path()).collect();
        files.sort();
        if removed > files.len() {
            continue;
        }
        if ended {
            log.close(ResponseError::NotLeaderOrFollower).expect("closes");
        }
        drop(log);
        match removed.checked_sub(1) {
            Some(at) => fs::remove_file(&files[at]).expect("removes"),
            None => fs::remove_dir_all(folder.path()).expect("removes"),
        }
        let mut first_end = None;
        for _ in 0..2 {
            let log = open_with(&extents, folder.path(), 0);
            let end = log.ends().end;
            assert!(log.ends().start == 0 && end >= 40, "offsets are not given again");
            let refused = |offset| log.read(offset, 1_000, Isolation::ReadUncommitted, true).is_err();
            let missing: Vec<i64> = (0..40).filter(|offset| refused(*offset)).collect();
            let per_file = 40 / files.len() as i64 + 2;
            assert!(!missing.is_empty() && (removed == 0) == (missing.len() == 40), "{missing:?}");
            assert!(removed == 0 || missing.len() as i64 <= per_file, "{missing:?}");
            assert!((40..*first_end.get_or_insert(end)).step_by(1_000).all(refused));
            fill(&log, &rules(), &[5]);
            assert_eq!(log.ends().end, end + 2);
            assert!(log.read(end, 1_000, Isolation::ReadUncommitted, true).is_ok());
        }
    }
}

#[test]
fn deleting_records_up_to_behind_what_is_lost_makes_the_log_whole() {
    let (folder, extents) = (tempfile::tempdir().expect("a folder"), MemoryExtents::default());
    fill(&open_with(&extents, folder.path(), 0), &small_segments(), &[5; 20]);
    fs::remove_dir_all(folder.path()).expect("removes");
    let log = open_with(&extents, folder.path(), 0);
    let end = log.delete_before(-1).expect("moves");
    assert_eq!(log.readable_bytes(end, Isolation::ReadUncommitted), Ok(0));
    fill(&log, &rules(), &[5]);
    for log in [log, open_with(&extents, folder.path(), end)] {
        assert_eq!((log.ends().start, read_all(&log, 1_000)), (end, vec![(end, end + 1)]));
    }
}

/// A log that was not written to since it was opened is not reported as lost.
#[test]
fn what_is_there_is_not_missed() {
    let (folder, extents) = (tempfile::tempdir().expect("a folder"), MemoryExtents::default());
    for round in 0..6 {
        let log = open_with(&extents, folder.path(), 0);
        assert_eq!(read_all(&log, 1_000).len(), usize::div_ceil(round, 2) * 10);
        if round % 2 == 0 {
            fill(&log, &small_segments(), &[5; 10]);
        }
        if round % 3 == 0 {
            log.close(ResponseError::NotLeaderOrFollower).expect("closes");
        }
    }
}

#[test]
fn bytes_that_are_cut_off_after_an_orderly_end_are_missed() {
    let (folder, extents) = (tempfile::tempdir().expect("a folder"), MemoryExtents::default());
    let log = open_with(&extents, folder.path(), 0);
    fill(&log, &rules(), &[5; 3]);
    log.close(ResponseError::NotLeaderOrFollower).expect("closes");
    let file = folder.path().join("00000000000000000000.log");
    let whole = fs::read(&file).expect("reads");
    fs::write(&file, &whole[..whole.len() / 3]).expect("writes");
    let log = open_with(&extents, folder.path(), 0);
    assert_eq!((log.ends().end, read_around(&log)), (6, (vec![(0, 1)], vec![2, 3, 4, 5])));
    fill(&log, &rules(), &[5]);
    assert_eq!(read_around(&log).0, [(0, 1), (6, 7)]);
}

/// A loss is logged with topic, partition and offsets when the log is opened.
#[test]
fn what_is_lost_is_reported_at_start() {
    let (folder, extents) = (tempfile::tempdir().expect("a folder"), MemoryExtents::default());
    fill(&open_with(&extents, folder.path(), 0), &small_segments(), &[5; 20]);
    fs::remove_file(folder.path().join(format!("{:020}.log", 10))).expect("removes");
    let heard = Heard::default();
    tracing::subscriber::with_default(heard.clone(), || open_with(&extents, folder.path(), 0));
    let lines = heard.0.lock().clone();
    assert_eq!(lines.len(), 1, "{lines:?}");
    for word in ["topic=\"t\"", "partition=0", "first_offset=10", "next_offset=20"] {
        assert!(lines[0].contains(word), "{lines:?}");
    }
}
