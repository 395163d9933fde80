//! Tests of a whole log, in files and in memory.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use tempfile::TempDir;
use tokio::sync::Notify;

use super::batch::{BatchHeader, testing};
use super::partition::{AppendRules, Ends};
use super::slice::Slice;
use super::*;
use crate::topic_partition::TopicPartition;

pub(super) const PRODUCER: Producer = Producer { id: 7, epoch: 0 };

pub(super) fn rules() -> AppendRules {
    AppendRules {
        batch_bytes_max: 1 << 20,
        segment_bytes: 1 << 30,
        segment_ms: i64::MAX,
        index_interval_bytes: 200,
        append_time: false,
        ahead_ms_max: i64::MAX,
        behind_ms_max: i64::MAX,
        keys_required: false,
        flush: Flush::System,
    }
}

pub(super) fn small_segments() -> AppendRules {
    AppendRules { segment_bytes: 400, ..rules() }
}

pub(super) fn open(folder: &Path) -> Log {
    open_trusting(folder, false).expect("opens")
}

fn open_trusting(folder: &Path, trusted: bool) -> Result<Log, RecoveryError> {
    Log::open(Opening { trusted, ..opening(SegmentStore::Folder { path: folder.to_owned(), handles: Arc::default() }) })
}

pub(super) fn opening(store: SegmentStore) -> Opening {
    Opening {
        topic_partition: TopicPartition { topic: "t".to_owned(), partition: 0 },
        store,
        start_offset: 0,
        index_interval_bytes: 200,
        trusted: false,
        fresh: false,
        extent_store: None,
        saved_extent: None,
        compacted: Compacted::default(),
    }
}

fn in_memory() -> Log {
    Log::open(opening(SegmentStore::Memory)).expect("opens")
}

/// Appends batches of two records with these timestamps.
pub(super) fn fill(log: &Log, rules: &AppendRules, times_ms: &[i64]) {
    for time_ms in times_ms {
        log.append(&testing::plain(2, *time_ms), rules, 0).expect("appends");
    }
}

/// The first and last offset of every batch.
fn batches(records: Slice) -> Vec<(i64, i64)> {
    let (mut batches, mut records) = (Vec::new(), records.read());
    while let Some(header) = BatchHeader::parse(&records) {
        assert!(header.checksum_fits(&records[..header.bytes]));
        batches.push((header.base_offset, header.last_offset()));
        records = records.slice(header.bytes..);
    }
    batches
}

/// Reads to the end in steps of at most `bytes_max` bytes.
pub(super) fn read_all(log: &Log, bytes_max: usize) -> Vec<(i64, i64)> {
    let mut all: Vec<(i64, i64)> = Vec::new();
    let mut offset = log.ends().start;
    while offset < log.ends().end {
        let fetched = log.read(offset, bytes_max, Isolation::ReadUncommitted, true).expect("reads");
        all.extend(batches(fetched.records));
        offset = all.last().expect("one batch at least").1 + 1;
    }
    all
}

fn segment_files(folder: &Path) -> usize {
    fs::read_dir(folder).expect("is there").count()
}

fn both() -> [(Log, Option<TempDir>); 2] {
    let folder = tempfile::tempdir().expect("a folder");
    [(open(folder.path()), Some(folder)), (in_memory(), None)]
}

#[test]
fn whole_batches_are_read_over_segments_and_by_any_size() {
    for (log, _folder) in both() {
        fill(&log, &small_segments(), &[1; 50]);
        let expected: Vec<_> = (0..50).map(|batch| (batch * 2, batch * 2 + 1)).collect();
        for bytes_max in [1, 100, 400, 1 << 20] {
            assert_eq!(read_all(&log, bytes_max), expected, "reads of {bytes_max} bytes");
        }
        let inside = log.read(31, 1, Isolation::ReadUncommitted, true).expect("reads");
        assert_eq!(batches(inside.records), [(30, 31)]);
        let nothing = log.read(31, 1, Isolation::ReadUncommitted, false).expect("reads");
        assert_eq!(nothing.records.len(), 0);
    }
}

/// Goal: what is old enough is forced to the disk once, and a segment that was removed meanwhile is no error. Method: the memory of
/// what was not forced, over several segments.
#[test]
fn writes_may_be_forced_to_the_disk_now_and_then() {
    let folder = tempfile::tempdir().expect("a folder");
    let (log, flush) = (open(folder.path()), Flush::Every(std::time::Duration::from_millis(300)));
    let rules = AppendRules { flush, ..small_segments() };
    let unsynced = || format!("{:?}", log.state.lock().unsynced);
    let nothing = unsynced();
    for now_ms in [1_000, 1_100] {
        for _ in 0..10 {
            log.append(&testing::plain(2, 5), &rules, now_ms).expect("appends");
        }
    }
    assert!(unsynced().contains("1000"), "the first write counts");
    log.sync_older(1_000).expect("syncs");
    assert_ne!(unsynced(), nothing, "none is older than 1000");
    log.sync_older(1_001).expect("syncs");
    assert_eq!(unsynced(), nothing);
    log.append(&testing::plain(2, 5), &rules, 1_200).expect("appends");
    log.roll(&rules).expect("rolls");
    log.delete_before(-1).expect("moves");
    log.sync_older(2_000).expect("what was removed is not forced");
    fill(&log, &small_segments(), &[5; 3]);
    assert_eq!(unsynced(), nothing, "other topics leave it to the system");
}

#[test]
fn every_append_may_be_forced_to_the_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let forced = AppendRules { flush: Flush::EveryAppend, ..small_segments() };
    fill(&open(folder.path()), &forced, &[1; 10]);
    assert_eq!(open(folder.path()).ends().end, 20);
}

#[test]
fn offsets_outside_the_log_are_out_of_range() {
    let log = in_memory();
    fill(&log, &rules(), &[1]);
    for offset in [-1, 3] {
        let read = log.read(offset, 100, Isolation::ReadUncommitted, true);
        assert_eq!(read.expect_err("is outside"), ResponseError::OffsetOutOfRange);
        let readable = log.readable_bytes(offset, Isolation::ReadUncommitted);
        assert_eq!(readable.expect_err("is outside"), ResponseError::OffsetOutOfRange);
    }
    assert_eq!(log.readable_bytes(2, Isolation::ReadUncommitted), Ok(0));
    assert!(log.readable_bytes(1, Isolation::ReadUncommitted).expect("is inside") > 0);
}

#[test]
fn a_restart_brings_everything_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = open(folder.path());
    fill(&log, &small_segments(), &[5; 20]);
    let numbered = testing::batch(PRODUCER, 0, 3, 5, false);
    let first = log.append(&numbered, &rules(), 0).expect("appends");
    let before = (log.ends(), read_all(&log, 1_000));
    log.close(ResponseError::NotLeaderOrFollower).expect("closes");
    assert_eq!(log.append(&numbered, &rules(), 0), Err(ResponseError::NotLeaderOrFollower));
    for trusted in [true, false] {
        let log = open_trusting(folder.path(), trusted).expect("opens");
        assert_eq!((log.ends(), read_all(&log, 1_000)), before);
        let again = log.append(&numbered, &rules(), 0).expect("is a repeat");
        assert_eq!(again.base_offset, first.base_offset);
        assert_eq!(log.ends(), before.0);
    }
}

#[test]
fn a_torn_tail_is_trimmed_wherever_it_is_torn() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = open(folder.path());
    fill(&log, &rules(), &[5; 3]);
    let file = folder.path().join("00000000000000000000.log");
    let whole = fs::read(&file).expect("reads");
    let batch = whole.len() / 3;
    for cut in batch * 2 + 1..whole.len() {
        fs::write(&file, &whole[..cut]).expect("writes");
        let log = open(folder.path());
        assert_eq!(log.ends().end, 4, "cut at {cut}");
        assert_eq!(fs::metadata(&file).expect("is there").len(), 2 * batch as u64);
        fill(&log, &rules(), &[5]);
        assert_eq!(read_all(&log, 1_000), [(0, 1), (2, 3), (4, 5)]);
    }
    let kept = file.with_extension(format!("log.{}.torn", batch * 2));
    assert_eq!(fs::read(&kept).expect("what was cut is kept"), whole[batch * 2..whole.len() - 1]);
    let mut flipped = whole.clone();
    flipped[batch * 2 + 70] ^= 1;
    fs::write(&file, &flipped).expect("writes");
    assert_eq!(open(folder.path()).ends().end, 4);
    fs::write(&file, [whole.as_slice(), &[0; 500]].concat()).expect("writes");
    assert_eq!(open(folder.path()).ends().end, 6);
}

/// The batches that can be read, and the offsets that are refused as corrupt.
pub(super) fn read_around(log: &Log) -> (Vec<(i64, i64)>, Vec<i64>) {
    let (mut found, mut corrupt) = (Vec::new(), Vec::new());
    let mut offset = log.ends().start;
    while offset < log.ends().end {
        match log.read(offset, 1_000, Isolation::ReadUncommitted, true) {
            Ok(fetched) => {
                found.extend(batches(fetched.records));
                offset = found.last().expect("one batch at least").1 + 1;
            }
            Err(error) => {
                assert_eq!(error, ResponseError::CorruptMessage);
                corrupt.push(offset);
                offset += 1;
            }
        }
    }
    (found, corrupt)
}

/// Goal: damage costs the batches it hit and no other byte, wherever it is and however the broker ended. Method:
/// overwrite one batch in the middle from every position on, and open the log.
#[test]
fn damage_in_front_of_valid_batches_is_no_torn_tail() {
    let folder = tempfile::tempdir().expect("a folder");
    fill(&open(folder.path()), &rules(), &[5; 30]);
    let file = folder.path().join("00000000000000000000.log");
    let whole = fs::read(&file).expect("reads");
    let batch = whole.len() / 30;
    for (at, trusted) in (0..batch).flat_map(|at| [(at, false), (at, true)]) {
        let mut damaged = whole.clone();
        damaged[batch * 10 + at..batch * 11].fill(0xff);
        fs::write(&file, &damaged).expect("writes");
        let log = open_trusting(folder.path(), trusted).expect("opens");
        assert_eq!(fs::read(&file).expect("reads"), damaged, "no byte is lost");
        assert_eq!(log.ends().end, 60, "damaged from byte {at}");
        if trusted && at >= 27 {
            continue; // lengths and offsets fit and checksums are not verified; only the client notices
        }
        assert_eq!(log.readable_bytes(21, Isolation::ReadUncommitted), Err(ResponseError::CorruptMessage));
        let (found, corrupt) = read_around(&log);
        assert_eq!((found.len(), corrupt), (29, vec![20, 21]), "damaged from byte {at}");
        fill(&log, &rules(), &[5]);
        assert_eq!(read_around(&log).0.last(), Some(&(60, 61)));
        assert_eq!(log.offset_of_time(6, Isolation::ReadUncommitted).expect("reads").expect("is there").offset, 1);
    }
}

#[test]
fn damage_in_front_of_the_last_segment_keeps_the_others() {
    let folder = tempfile::tempdir().expect("a folder");
    fill(&open(folder.path()), &small_segments(), &[5; 20]);
    let file = folder.path().join("00000000000000000000.log");
    let whole = fs::read(&file).expect("reads");
    fs::write(&file, &whole[..whole.len() - 1]).expect("writes");
    let log = open_trusting(folder.path(), true).expect("opens");
    let (found, corrupt) = read_around(&log);
    assert_eq!((found.len(), corrupt.len(), log.ends().end), (19, 2, 40));
    assert_eq!(fs::metadata(&file).expect("is there").len(), whole.len() as u64 - 1);
}

/// A disk can go bad while the broker runs.
#[test]
fn damage_that_is_met_while_reading_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = open(folder.path());
    fill(&log, &rules(), &[5; 3]);
    let file = folder.path().join("00000000000000000000.log");
    let mut bytes = fs::read(&file).expect("reads");
    let batch = bytes.len() / 3;
    bytes[batch..batch + 20].fill(0);
    fs::write(&file, &bytes).expect("writes");
    assert_eq!(read_around(&log), (vec![(0, 1)], vec![2, 3, 4, 5]));
}

#[test]
fn a_full_disk_fails_the_append_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("00000000000000000000.log");
    std::os::unix::fs::symlink("/dev/full", &file).expect("links");
    let handles = Arc::<Handles>::default();
    let store = SegmentStore::Folder { path: folder.path().to_owned(), handles };
    let log = Log::open(Opening { trusted: true, ..opening(store) }).expect("opens");
    let batch = testing::batch(PRODUCER, 0, 3, 5, false);
    for _ in 0..2 {
        assert_eq!(log.append(&batch, &rules(), 0), Err(ResponseError::KafkaStorageError));
        assert_eq!(log.ends(), Ends { start: 0, stable: 0, end: 0 });
    }
    drop(log);
    fs::remove_file(&file).expect("removes");
    let log = open(folder.path());
    assert_eq!(log.append(&batch, &rules(), 0).expect("appends").base_offset, 0);
}

/// The warnings and errors that were logged, with message and fields.
#[derive(Clone, Default)]
pub(super) struct Heard(pub(super) Arc<parking_lot::Mutex<Vec<String>>>);

impl tracing::field::Visit for Heard {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        if let Some(last) = self.0.lock().last_mut() {
            last.push_str(&format!("{}={value:?} ", field.name()));
        }
    }
}

impl tracing::Subscriber for Heard {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::Id {
        tracing::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::Id, _: &tracing::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        self.0.lock().push(String::new());
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &tracing::Id) {}
    fn exit(&self, _: &tracing::Id) {}
}

/// Goal: a full disk does not flood the log. Method: thousands of appends fail, then one succeeds.
#[test]
fn a_full_disk_is_reported_once_with_its_partition_and_so_is_its_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("00000000000000000000.log");
    std::os::unix::fs::symlink("/dev/full", &file).expect("links");
    let log = open(folder.path());
    let heard = Heard::default();
    tracing::subscriber::with_default(heard.clone(), || {
        for _ in 0..2_000 {
            assert!(log.append(&testing::plain(2, 5), &rules(), 0).is_err());
        }
        fs::remove_file(&file).expect("removes");
        fs::write(&file, "").expect("makes");
        log.state.lock().segments[0] =
            super::segment::Segment::new(&log.store, super::store::SegmentName::appended(0), 200);
        fill(&log, &rules(), &[5; 10]);
    });
    let lines = heard.0.lock().clone();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| line.contains("topic=\"t\"") && line.contains("partition=0")), "{lines:?}");
    assert!(lines[0].contains("No space left") && lines[1].contains("failures=2000"), "{lines:?}");
}

#[test]
fn a_segment_that_cannot_be_made_is_tried_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = open(folder.path());
    fill(&log, &small_segments(), &[5; 5]);
    let end = log.ends().end;
    let next = folder.path().join(format!("{end:020}.log"));
    fs::create_dir(&next).expect("makes a folder where the file should be");
    assert_eq!(log.append(&testing::plain(2, 5), &small_segments(), 0), Err(ResponseError::KafkaStorageError));
    assert_eq!(log.ends().end, end);
    fs::remove_dir(&next).expect("removes");
    fill(&log, &small_segments(), &[5]);
    assert_eq!(open(folder.path()).ends().end, end + 2);
}

#[test]
fn times_are_found_over_segments_though_they_go_back_and_forth() {
    for (log, _folder) in both() {
        let times_ms: Vec<i64> = (0..40).map(|at| 1_000 + at * 10 + if at % 7 == 0 { 500 } else { 0 }).collect();
        fill(&log, &small_segments(), &times_ms);
        let records: Vec<i64> = times_ms.iter().flat_map(|time_ms| [*time_ms, *time_ms + 1]).collect();
        for time_ms in 900..2_000 {
            let expected = records.iter().position(|record| *record >= time_ms);
            let found = log.offset_of_time(time_ms, Isolation::ReadUncommitted).expect("reads");
            assert_eq!(found.map(|found| found.offset), expected.map(|at| at as i64), "time {time_ms}");
        }
        let newest = log.offset_of_max_time(Isolation::ReadUncommitted).expect("reads").expect("there is one");
        assert_eq!(newest, TimedOffset { offset: 71, timestamp_ms: 1_851 });
    }
}

#[test]
fn readers_of_committed_records_stop_at_the_first_open_transaction() {
    let log = in_memory();
    fill(&log, &rules(), &[1]);
    let record = |sequence| testing::batch(PRODUCER, sequence, 1, 1, true);
    assert_eq!(log.append(&record(0), &rules(), 0), Err(ResponseError::InvalidTxnState));
    log.announce(PRODUCER).expect("may write");
    log.append(&record(0), &rules(), 0).expect("appends");
    fill(&log, &rules(), &[1]);
    assert_eq!(log.ends(), Ends { start: 0, stable: 2, end: 5 });
    let committed = log.read(0, 1_000, Isolation::ReadCommitted, true).expect("reads");
    assert_eq!(batches(committed.records), [(0, 1)]);
    assert_eq!(log.readable_bytes(2, Isolation::ReadCommitted), Ok(0));
    let all = log.read(0, 1_000, Isolation::ReadUncommitted, true).expect("reads");
    assert_eq!((batches(all.records).len(), all.aborted), (3, None));
    log.end_transaction(PRODUCER, false, &rules(), 0).expect("ends");
    assert_eq!(log.ends(), Ends { start: 0, stable: 6, end: 6 });
    let committed = log.read(0, 1_000, Isolation::ReadCommitted, true).expect("reads");
    let aborted = Aborted { producer_id: 7, first_offset: 2, last_offset: 5 };
    assert_eq!((batches(committed.records).len(), committed.aborted), (4, Some(vec![aborted])));
    assert_eq!(log.append(&record(1), &rules(), 0), Err(ResponseError::InvalidTxnState));
    log.end_transaction(PRODUCER, false, &rules(), 0).expect("has ended");
    assert_eq!(log.ends().end, 6);
}

#[test]
fn a_restart_knows_open_and_aborted_transactions() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = open(folder.path());
    for (sequence, ends) in [(0, true), (1, false)] {
        log.announce(PRODUCER).expect("may write");
        log.append(&testing::batch(PRODUCER, sequence, 1, 1, true), &rules(), 0).expect("appends");
        if ends {
            log.end_transaction(PRODUCER, false, &rules(), 0).expect("ends");
        }
    }
    let log = open(folder.path());
    assert_eq!(log.ends(), Ends { start: 0, stable: 2, end: 3 });
    assert_eq!(log.open_transactions(), [PRODUCER]);
    let read = log.read(0, 1_000, Isolation::ReadCommitted, true).expect("reads");
    assert_eq!(read.aborted, Some(vec![Aborted { producer_id: 7, first_offset: 0, last_offset: 1 }]));
    assert_eq!(log.activity()[0].transaction_start, Some(2));
}

#[test]
fn a_marker_of_a_newer_epoch_clears_the_sequences() {
    let log = in_memory();
    log.announce(PRODUCER).expect("may write");
    log.append(&testing::batch(PRODUCER, 0, 1, 1, true), &rules(), 0).expect("appends");
    let next = Producer { epoch: 1, ..PRODUCER };
    log.end_transaction(next, false, &rules(), 0).expect("ends");
    log.announce(next).expect("may write");
    let appended = log.append(&testing::batch(next, 0, 1, 1, true), &rules(), 0).expect("is no repeat");
    assert_eq!(appended.base_offset, 2);
    assert_eq!(log.announce(PRODUCER), Err(ResponseError::InvalidProducerEpoch));
}

#[test]
fn deleting_records_moves_the_start_and_removes_whole_segments() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = open(folder.path());
    fill(&log, &small_segments(), &[5; 20]);
    let files = segment_files(folder.path());
    assert_eq!(log.delete_before(21), Ok(21));
    assert!(segment_files(folder.path()) < files);
    assert_eq!(
        log.read(20, 100, Isolation::ReadUncommitted, true).expect_err("is gone"),
        ResponseError::OffsetOutOfRange
    );
    assert_eq!(read_all(&log, 1_000).first(), Some(&(20, 21)));
    assert_eq!(log.delete_before(5), Ok(21));
    assert_eq!(log.delete_before(41), Err(ResponseError::OffsetOutOfRange));
    assert_eq!(log.delete_before(-1), Ok(40));
    assert_eq!(log.offset_of_time(0, Isolation::ReadUncommitted), Ok(None));
    let store = SegmentStore::Folder { path: folder.path().to_owned(), handles: Arc::default() };
    let again = Log::open(Opening { start_offset: 40, ..opening(store) });
    assert_eq!(again.expect("opens").ends(), Ends { start: 40, stable: 40, end: 40 });
}

#[test]
fn a_topic_may_want_the_broker_s_time_keys_and_times_in_range() {
    let log = in_memory();
    let stamped = AppendRules { append_time: true, ..rules() };
    let appended = log.append(&testing::plain(1, 5), &stamped, 9_000).expect("appends");
    assert_eq!(appended.append_time_ms, 9_000);
    let found = log.offset_of_time(8_000, Isolation::ReadUncommitted).expect("reads");
    assert_eq!(found, Some(TimedOffset { offset: 0, timestamp_ms: 9_000 }));
    let keyed = AppendRules { keys_required: true, ..rules() };
    assert_eq!(log.append(&testing::plain(1, 5), &keyed, 0), Err(ResponseError::InvalidRecord));
    let near = AppendRules { ahead_ms_max: 100, behind_ms_max: 100, ..rules() };
    for (time_ms, fits) in [(899, false), (900, true), (1_100, true), (1_101, false)] {
        assert_eq!(log.append(&testing::plain(1, time_ms), &near, 1_000).is_ok(), fits, "time {time_ms}");
    }
}

#[tokio::test]
async fn whoever_registers_first_misses_nothing() {
    let log = in_memory();
    let wake_up = Arc::new(Notify::new());
    let waiting = log.register(&wake_up);
    fill(&log, &rules(), &[1]);
    wake_up.notified().await;
    drop(waiting);
    fill(&log, &rules(), &[1]);
    let none = tokio::time::timeout(std::time::Duration::from_millis(5), wake_up.notified()).await;
    assert!(none.is_err(), "one who has gone is not woken");
}
