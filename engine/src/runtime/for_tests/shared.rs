//! A query that two drivers share on the memory transport, whose steps are mixed at random, and killed now and then. Rows with one key
//! are in partitions that go by their topics and keys, so that they meet from different processes.

use std::collections::BTreeMap;
use std::time::Duration;

use headwater_connectors::transport::{SinkOptions, Transport as _};
use headwater_formats::record::OutBatch;

use super::Process;
use crate::runtime::{Driver, StepOutcome};

/// Numbers that look random, the same in each run.
pub(in crate::runtime) struct Chance(pub(in crate::runtime) u64);

impl Chance {
    /// A number below `bound`.
    pub(in crate::runtime) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A record: its key, the number in its value, its partition and its time.
#[derive(Clone, Copy, Debug)]
pub(in crate::runtime) struct Record {
    pub(in crate::runtime) key: u64,
    pub(in crate::runtime) number: u64,
    pub(in crate::runtime) partition: i32,
    pub(in crate::runtime) time_ms: i64,
}

pub(in crate::runtime) const PARTITIONS: u64 = 4;
pub(in crate::runtime) const KEYS: u64 = 12;

/// The records of a topic, in partitions that go by their keys and advance at their own speeds.
pub(in crate::runtime) fn records(chance: &mut Chance, count: u64, turn: u64) -> Vec<Record> {
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

pub(in crate::runtime) fn write(process: &Process, topic: &str, records: &[Record]) {
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
pub(in crate::runtime) fn clocks(records: &[Record]) -> Vec<i64> {
    let mut clocks = BTreeMap::new();
    let clock = |record: &Record| {
        let clock = clocks.entry(record.partition).or_insert(record.time_ms);
        *clock = record.time_ms.max(*clock);
        *clock
    };
    records.iter().map(clock).collect()
}

/// A process, with two drivers of its query.
pub(in crate::runtime) struct Shared {
    pub(in crate::runtime) process: Process,
    query: &'static str,
    drivers: Vec<Driver>,
    pub(in crate::runtime) chance: Chance,
}

impl Shared {
    pub(in crate::runtime) async fn new(seed: u64, statements: &[&str], query: &'static str) -> Self {
        let process = Process::with(statements).await;
        let drivers = vec![process.driver_of(query).await, process.driver_of(query).await];
        Self { process, query, drivers, chance: Chance(seed) }
    }

    /// Steps one of the drivers at a time, for longer and shorter, until nothing is left to do. With `kills` they are killed now and
    /// then, at first.
    pub(in crate::runtime) async fn run(&mut self, kills: bool) {
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

pub(in crate::runtime) const STREAMS: [&str; 2] = [
    "CREATE STREAM l (k STRING KEY, n INT) WITH (KAFKA_TOPIC = 'l', PARTITIONS = 4, KEY_FORMAT = 'KAFKA', VALUE_FORMAT = 'JSON');",
    "CREATE STREAM r (k STRING KEY, n INT) WITH (KAFKA_TOPIC = 'r', PARTITIONS = 4, KEY_FORMAT = 'KAFKA', VALUE_FORMAT = 'JSON');",
];

/// The statement for a table with this name, and its topic.
pub(in crate::runtime) fn table(name: &str) -> String {
    format!(
        "CREATE TABLE {name} (k STRING PRIMARY KEY, n INT) WITH (KAFKA_TOPIC = '{name}', PARTITIONS = 4, KEY_FORMAT = 'KAFKA', \
         VALUE_FORMAT = 'JSON');"
    )
}
