//! What a broker finds in its folder when it starts: open transactions, missing files, a journal that it must not
//! touch.
//!
//! A kill is simulated by a copy of the folder, made while the broker is running: it has the same bytes that a kill
//! leaves.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use headwater_broker::{Broker, Config, StartError};
use kafka_protocol::ResponseError;
use tempfile::TempDir;

use crate::admin::setting;
use crate::client::{Client, Fixture};
use crate::groups::{committed, heartbeat, join, join_request, state, sync};
use crate::records::{delete_records, list_offset, values};
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

    /// Makes the journal of a broker that has ended say that the machine was started anew.
    fn start_machine(&self) {
        let json = r#"{"change":"machine_started","boot_id":"another one"}"#;
        let mut journal = fs::OpenOptions::new().append(true).open(self.path("journal")).expect("is there");
        writeln!(journal, "{:08x} {json}", crc32c::crc32c(json.as_bytes())).expect("writes");
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

/// What a transaction has when the broker ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Half {
    Records,
    Offsets,
    Nothing,
}

const HALVES: [Half; 3] = [Half::Records, Half::Offsets, Half::Nothing];

/// Begins a transaction in the first partition of a topic with two.
fn begin_half<'a>(client: &mut Client, half: Half) -> Owner<'a> {
    client.create_topic("t", 2);
    let owner = owner(client, "x");
    assert_eq!(owner.add_partition(client, ("t", 0)), 0);
    match half {
        Half::Records => assert_eq!(owner.produce(client, ("t", 0), 0), 0),
        Half::Offsets => {
            assert_eq!(owner.add_group(client, "g"), 0);
            assert_eq!(owner.commit_offset(client, "g", ("t", 0), 7), 0);
        }
        Half::Nothing => {}
    }
    owner
}

/// Goal: a transaction that was open goes on after a restart as if nothing had happened. Method: begin one, end the broker
/// twice, write to partitions that belong to it and to another one, and end it.
#[test]
fn a_transaction_that_was_open_goes_on() {
    for (end, half) in ENDS.into_iter().flat_map(|end| HALVES.map(|half| (end, half))) {
        for commit in [true, false] {
            let mut stage = Stage::new();
            let owner = begin_half(&mut stage.connect(), half);
            for _ in 0..2 {
                stage.end(end);
                stage.begin();
            }
            let mut client = stage.connect();
            assert_eq!(visible(&mut client, ("t", 0)), [""; 0], "{end:?} {half:?}");
            let sequence = i32::from(half == Half::Records);
            assert_eq!(owner.produce(&mut client, ("t", 0), sequence), 0, "{end:?} {half:?}");
            assert_ne!(owner.produce(&mut client, ("t", 1), 0), 0, "it is not in the transaction");
            assert_eq!(owner.add_partition(&mut client, ("t", 1)), 0);
            assert_eq!(owner.produce(&mut client, ("t", 1), 0), 0);
            assert_eq!(owner.end(&mut client, commit), 0);
            let seen = [0, 1].map(|partition| visible(&mut client, ("t", partition)).len() as i32);
            assert_eq!(seen, if commit { [sequence + 1, 1] } else { [0, 0] }, "{end:?} {half:?}");
            let expected = if commit && half == Half::Offsets { 7 } else { -1 };
            assert_eq!(committed(&mut client, 7, "g", ("t", 0), false).0, expected, "{end:?} {half:?}");
            let next = owner_again(&mut client, &owner);
            goes_on(&mut client, next, ("t", 1));
        }
    }
}

/// The next producer of the same transactional id.
fn owner_again<'a>(client: &mut Client, owner: &Owner<'a>) -> Owner<'a> {
    let next = crate::transactions::owner(client, "x");
    assert!(next.producer.0 == owner.producer.0 && next.producer.1 > owner.producer.1);
    next
}

/// Goal: a transaction that was open is aborted after its timeout, although the broker was started meanwhile.
#[test]
fn a_transaction_that_goes_on_keeps_its_timeout() {
    let mut stage = Stage::new();
    let mut client = stage.connect();
    client.create_topic("t", 1);
    let owner = crate::transactions::owner_for(&mut client, "x", 1_000);
    assert_eq!((owner.add_partition(&mut client, ("t", 0)), owner.produce(&mut client, ("t", 0), 0)), (0, 0));
    stage.end(End::Killed);
    stage.begin();
    let mut client = stage.connect();
    while list_offset(&mut client, 7, ("t", 0), LATEST).1 < 2 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!((owner.end(&mut client, true), visible(&mut client, ("t", 0)).len()), (FENCED, 0));
}

/// Goal: a producer cannot commit what a power failure may have left of its transaction. Method: write half of one, end the
/// broker, say that the machine was started since then, and let the producer continue as if nothing had happened.
#[test]
fn a_transaction_that_a_power_failure_interrupted_is_aborted_and_its_producer_fenced() {
    for half in HALVES {
        let mut stage = Stage::new();
        let mut client = stage.connect();
        let old = begin_half(&mut client, half);
        let idle = owner(&mut client, "idle");
        stage.end(End::Killed);
        stage.start_machine();
        stage.begin();
        let mut client = stage.connect();
        assert_eq!(old.produce(&mut client, ("t", 0), i32::from(half == Half::Records)), OLD_EPOCH, "{half:?}");
        for partition in 0..2 {
            assert_eq!(old.add_partition(&mut client, ("t", partition)), FENCED, "{half:?}");
            assert_ne!(old.produce(&mut client, ("t", partition), 1), 0);
        }
        let offsets = (old.add_group(&mut client, "g"), old.commit_offset(&mut client, "g", ("t", 0), 8));
        assert_eq!(offsets, (FENCED, OLD_EPOCH));
        assert_eq!((old.end(&mut client, true), old.end(&mut client, false)), (FENCED, FENCED));
        assert_eq!(committed(&mut client, 7, "g", ("t", 0), false).0, -1);
        assert_eq!([0, 1].map(|partition| visible(&mut client, ("t", partition)).len()), [0, 0]);
        let end = list_offset(&mut client, 7, ("t", 0), LATEST).1;
        assert_eq!(end, if half == Half::Records { 2 } else { 1 }, "a marker");
        goes_on(&mut client, idle, ("t", 1));
        let next = owner_again(&mut client, &old);
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

/// Goal: the members of a group go on after a restart without a rebalance, and those that do not come back are removed. Method: a
/// member joins, the broker ends, and the member says that it is there, asks for its assignment and for a rebalance.
#[test]
fn members_of_a_group_go_on() {
    for end in ENDS {
        let mut stage = Stage::new();
        let mut client = stage.connect();
        client.create_topic("t", 1);
        let joined = join(&mut client, 5, "g");
        assert_eq!(sync(&mut client, 3, "g", &joined).0, 0);
        let silent = client.call(0, &join_request("silent", "").with_session_timeout_ms(500));
        assert_eq!(sync(&mut client, 3, "silent", &silent).0, 0);
        stage.end(end);
        stage.begin();
        let mut client = stage.connect();
        let (member, generation) = (joined.member_id.as_str(), joined.generation_id);
        assert_eq!(heartbeat(&mut client, 3, "g", member, generation), 0, "{end:?}");
        assert_eq!(sync(&mut client, 3, "g", &joined), (0, bytes::Bytes::from_static(b"all")), "{end:?}");
        let again = client.call(5, &join_request("g", member));
        assert_eq!((again.error_code, again.generation_id), (0, generation + 1), "the leader may ask for a rebalance");
        assert_eq!(sync(&mut client, 3, "g", &again).0, 0);
        while ["Stable", "PreparingRebalance"].contains(&&*state(&mut client, "silent")) {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert_eq!(state(&mut client, "g"), "Stable");
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
        assert_eq!(delete_records(&mut stage.connect(), 2, ("t", 0), last_end), (0, last_end));
        stage.end(end);
        stage.begin();
        let mut client = stage.connect();
        assert_eq!(list_offset(&mut client, 7, ("t", 0), EARLIEST).1, last_end);
        assert_eq!(client.fetch(12, ("t", 0), last_end, false).error_code, 0, "the rest can be read");
    }
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
