//! What a broker finds in its folder when it starts: open transactions, missing files, a journal that it must not
//! touch.
//!
//! A kill is simulated by a copy of the folder, made while the broker is running: it has the same bytes that a kill
//! leaves.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use headwater_broker::{Broker, Config, StartError};
use kafka_protocol::ResponseError;
use tempfile::TempDir;

use crate::admin::setting;
use crate::client::{Client, Fixture, topic};
use crate::groups::committed;
use crate::records::{list_offset, values};
use crate::transactions::{FENCED, OLD_EPOCH, Owner, owner};

const CORRUPT: i16 = ResponseError::CorruptMessage.code();
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("makes");
    for entry in fs::read_dir(from).expect("is there") {
        let entry = entry.expect("is there");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copies");
        }
    }
}

/// How a broker ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    InOrder,
    Killed,
}

const ENDS: [End; 2] = [End::InOrder, End::Killed];

/// A folder and its broker.
struct Stage {
    folder: TempDir,
    fixture: Option<Fixture>,
}

impl Stage {
    fn new() -> Stage {
        let folder = TempDir::new().expect("a folder");
        let fixture = Some(Fixture::start(Config::in_folder(folder.path())));
        Stage { folder, fixture }
    }

    fn connect(&self) -> Client {
        self.fixture.as_ref().expect("runs").connect()
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    fn end(&mut self, end: End) {
        let killed = TempDir::new().expect("a folder");
        if end == End::Killed {
            copy(self.folder.path(), killed.path());
        }
        self.fixture = None;
        if end == End::Killed {
            self.folder = killed;
        }
    }

    fn begin(&mut self) {
        self.fixture = Some(Fixture::start(Config::in_folder(self.folder.path())));
    }

    /// The error of a start that fails.
    fn refusal(&self) -> StartError {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(Broker::start(Config::in_folder(self.folder.path()))).expect_err("does not start")
    }

    /// The folders of all topics.
    fn topic_folders(&self) -> Vec<PathBuf> {
        fs::read_dir(self.path("logs")).expect("is there").map(|entry| entry.expect("is there").path()).collect()
    }

    /// Every file in the folder but the lock, with its bytes.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("is there") {
                let path = entry.expect("is there").path();
                match path.is_dir() {
                    true => folders.push(path),
                    false if path.ends_with("lock") => {}
                    false => files.push((path.clone(), fs::read(path).expect("reads"))),
                }
            }
        }
        files.sort();
        files
    }
}

/// The values that readers of committed records see.
fn visible(client: &mut Client, at: (&str, i32)) -> Vec<String> {
    let data = client.fetch(12, at, 0, true);
    let aborted: Vec<i64> = data.aborted_transactions.unwrap_or_default().iter().map(|one| one.first_offset).collect();
    let all = values(data.records);
    all.into_iter().filter(|(offset, _)| aborted.is_empty() || *offset < aborted[0]).map(|(_, value)| value).collect()
}

/// Goal: a producer cannot commit half of a transaction after a restart. Method: write half of a transaction (records,
/// offsets, or only its partitions), end the broker, and let the producer continue as if nothing had happened.
#[test]
fn a_transaction_that_was_open_is_aborted_and_its_producer_fenced() {
    for (end, half) in ENDS.into_iter().flat_map(|end| ["records", "offsets", "nothing"].map(|half| (end, half))) {
        let mut stage = Stage::new();
        let mut client = stage.connect();
        client.create_topic("t", 2);
        let old = owner(&mut client, "x");
        let idle = owner(&mut client, "idle");
        assert_eq!(old.add_partition(&mut client, ("t", 0)), 0);
        match half {
            "records" => assert_eq!(old.produce(&mut client, ("t", 0), 0), 0),
            "offsets" => {
                assert_eq!(old.add_group(&mut client, "g"), 0);
                assert_eq!(old.commit_offset(&mut client, "g", ("t", 0), 7), 0);
            }
            _ => {}
        }
        for _ in 0..2 {
            stage.end(end);
            stage.begin();
        }
        let mut client = stage.connect();
        if half == "records" {
            assert_eq!(old.produce(&mut client, ("t", 0), 1), OLD_EPOCH, "{end:?}");
        }
        for partition in 0..2 {
            assert_eq!(old.add_partition(&mut client, ("t", partition)), FENCED, "{end:?} {half}");
            assert_ne!(old.produce(&mut client, ("t", partition), 1), 0);
        }
        assert_eq!(
            (old.add_group(&mut client, "g"), old.commit_offset(&mut client, "g", ("t", 0), 8)),
            (FENCED, OLD_EPOCH)
        );
        assert_eq!((old.end(&mut client, true), old.end(&mut client, false)), (FENCED, FENCED));
        assert_eq!(committed(&mut client, 7, "g", ("t", 0), false).0, -1);
        assert_eq!([0, 1].map(|partition| visible(&mut client, ("t", partition)).len()), [0, 0]);
        let end = list_offset(&mut client, 7, ("t", 0), LATEST).1;
        assert_eq!(end, if half == "records" { 2 } else { 0 }, "one marker behind the record, and no other");
        goes_on(&mut client, idle, ("t", 1));
        let next = owner(&mut client, "x");
        assert!(next.producer.0 == old.producer.0 && next.producer.1 > old.producer.1);
        goes_on(&mut client, next, ("t", 1));
        assert_eq!(visible(&mut client, ("t", 1)).len(), 2);
    }
}

/// A producer without an open transaction is not affected.
fn goes_on(client: &mut Client, owner: Owner<'_>, at: (&str, i32)) {
    assert_eq!((owner.add_partition(client, at), owner.produce(client, at, 0), owner.end(client, true)), (0, 0, 0));
}

#[test]
fn a_committed_transaction_fences_nobody() {
    for end in ENDS {
        let mut stage = Stage::new();
        let mut client = stage.connect();
        client.create_topic("t", 1);
        let owner = owner(&mut client, "x");
        for (sequence, end) in [(0, end), (1, end)] {
            let mut client = stage.connect();
            assert_eq!(owner.add_partition(&mut client, ("t", 0)), 0, "{end:?}");
            assert_eq!(owner.produce(&mut client, ("t", 0), sequence), 0);
            assert_eq!(owner.end(&mut client, true), 0);
            stage.end(end);
            stage.begin();
        }
        assert_eq!(visible(&mut stage.connect(), ("t", 0)).len(), 2);
    }
}

/// Goal: without its journal a broker removes nothing. Method: the journal is removed, emptied or cut off within its
/// first line.
#[test]
fn a_lost_journal_costs_no_records() {
    for (end, left) in ENDS.into_iter().flat_map(|end| [None, Some(&b""[..]), Some(b"12")].map(|left| (end, left))) {
        let mut stage = Stage::new();
        let mut client = stage.connect();
        client.create_topic("t", 1);
        client.produce_some(("t", 0), 5);
        stage.end(end);
        let journal = fs::read(stage.path("journal")).expect("is there");
        match left {
            None => fs::remove_file(stage.path("journal")).expect("removes"),
            Some(left) => fs::write(stage.path("journal"), left).expect("writes"),
        }
        let before = stage.files();
        for _ in 0..2 {
            let error = stage.refusal().to_string();
            assert!(error.contains("journal") && error.contains("restore"), "{error}");
            assert_eq!(stage.files(), before, "not a byte has changed");
        }
        fs::write(stage.path("journal"), journal).expect("writes");
        stage.begin();
        assert_eq!(values(stage.connect().fetch(12, ("t", 0), 0, false).records).len(), 5);
    }
}

#[test]
fn a_journal_of_a_newer_version_is_left_alone() {
    let mut stage = Stage::new();
    let mut client = stage.connect();
    client.create_topic("t", 1);
    client.produce_some(("t", 0), 5);
    stage.end(End::Killed);
    let journal = fs::read_to_string(stage.path("journal")).expect("is text");
    let newer = r#"{"change":"topic_tiered","name":"t","after_ms":5}"#;
    fs::write(stage.path("journal"), format!("{journal}{:08x} {newer}\n", crc32c::crc32c(newer.as_bytes())))
        .expect("writes");
    let before = stage.files();
    let error = stage.refusal().to_string();
    assert!(error.contains("topic_tiered") && error.contains("upgrade") && error.contains("0.1.0"), "{error}");
    assert_eq!(stage.files(), before, "not a byte has changed");
    fs::write(stage.path("journal"), journal).expect("writes");
    stage.begin();
    assert_eq!(values(stage.connect().fetch(12, ("t", 0), 0, false).records).len(), 5);
}

/// A journal that is older than the folders lists fewer topics than there are.
#[test]
fn a_topic_that_the_journal_does_not_list_is_moved_aside() {
    let mut stage = Stage::new();
    let mut client = stage.connect();
    client.create_topic("listed", 1);
    client.produce_some(("listed", 0), 5);
    let older = fs::read(stage.path("journal")).expect("is there");
    client.create_topic("unlisted", 1);
    client.produce_some(("unlisted", 0), 7);
    client.create_topic("deleted", 1);
    client.produce_some(("deleted", 0), 7);
    stage.end(End::Killed);
    let folders = stage.topic_folders().len();
    fs::write(stage.path("journal"), older).expect("writes");
    stage.begin();
    assert_eq!((folders, stage.topic_folders().len()), (3, 1));
    let kept: Vec<_> = fs::read_dir(stage.path("orphaned")).expect("is there").collect();
    assert_eq!(kept.len(), 2);
    assert_eq!(values(stage.connect().fetch(12, ("listed", 0), 0, false).records).len(), 5);
}

/// Producer ids that a log knows are not assigned again, even if the journal has lost the line that reserved them.
/// Otherwise a batch of the new producer would look like a duplicate of the old one's.
#[test]
fn a_producer_id_that_a_log_knows_is_not_given_again() {
    let mut stage = Stage::new();
    let mut client = stage.connect();
    client.create_topic("t", 1);
    let older = fs::read(stage.path("journal")).expect("is there");
    let first = client.init_producer(None);
    let write = |client: &mut Client, producer| {
        let batch = crate::client::Batch { producer, sequence: 0, ..Default::default() };
        client.produce(9, ("t", 0), crate::client::batch(&batch)).base_offset
    };
    assert_eq!(write(&mut client, first), 0);
    stage.end(End::Killed);
    fs::write(stage.path("journal"), older).expect("writes");
    stage.begin();
    let mut client = stage.connect();
    let second = client.init_producer(None);
    assert_ne!(first.0, second.0);
    assert!(write(&mut client, second) > 0);
}

/// Goal: if somebody removes a folder or segment, the log is not opened as an empty one. Method: a topic with two
/// partitions loses a segment, a partition, its folder, or all logs.
#[test]
fn what_was_removed_is_not_opened_as_empty() {
    for (end, lost) in ENDS.into_iter().flat_map(|end| ["segment", "partition", "topic", "all"].map(|lost| (end, lost)))
    {
        let mut stage = Stage::new();
        let mut client = stage.connect();
        client.create_topic("t", 2);
        for partition in 0..2 {
            client.produce_some(("t", partition), 5);
        }
        stage.end(end);
        let topic = stage.topic_folders().remove(0);
        match lost {
            "segment" => fs::remove_file(topic.join("0").join("00000000000000000000.log")).expect("removes"),
            "partition" => fs::remove_dir_all(topic.join("0")).expect("removes"),
            "topic" => fs::remove_dir_all(topic).expect("removes"),
            _ => fs::remove_dir_all(stage.path("logs")).expect("removes"),
        }
        let mut last_end = 0;
        for round in 0..2 {
            stage.begin();
            let mut client = stage.connect();
            assert_eq!(list_offset(&mut client, 7, ("t", 0), EARLIEST).1, 0, "readers from the start are told, too");
            for offset in 0..5 {
                assert_eq!(client.fetch(12, ("t", 0), offset, false).error_code, CORRUPT, "{end:?} {lost}");
            }
            let offset = client.produce_some(("t", 0), 1);
            assert!(offset >= 5.max(last_end), "{end:?} {lost}: {offset}");
            assert_eq!(values(client.fetch(12, ("t", 0), offset, false).records), [(offset, "v0".to_owned())]);
            last_end = offset + 1;
            let others = client.fetch(12, ("t", 1), 0, false);
            let whole = matches!(lost, "segment" | "partition");
            assert_eq!((others.error_code, values(others.records).len()), if whole { (0, 5) } else { (CORRUPT, 0) });
            drop(client);
            stage.end(if round == 0 { End::Killed } else { End::InOrder });
        }
        stage.begin();
        assert_eq!(delete_records(&mut stage.connect(), ("t", 0), last_end), last_end);
        stage.end(end);
        stage.begin();
        let mut client = stage.connect();
        assert_eq!(list_offset(&mut client, 7, ("t", 0), EARLIEST).1, last_end);
        assert_eq!(client.fetch(12, ("t", 0), last_end, false).error_code, 0, "the rest can be read");
    }
}

fn delete_records(client: &mut Client, at: (&str, i32), offset: i64) -> i64 {
    use kafka_protocol::messages::DeleteRecordsRequest;
    use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
    let partition = DeleteRecordsPartition::default().with_partition_index(at.1).with_offset(offset);
    let asked = DeleteRecordsTopic::default().with_name(topic(at.0)).with_partitions(vec![partition]);
    let answer = client.call(2, &DeleteRecordsRequest::default().with_topics(vec![asked]));
    answer.topics[0].partitions[0].low_watermark
}

/// Goal: the folder of an earlier version can be used: its topics keep all records, and what goes missing from now on
/// is noticed. Method: a journal as such a version wrote it, without a version, log extents and settings of new topics.
#[test]
fn the_folder_of_an_earlier_version_is_taken_over() {
    for end in ENDS {
        let mut stage = Stage::new();
        let mut client = stage.connect();
        client.create_topic("t", 1);
        client.produce_some(("t", 0), 5);
        stage.end(end);
        let line = |json: &str| format!("{:08x} {json}\n", crc32c::crc32c(json.as_bytes()));
        let topic_id = stage.topic_folders().remove(0).file_name().expect("a name").to_string_lossy().into_owned();
        let created = r#"{"change":"topic_created","name":"t","id":"ID","partitions":1,"settings":{}}"#;
        let created = created.replace("ID", &topic_id);
        let named = r#"{"change":"cluster_named","id":"0123456789012345678901"}"#;
        fs::write(stage.path("journal"), [line(&created), line(named)].concat()).expect("writes");
        for _ in 0..2 {
            stage.begin();
            let mut client = stage.connect();
            assert_eq!(setting(&mut client, "t", "retention.ms"), (Some("-1".to_owned()), 1));
            assert_eq!(values(client.fetch(12, ("t", 0), 0, false).records).len(), 5);
            drop(client);
            stage.end(end);
        }
        fs::remove_dir_all(stage.path("logs")).expect("removes");
        stage.begin();
        assert_eq!(stage.connect().fetch(12, ("t", 0), 0, false).error_code, CORRUPT);
        assert_eq!(stage.connect().produce_some(("t", 0), 1), 5);
    }
}

#[test]
fn folders_are_their_owner_s_alone() {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path().join("made").join("data");
    let fixture = Fixture::start(Config::in_folder(&data));
    let mut client = fixture.connect();
    client.create_topic("t", 1);
    let topic = fs::read_dir(data.join("logs")).expect("is there").next().expect("a topic").expect("is there").path();
    for path in [folder.path().join("made"), data.clone(), data.join("logs"), topic.clone(), topic.join("0")] {
        let mode = fs::metadata(&path).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", path.display());
    }
}
