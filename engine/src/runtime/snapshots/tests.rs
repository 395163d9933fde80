//! Goal: a state that was restored from a snapshot is that of the changelog, whatever happened in between; and a file that may not
//! be right is not used. Method: drivers on the memory transport, whose processes keep their snapshots in folders in memory.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use headwater_connectors::transport::{TopicId, Transport as _, Watermarks};
use headwater_formats::record::TopicPartition;

use super::folder::{Content, NewFile};
use super::shelf::Changelog;
use super::{Folder, MemoryFolder, Snapshots};
use crate::runtime::driver::Driver;
use crate::runtime::for_tests::Process;

const COUNTS: &str = "CREATE TABLE t AS SELECT k, COUNT(*) AS n FROM s GROUP BY k;";
const VISITS: &str = "INSERT INTO s (k) VALUES ('a'), ('b'), ('a'), ('c'), ('d'), ('a');";
const HOUR_MS: i64 = 60 * 60 * 1_000;

/// A process whose snapshots are in a folder, with these statements.
async fn keeping(folder: &MemoryFolder, statements: &[&str]) -> Process {
    let process = Process::with(statements).await;
    process.engine.keep_state(Arc::new(folder.clone()), 0);
    process
}

/// Ends a driver and starts the next one. Returns the number of records that it restores.
async fn restart(process: &mut Process, mut driver: Driver) -> (Driver, u64) {
    driver.finish(process.now_ms).expect("it ends");
    drop(driver);
    begin(process).await
}

/// Starts a driver. Returns the number of records that it restores.
async fn begin(process: &mut Process) -> (Driver, u64) {
    let mut driver = process.driver().await;
    process.now_ms += 10;
    driver.step(process.now_ms, Duration::ZERO).expect("it gets its partitions");
    let records = driver.status().restore.map_or(0, |restore| restore.total);
    (driver, records)
}

#[tokio::test]
async fn a_state_comes_back_from_its_snapshot() {
    let folder = MemoryFolder::default();
    let mut process = keeping(&folder, &[COUNTS, VISITS]).await;
    let mut driver = process.driver().await;
    for _ in 0..3 {
        process.drive(&mut [&mut driver]);
        process.ask(VISITS).await;
    }
    process.drive(&mut [&mut driver]);
    let before = process.rows("SELECT * FROM t;").await;
    let facts = driver.status().facts;
    assert_eq!(facts.stores.iter().map(|store| store.keys).sum::<u64>(), 4);
    assert!(facts.stores[0].bytes > 0 && !facts.stream_times.is_empty(), "{facts:?}");
    let (mut driver, records) = restart(&mut process, driver).await;
    // Four keys, and the stream times of each of up to four partitions.
    assert!((4..=8).contains(&records), "{records} records");
    process.drive(&mut [&mut driver]);
    assert!(process.reads_state("SELECT * FROM t;").await);
    assert_eq!(process.rows("SELECT * FROM t;").await, before);
    process.ask(VISITS).await;
    process.drive(&mut [&mut driver]);
    assert_eq!(process.rows("SELECT * FROM t;").await, ["a 15", "b 5", "c 5", "d 5"]);
}

/// Trap: what a snapshot does not have is forgotten by a restart, such as stream times (kafka#6694).
#[tokio::test]
async fn stream_times_come_back_from_a_snapshot() {
    let create = "CREATE TABLE t AS SELECT k, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 0 SECONDS) \
                  GROUP BY k EMIT FINAL;";
    let folder = MemoryFolder::default();
    let mut process = keeping(&folder, &[create]).await;
    let mut driver = process.driver().await;
    let texts = [
        "INSERT INTO s (ROWTIME, k) VALUES (1000, 'a'), (2000, 'a');",
        "INSERT INTO s (ROWTIME, k) VALUES (3000, 'a'), (11000, 'a');",
        "INSERT INTO s (ROWTIME, k) VALUES (4000, 'a'), (21000, 'a');",
    ];
    for text in texts {
        process.ask(text).await;
        process.drive(&mut [&mut driver]);
        driver = restart(&mut process, driver).await.0;
    }
    process.drive(&mut [&mut driver]);
    assert_eq!(process.rows("SELECT k, windowstart, n FROM t;").await, ["a 0 3", "a 10000 1"]);
}

#[tokio::test]
async fn a_damaged_snapshot_is_replaced_by_a_full_restore() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 6] = [
        ("one bit of a record", |bytes| bytes[600] ^= 1),
        ("one bit of the checksum", |bytes| *bytes.last_mut().expect("bytes") ^= 1),
        ("its end", |bytes| bytes.truncate(bytes.len() / 2)),
        ("its header", |bytes| bytes.truncate(20)),
        ("everything", Vec::clear),
        ("its version", |bytes| bytes[7] = b'9'),
    ];
    for (what, damage) in damages {
        let folder = MemoryFolder::default();
        let mut process = keeping(&folder, &[COUNTS, VISITS]).await;
        let mut driver = process.driver().await;
        process.drive(&mut [&mut driver]);
        driver.finish(process.now_ms).expect("it ends");
        drop(driver);
        let paths = folder.paths();
        assert!(!paths.is_empty(), "the state was dumped");
        paths.iter().for_each(|path| folder.change(path, damage));
        let (mut driver, _) = begin(&mut process).await;
        while driver.status().restore.is_some() {
            process.now_ms += 10;
            driver.step(process.now_ms, Duration::ZERO).expect("it goes on");
        }
        assert!(folder.paths().is_empty(), "{what}: it was deleted");
        process.ask(VISITS).await;
        process.drive(&mut [&mut driver]);
        assert_eq!(process.rows("SELECT * FROM t;").await, ["a 6", "b 2", "c 2", "d 2"], "{what}");
    }
}

#[tokio::test]
async fn a_snapshot_that_may_not_be_right_is_not_used() {
    let folder = MemoryFolder::default();
    let mut process = keeping(&folder, &[COUNTS, VISITS]).await;
    let mut driver = process.driver().await;
    process.drive(&mut [&mut driver]);
    driver.finish(process.now_ms).expect("it ends");
    let catalog = process.engine.catalog().await.expect("a catalog");
    let query = catalog.queries().next().expect("a query").clone();
    let snapshots = Snapshots::default();
    snapshots.use_folder(Arc::new(folder.clone()), process.engine.service_id(), 0);
    let admin = process.cluster.admin();
    let shelf = snapshots.of(admin, &query).expect("a folder");
    let path = folder.paths().first().expect("a file").clone();
    let (topic, partition) = path.rsplit('/').next().and_then(|name| name.rsplit_once('-')).expect("a name");
    let partition = TopicPartition::new(topic, partition.parse().expect("a number"));
    let id = admin.topic_id(topic).expect("a topic");
    let now_ms = process.now_ms;
    let good = Changelog { id, mark: Watermarks { start: 0, end: 1_000 }, removals_ms: 24 * HOUR_MS };
    let offset = shelf.find(&partition, &good, now_ms).expect("it can be used").offset();
    let bytes = {
        let mut bytes = Vec::new();
        folder.change(&path, |found| bytes.clone_from(found));
        bytes
    };
    let restored = |changelog: Changelog, now_ms| {
        let found = shelf.find(&partition, &changelog, now_ms).is_some();
        let is_left = folder.paths().contains(&path);
        assert_eq!(found, is_left, "what cannot be used is deleted");
        let mut file = folder.create(&path).expect("a file");
        io::Write::write_all(&mut file, &bytes).and_then(|()| file.keep()).expect("it is as before");
        found
    };
    let mark = |start, end| Changelog { mark: Watermarks { start, end }, ..good };
    assert!(restored(mark(offset, offset), now_ms), "at both ends");
    assert!(!restored(mark(offset + 1, offset + 9), now_ms), "before the changelog");
    assert!(!restored(mark(0, offset - 1), now_ms), "after the changelog");
    assert!(!restored(Changelog { id: Some(TopicId(99)), ..good }, now_ms), "another topic");
    assert!(!restored(Changelog { id: None, ..good }, now_ms), "an unknown topic");
    assert!(restored(good, now_ms + 11 * HOUR_MS), "young enough");
    assert!(!restored(good, now_ms + 13 * HOUR_MS), "too old");
    assert!(!restored(good, now_ms - HOUR_MS), "of the future");
    assert!(!restored(Changelog { removals_ms: HOUR_MS, ..good }, now_ms + HOUR_MS), "removals may be gone");
    let mut other = (*query).clone();
    other.topology = process_topology(&mut process).await;
    let other = snapshots.of(process.cluster.admin(), &other).expect("a folder");
    assert!(other.find(&partition, &good, now_ms).is_none(), "of another query");
}

/// The topology of another query.
async fn process_topology(process: &mut Process) -> headwater_language::topology::Topology {
    process.ask("CREATE TABLE u AS SELECT k, COUNT(*) AS n, SUM(v) AS m FROM s GROUP BY k;").await;
    let catalog = process.engine.catalog().await.expect("a catalog");
    catalog.queries().find(|query| query.sink() == "U").expect("a query").topology.clone()
}

/// Goal: a snapshot is never ahead of what is committed, nor behind what it says. Method: processes are killed after each number of
/// steps, while they dump as often as they can.
#[tokio::test]
async fn a_process_may_be_killed_at_any_time() {
    let folder = MemoryFolder::default();
    let mut process = keeping(&folder, &[COUNTS]).await;
    let mut visits = 0;
    for steps in 0..40 {
        process.ask("INSERT INTO s (k) VALUES ('a'), ('b'), ('c'), ('d'), ('e'), ('f');").await;
        visits += 1;
        let mut driver = process.driver().await;
        for _ in 0..steps {
            process.now_ms += 1_000;
            driver.step(process.now_ms, Duration::ZERO).expect("nothing fails");
        }
        process.cluster.expire_members();
    }
    assert!(!folder.paths().is_empty(), "snapshots were made");
    let mut driver = process.driver().await;
    process.drive(&mut [&mut driver]);
    let all = "SELECT COUNT(*) AS keys, MIN(n) AS least, MAX(n) AS most FROM t;";
    assert!(process.reads_state(all).await);
    assert_eq!(process.rows(all).await, [format!("6 {visits} {visits}")]);
}

/// Goal: an old snapshot of a partition that another process had in the meantime gives the right state. Method: two processes with a
/// folder each, of which now one and now the other runs; rows come, and keys go.
#[tokio::test]
async fn partitions_may_move_back_and_forth() {
    let folders = [MemoryFolder::default(), MemoryFolder::default()];
    let create = "CREATE TABLE t AS SELECT v, COUNT(*) AS n FROM x GROUP BY v;";
    let table = "CREATE TABLE x (id STRING PRIMARY KEY, v INT) WITH (KAFKA_TOPIC = 'x', PARTITIONS = 2, KEY_FORMAT = 'KAFKA', \
                 VALUE_FORMAT = 'JSON');";
    let mut one = keeping(&folders[0], &[table, create]).await;
    let mut other = Process::new(&one.cluster.clone(), "b");
    other.engine.keep_state(Arc::new(folders[1].clone()), 0);
    for round in 0..12_i64 {
        let process = if round % 3 == 2 { &mut other } else { &mut one };
        process.now_ms = 1_000_000 * (round + 1);
        let rows: Vec<String> = (0..10).map(|id| format!("('{id}', {})", (id + round) % 7 + round)).collect();
        process.ask(&format!("INSERT INTO x VALUES {};", rows.join(", "))).await;
        let mut driver = process.driver_of("CTAS_T_3").await;
        process.drive(&mut [&mut driver]);
        driver.finish(process.now_ms).expect("it ends");
        drop(driver);
    }
    assert!(folders.iter().all(|folder| !folder.paths().is_empty()), "both have snapshots");
    let mut expected = std::collections::BTreeMap::<i64, u64>::new();
    (0..10).for_each(|id| *expected.entry((id + 11) % 7 + 11).or_default() += 1);
    let expected: Vec<String> = expected.iter().map(|(v, n)| format!("{v} {n}")).collect();
    let mut driver = one.driver_of("CTAS_T_3").await;
    one.now_ms = 13_000_000;
    one.drive(&mut [&mut driver]);
    assert_eq!(one.rows("SELECT v, n FROM t WHERE n > 0;").await, expected);
}

/// A folder that cannot be written.
#[derive(Debug)]
struct Full;

impl Folder for Full {
    fn open(&self, _: &str) -> io::Result<Option<Box<dyn Content>>> {
        Ok(None)
    }

    fn create(&self, _: &str) -> io::Result<Box<dyn NewFile>> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn delete(&self, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn children(&self, _: &str) -> io::Result<Vec<String>> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn full_name(&self, path: &str) -> String {
        path.to_owned()
    }
}

#[tokio::test]
async fn a_query_goes_on_without_snapshots_if_the_folder_is_full() {
    let mut process = Process::with(&[COUNTS, VISITS]).await;
    process.engine.keep_state(Arc::new(Full), 0);
    let mut driver = process.driver().await;
    process.drive(&mut [&mut driver]);
    let (mut driver, _) = restart(&mut process, driver).await;
    process.ask(VISITS).await;
    process.drive(&mut [&mut driver]);
    assert_eq!(process.rows("SELECT * FROM t;").await, ["a 6", "b 2", "c 2", "d 2"]);
}

#[tokio::test]
async fn snapshots_of_queries_that_are_gone_are_deleted() {
    let folder = MemoryFolder::default();
    let mut process = keeping(&folder, &[COUNTS, VISITS]).await;
    let mut driver = process.driver().await;
    process.drive(&mut [&mut driver]);
    driver.finish(process.now_ms).expect("it ends");
    drop(driver);
    let files = folder.paths().len();
    assert!(files > 0);
    let snapshots = || {
        let snapshots = Snapshots::default();
        snapshots.use_folder(Arc::new(folder.clone()), process.engine.service_id(), 0);
        snapshots
    };
    let catalog = process.engine.catalog().await.expect("a catalog");
    snapshots().sweep(process.cluster.admin(), &catalog);
    assert_eq!(folder.paths().len(), files, "the query exists");
    let snapshots = snapshots();
    process.ask("DROP TABLE t;").await;
    let catalog = process.engine.catalog().await.expect("a catalog");
    snapshots.sweep(process.cluster.admin(), &catalog);
    assert!(folder.paths().is_empty());
}
