//! Goal: a disk that fails for state stops no query for good, and no other query at all, and nothing is lost or counted twice.
//! Method: two queries on the memory transport, whose state is on a disk that fails when the test says so.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::array::BinaryArray;
use headwater_connectors::transport::{TransportError, TransportErrorKind};
use headwater_language::diagnostic::STATE_DISK;
use headwater_state::{Cold, ColdError, ColdSnapshot, Disk, MemoryDisk, Piece, Run, Storage};

use super::driver::{Driver, StepOutcome};
use super::for_tests::Process;
use crate::failure;

const CREATE: [&str; 2] = [
    "CREATE TABLE t AS SELECT k, COUNT(*) AS n, COUNT(v) AS vs FROM s GROUP BY k;",
    "CREATE STREAM c AS SELECT k, a FROM s WHERE a > 1;",
];
const ROWS: &str = "INSERT INTO s (k, a, v) VALUES ('a', 1, 1), ('b', 2, NULL), ('c', 3, 3), ('a', 4, 4), ('d', 5, 5);";

/// A disk in memory that fails to write or to read.
#[derive(Clone, Debug, Default)]
struct Failing {
    writes: Arc<AtomicBool>,
    reads: Arc<AtomicBool>,
}

#[derive(Debug)]
struct FailingCold(Box<dyn Cold>, Failing);

#[derive(Debug)]
struct FailingSnapshot(Arc<dyn ColdSnapshot>, Failing);

fn check(fails: &AtomicBool, what: &str) -> Result<(), ColdError> {
    match fails.load(Ordering::Relaxed) {
        true => Err(ColdError::new(format!("could not {what} \"/full/0\": no space left on device"))),
        false => Ok(()),
    }
}

impl Disk for Failing {
    fn open(&self) -> Result<Box<dyn Cold>, ColdError> {
        Ok(Box::new(FailingCold(MemoryDisk.open()?, self.clone())))
    }
}

impl Cold for FailingCold {
    fn write(&mut self, run: Run) -> Result<(), ColdError> {
        check(&self.1.writes, "write state to")?;
        self.0.write(run)
    }

    fn written(&self, least: u64) -> Result<u64, ColdError> {
        self.0.written(least)
    }

    fn forget(&mut self, windows: Range<u64>) -> Result<(), ColdError> {
        self.0.forget(windows)
    }

    fn snapshot(&self) -> Arc<dyn ColdSnapshot> {
        Arc::new(FailingSnapshot(self.0.snapshot(), self.1.clone()))
    }
}

impl ColdSnapshot for FailingSnapshot {
    fn get(&self, keys: &BinaryArray) -> Result<BinaryArray, ColdError> {
        check(&self.1.reads, "read state from")?;
        self.0.get(keys)
    }

    fn scan(&self, keys: Range<Vec<u8>>) -> Box<dyn Iterator<Item = Result<Piece, ColdError>> + Send> {
        match check(&self.1.reads, "read state from") {
            Ok(()) => self.0.scan(keys),
            Err(error) => Box::new(std::iter::once(Err(error))),
        }
    }
}

/// Steps a driver until it fails.
fn failed(process: &mut Process, driver: &mut Driver) -> TransportError {
    for _ in 0..1_000 {
        process.now_ms += 1_000;
        if let Err(error) = driver.step(process.now_ms, Duration::ZERO) {
            return error;
        }
    }
    panic!("nothing failed");
}

#[tokio::test]
async fn a_disk_that_fails_stops_its_query_until_it_works() {
    let disk = Failing::default();
    let mut process = Process::with(&CREATE).await;
    process.engine.store_in(Storage::new(1, disk.clone()));
    let mut driver = process.driver().await;
    let mut other = process.driver_of("CSAS_C_3").await;
    process.ask(ROWS).await;
    process.drive(&mut [&mut driver]);
    for fails in [&disk.writes, &disk.reads] {
        fails.store(true, Ordering::Relaxed);
        process.ask(ROWS).await;
        let error = failed(&mut process, &mut driver);
        assert_eq!(error.kind, TransportErrorKind::Disk);
        let diagnostic = failure::transport(&error);
        assert_eq!(diagnostic.code, STATE_DISK);
        assert!(diagnostic.message.ends_with(" \"/full/0\": no space left on device"), "{}", diagnostic.message);
        assert!(diagnostic.hint.is_some_and(|hint| hint.contains("query.state.memory.max")));
        drop(driver);
        process.drive(&mut [&mut other]);
        fails.store(false, Ordering::Relaxed);
        driver = process.driver().await;
        process.drive(&mut [&mut driver]);
    }
    assert!(process.reads_state("SELECT * FROM t;").await);
    assert_eq!(process.rows("SELECT * FROM t;").await, ["a 6 6", "b 3 0", "c 3 3", "d 3 3"]);
    assert_eq!(process.rows("SELECT COUNT(*) AS n FROM c;").await, ["12"]);
}

/// A reader gets the error of the disk, with its code.
#[tokio::test]
async fn a_pull_query_reports_a_disk_that_fails() {
    let disk = Failing::default();
    let mut process = Process::with(&[CREATE[0], ROWS]).await;
    process.engine.store_in(Storage::new(1, disk.clone()));
    let mut driver = process.driver().await;
    process.drive(&mut [&mut driver]);
    for query in ["SELECT * FROM t;", "SELECT * FROM t WHERE k = 'a';"] {
        disk.reads.store(true, Ordering::Relaxed);
        let rows = process.begin(query).await;
        let error = futures::TryStreamExt::try_collect::<Vec<_>>(rows.stream).await.expect_err("it cannot be read");
        let diagnostic = failure::diagnose(&error, None).remove(0);
        assert_eq!((diagnostic.code, diagnostic.hint.is_some()), (STATE_DISK, true), "{diagnostic:?}");
        disk.reads.store(false, Ordering::Relaxed);
        assert!(!process.rows(query).await.is_empty());
    }
    assert_eq!(driver.step(process.now_ms, Duration::ZERO), Ok(StepOutcome::Idle));
}
