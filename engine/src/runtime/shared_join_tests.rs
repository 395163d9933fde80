//! Joins that several processes share: however far one of them is behind, the result is that of the records.
//!
//! Method: two drivers on the memory transport, whose steps are mixed at random, and killed now and then. Rows of streams and tables
//! with one key are in partitions with different numbers, so that they meet from different processes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use headwater_connectors::transport::{SinkOptions, Transport as _};
use headwater_formats::record::OutBatch;

use super::driver::{Driver, StepOutcome};
use super::for_tests::Process;

/// Numbers that look random, the same in each run.
struct Chance(u64);

impl Chance {
    /// A number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A record: its key, the number in its value, its partition and its time.
#[derive(Clone, Copy, Debug)]
struct Record {
    key: u64,
    number: u64,
    partition: i32,
    time_ms: i64,
}

const PARTITIONS: u64 = 4;
const KEYS: u64 = 12;

/// The records of a topic, in partitions that go by their keys and advance at their own speeds.
fn records(chance: &mut Chance, count: u64, turn: u64) -> Vec<Record> {
    let mut times: Vec<i64> = vec![0; PARTITIONS as usize];
    let record = |number| {
        let key = chance.below(KEYS);
        let partition = (key + turn) % PARTITIONS;
        let time = &mut times[partition as usize];
        *time += chance.below(200) as i64;
        Record { key, number, partition: partition as i32, time_ms: *time - chance.below(50) as i64 }
    };
    (0..count).map(record).collect()
}

fn write(process: &Process, topic: &str, records: &[Record]) {
    let batch = OutBatch {
        topic: topic.into(),
        partitions: Some(records.iter().map(|record| record.partition).collect::<Vec<_>>().into()),
        keys: records.iter().map(|record| Some(format!("k{}", record.key).into_bytes())).collect(),
        values: records.iter().map(|record| Some(format!(r#"{{"N":{}}}"#, record.number).into_bytes())).collect(),
        timestamps_ms: Some(records.iter().map(|record| record.time_ms).collect::<Vec<_>>().into()),
        headers: None,
    };
    process.cluster.open_sink(SinkOptions::default()).and_then(|mut sink| sink.write(&batch)).expect("records");
}

/// The stream time of the partition of each record, at that record.
fn clocks(records: &[Record]) -> Vec<i64> {
    let mut clocks = BTreeMap::new();
    let clock = |record: &Record| {
        let clock = clocks.entry(record.partition).or_insert(record.time_ms);
        *clock = record.time_ms.max(*clock);
        *clock
    };
    records.iter().map(clock).collect()
}

/// A process, with two drivers of its query.
struct Shared {
    process: Process,
    query: &'static str,
    drivers: Vec<Driver>,
    chance: Chance,
}

impl Shared {
    async fn new(seed: u64, statements: &[&str], query: &'static str) -> Self {
        let process = Process::with(statements).await;
        let drivers = vec![process.driver_of(query).await, process.driver_of(query).await];
        Self { process, query, drivers, chance: Chance(seed) }
    }

    /// Steps one of the drivers at a time, for longer and shorter, until nothing is left to do. With `kills` they are killed now and
    /// then, at first.
    async fn run(&mut self, kills: bool) {
        for turn in 0..60 {
            let at = self.chance.below(2) as usize;
            if kills && turn < 40 && self.chance.below(5) == 0 {
                self.process.cluster.expire_members();
                self.drivers[at] = self.process.driver_of(self.query).await;
            }
            for _ in 0..self.chance.below(40) {
                self.process.now_ms += 300;
                // A driver whose member was expired fails, and is started again.
                if self.drivers[at].step(self.process.now_ms, Duration::ZERO).is_err() {
                    self.drivers[at] = self.process.driver_of(self.query).await;
                }
            }
        }
        let mut quiet = 0;
        for _ in 0..20_000 {
            for driver in &mut self.drivers {
                self.process.now_ms += 300;
                let step = driver.step(self.process.now_ms, Duration::ZERO).expect("nothing fails");
                quiet = if step == StepOutcome::Idle && driver.is_settled() { quiet + 1 } else { 0 };
            }
            if quiet > 40 {
                return;
            }
        }
        panic!("it does not come to rest");
    }
}

const STREAMS: [&str; 2] = [
    "CREATE STREAM l (k STRING KEY, n INT) WITH (KAFKA_TOPIC = 'l', PARTITIONS = 4, KEY_FORMAT = 'KAFKA', VALUE_FORMAT = 'JSON');",
    "CREATE STREAM r (k STRING KEY, n INT) WITH (KAFKA_TOPIC = 'r', PARTITIONS = 4, KEY_FORMAT = 'KAFKA', VALUE_FORMAT = 'JSON');",
];

/// Trap J1.
#[tokio::test]
async fn a_row_of_a_stream_gets_what_a_table_elsewhere_had_at_its_time() {
    const TABLE: &str = "CREATE TABLE t (k STRING PRIMARY KEY, n INT) WITH (KAFKA_TOPIC = 't', PARTITIONS = 4, KEY_FORMAT = 'KAFKA', VALUE_FORMAT = 'JSON');";
    const JOIN: &str = "CREATE STREAM j AS SELECT l.k AS k, l.n AS l, t.n AS t FROM l LEFT JOIN t ON l.k = t.k;";
    for seed in 0..24 {
        let mut shared = Shared::new(seed, &[STREAMS[0], TABLE, JOIN], "CSAS_J_4").await;
        let (stream, table) = (records(&mut shared.chance, 300, 0), records(&mut shared.chance, 200, 1));
        write(&shared.process, "l", &stream);
        write(&shared.process, "t", &table);
        let table_clocks = clocks(&table);
        let row = |(record, clock): (&Record, i64)| {
            let mut rows = table.iter().zip(&table_clocks).rev();
            let row = rows.find(|(row, time)| row.key == record.key && **time <= clock);
            let text = row.map_or(String::new(), |(row, _)| row.number.to_string());
            format!("k{} {} {text}", record.key, record.number)
        };
        let mut expected: Vec<String> = stream.iter().zip(clocks(&stream)).map(row).collect();
        expected.sort();
        shared.run(seed % 3 > 0).await;
        let rows = shared.process.rows("SELECT k, l, t FROM j;").await;
        let differences: Vec<_> = rows.iter().zip(&expected).filter(|(row, expected)| row != expected).collect();
        assert!(differences.is_empty() && rows.len() == expected.len(), "seed {seed}: {differences:?}");
    }
}

/// Goal: no match is lost because one process is behind another one, and no row is emitted without a match that has one.
#[tokio::test]
async fn streams_match_however_far_one_process_is_behind() {
    const JOIN: &str = "CREATE STREAM j AS SELECT l.k AS k, l.n AS l, r.n AS r FROM l LEFT JOIN r WITHIN 300 MILLISECONDS GRACE PERIOD 50 MILLISECONDS ON l.k = r.k;";
    for seed in 0..24 {
        let mut shared = Shared::new(seed, &[STREAMS[0], STREAMS[1], JOIN], "CSAS_J_4").await;
        let (left, right) = (records(&mut shared.chance, 300, 0), records(&mut shared.chance, 300, 0));
        write(&shared.process, "l", &left);
        write(&shared.process, "r", &right);
        let (mut expected, mut alone) = (BTreeSet::new(), BTreeSet::new());
        for one in &left {
            let matches = |other: &&Record| other.key == one.key && (other.time_ms - one.time_ms).abs() <= 300;
            let matched: Vec<&Record> = right.iter().filter(matches).collect();
            let text = |other: &str| format!("k{} {} {other}", one.key, one.number);
            expected.extend(matched.iter().map(|other| text(&other.number.to_string())));
            alone.extend(matched.is_empty().then(|| text("")));
        }
        shared.run(seed % 3 > 0).await;
        // Rows that wait come out once a row of their key is later.
        let flush = |key| Record { key, number: 1_000 + key, partition: (key % PARTITIONS) as i32, time_ms: 100_000 };
        write(&shared.process, "l", &(0..KEYS).map(flush).collect::<Vec<_>>());
        shared.run(false).await;
        let rows: Vec<String> = shared.process.rows("SELECT k, l, r FROM j;").await;
        let distinct: BTreeSet<String> = rows.iter().cloned().collect();
        assert_eq!(distinct.len(), rows.len(), "seed {seed}: no row comes twice");
        expected.append(&mut alone);
        let differences: Vec<_> = expected.symmetric_difference(&distinct).collect();
        assert!(differences.is_empty(), "seed {seed}: {differences:?}");
    }
}

/// Goal: both sides of a stream that is joined with itself have all rows, although each side passes its own exchange and processes are
/// behind each other. Method: a row matches the one whose number is the next.
#[tokio::test]
async fn a_stream_matches_itself_however_far_one_process_is_behind() {
    const JOIN: &str = "CREATE STREAM j AS SELECT b.n AS n, a.n AS l, b.k AS k FROM l a LEFT JOIN l b WITHIN 300 MILLISECONDS GRACE PERIOD 50 MILLISECONDS ON a.n + 1 = b.n;";
    for seed in 0..16 {
        let mut shared = Shared::new(seed, &[STREAMS[0], JOIN], "CSAS_J_3").await;
        let records = records(&mut shared.chance, 300, 0);
        write(&shared.process, "l", &records);
        let text = |one: &Record| {
            let mut matches = records.iter().filter(|other| other.number == one.number + 1);
            let matched = matches.find(|other| (other.time_ms - one.time_ms).abs() <= 300);
            format!("{} {}", one.number, matched.map_or(String::new(), |other| format!("k{}", other.key)))
        };
        let expected: BTreeSet<String> = records.iter().map(text).collect();
        shared.run(seed % 3 > 0).await;
        // Rows that wait come out once a row of their partition is later.
        let flush =
            |at| Record { key: at, number: 1_000 + 2 * at, partition: (at % PARTITIONS) as i32, time_ms: 100_000 };
        write(&shared.process, "l", &(0..40).map(flush).collect::<Vec<_>>());
        shared.run(false).await;
        let rows: Vec<String> = shared.process.rows("SELECT l, k FROM j;").await;
        let distinct: BTreeSet<String> = rows.iter().cloned().collect();
        assert_eq!(distinct.len(), rows.len(), "seed {seed}: no row comes twice");
        let differences: Vec<_> = expected.symmetric_difference(&distinct).collect();
        assert!(differences.is_empty(), "seed {seed}: {differences:?}");
    }
}
