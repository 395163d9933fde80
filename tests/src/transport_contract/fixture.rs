//! Helpers for the checks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray, BinaryArray, ListArray};
use headwater_connectors::transport::{
    Isolation, NewTopic, ReadPlan, ReadRange, Sink, SinkOptions, Source, SourceEvent, TopicIds, TransportError,
    TransportErrorKind,
};
use headwater_formats::record::{OutBatch, RawBatch, TopicPartition, Wanted, header_lists};

use super::Subject;

/// Maximum time to wait for anything; reached only when a promise is broken.
pub const LIMIT: Duration = Duration::from_secs(30);

/// A header.
pub type Header = (String, Option<Vec<u8>>);

/// A record to be written, or one that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    pub partition: i32,
    pub offset: i64,
    pub timestamp_ms: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<Header>,
}

/// A record of partition 0 without an explicit timestamp.
pub fn row(key: &str, value: &str) -> Row {
    Row { timestamp_ms: 1_000, key: Some(key.into()), value: Some(value.into()), ..Row::default() }
}

impl Subject<'_> {
    /// Creates a topic that keeps everything.
    pub fn topic(&self, partitions: i32) -> Arc<str> {
        self.topic_with(partitions, &[])
    }

    /// Creates a topic with settings.
    pub fn topic_with(&self, partitions: i32, settings: &[(&str, &str)]) -> Arc<str> {
        self.make(&self.prefix, partitions, settings)
    }

    /// Creates a topic in addition to the one named after the prefix.
    pub fn topic_named(&self, name: &str, partitions: i32) -> Arc<str> {
        self.make(name, partitions, &[])
    }

    fn make(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) -> Arc<str> {
        let settings = settings.iter().chain(&[("retention.ms", "-1")]);
        let settings = settings.map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let topic = NewTopic { name: name.to_owned(), partitions, replicas: None, settings };
        self.transport.admin().create_topic(&topic).unwrap();
        topic.name.into()
    }

    /// A sink without transactions.
    pub fn sink(&self) -> Box<dyn Sink> {
        self.transport.open_sink(SinkOptions::default()).unwrap()
    }

    /// A sink whose transactional id is the prefix.
    pub fn transactional_sink(&self) -> Box<dyn Sink> {
        self.transport
            .open_sink(SinkOptions { transactional_id: Some(self.prefix.clone()), ..SinkOptions::default() })
            .unwrap()
    }

    /// Writes rows to their partitions.
    pub fn write(&self, topic: &Arc<str>, rows: &[Row]) {
        let mut sink = self.sink();
        sink.write(&batch(topic, rows)).unwrap();
        sink.flush(LIMIT).unwrap();
    }

    /// Waits until the ends of the topic's partitions are as expected.
    pub fn await_ends(&self, topic: &str, isolation: Isolation, expected: &[i64]) {
        let begun = Instant::now();
        loop {
            let ends = self.transport.admin().watermarks(topic, isolation).unwrap();
            let ends: Vec<_> = ends.iter().map(|ends| ends.end).collect();
            if ends == expected {
                return;
            }
            assert!(begun.elapsed() < LIMIT, "{topic} ends at {ends:?}, expected {expected:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until no transaction of partition 0 is open, and returns the end of its log. A commit returns when it is
    /// decided; the marker that makes it visible may follow later.
    pub fn await_decided(&self, topic: &str) -> i64 {
        let end = |isolation| self.transport.admin().watermarks(topic, isolation).unwrap()[0].end;
        let begun = Instant::now();
        loop {
            let (decided, written) = (end(Isolation::ReadCommitted), end(Isolation::ReadUncommitted));
            if decided == written {
                return written;
            }
            assert!(begun.elapsed() < LIMIT, "the last stable offset of {topic} is {decided}, its end {written}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Opens one source for these ranges.
    pub fn source(&self, ranges: Vec<ReadRange>, isolation: Isolation, wanted: Wanted) -> Box<dyn Source> {
        let plan = ReadPlan { ranges, wanted, isolation, batch_records_max: 100, ids: TopicIds::new() };
        self.transport.open_sources(vec![plan]).unwrap().pop().unwrap()
    }

    /// Reads a range of partition 0 to its end.
    pub fn read(&self, topic: &Arc<str>, start: i64, end: i64, isolation: Isolation) -> Vec<Row> {
        let mut source = self.source(vec![range(topic, 0, start, Some(end))], isolation, Wanted::ALL);
        drain(&mut *source).iter().flat_map(rows).collect()
    }
}

/// A range of a topic.
pub fn range(topic: &Arc<str>, partition: i32, start: i64, end: Option<i64>) -> ReadRange {
    ReadRange { partition: TopicPartition::new(Arc::clone(topic), partition), start, end }
}

/// Reads until every range is finished, each exactly once, and checks every batch.
pub fn drain(source: &mut dyn Source) -> Vec<RawBatch> {
    let begun = Instant::now();
    let (mut batches, mut finished) = (Vec::new(), BTreeSet::new());
    let mut reached = BTreeMap::new();
    let mut idle = 0;
    // Nothing follows the last end: three polls in a row are empty.
    while idle < 3 || finished.is_empty() {
        match source.poll(Duration::from_millis(20)).unwrap() {
            SourceEvent::Batch(batch) => {
                assert!(!batch.is_empty() && !finished.contains(&batch.origin));
                let from = reached.insert(batch.origin.clone(), batch.offsets[batch.len() - 1]).unwrap_or(-1);
                let rises = batch.offsets.windows(2).all(|pair| pair[0] < pair[1]);
                assert!(rises && from < batch.offsets[0], "offsets of {} rise", batch.origin);
                batches.push(batch);
                idle = 0;
            }
            SourceEvent::Finished(partition) => {
                assert!(finished.insert(partition), "a range is finished once");
                idle = 0;
            }
            SourceEvent::Lost(lost) => panic!("{lost}"),
            SourceEvent::Passed(..) | SourceEvent::Idle => idle += 1,
        }
        assert!(begun.elapsed() < LIMIT, "not finished; read {} batches", batches.len());
    }
    batches
}

/// Reads until something arrives.
pub fn next(source: &mut dyn Source) -> Result<SourceEvent, TransportError> {
    let begun = Instant::now();
    while begun.elapsed() < LIMIT {
        match source.poll(Duration::from_millis(100))? {
            SourceEvent::Idle => std::thread::yield_now(),
            event => return Ok(event),
        }
    }
    panic!("nothing arrived within {LIMIT:?}");
}

/// The error of a call that must fail.
pub fn error<T>(outcome: Result<T, TransportError>) -> TransportErrorKind {
    outcome.err().expect("the call must fail").kind
}

/// A batch that writes each row to its partition.
pub fn batch(topic: &Arc<str>, rows: &[Row]) -> OutBatch {
    OutBatch {
        topic: Arc::clone(topic),
        partitions: Some(rows.iter().map(|row| row.partition).collect::<Vec<_>>().into()),
        keys: rows.iter().map(|row| row.key.as_deref()).collect::<BinaryArray>(),
        values: rows.iter().map(|row| row.value.as_deref()).collect::<BinaryArray>(),
        timestamps_ms: Some(rows.iter().map(|row| row.timestamp_ms).collect::<Vec<_>>().into()),
        headers: rows
            .iter()
            .any(|row| !row.headers.is_empty())
            .then(|| header_lists(rows.iter().map(|row| row.headers.as_slice()))),
    }
}

/// The records of a batch for which everything was wanted.
pub fn rows(batch: &RawBatch) -> Vec<Row> {
    let (keys, values) = (batch.keys.as_ref().unwrap(), batch.values.as_ref().unwrap());
    let payload = |column: &BinaryArray, at| column.is_valid(at).then(|| column.value(at).to_vec());
    let at = |at: usize| Row {
        partition: batch.origin.partition,
        offset: batch.offsets[at],
        timestamp_ms: batch.timestamps_ms[at],
        key: payload(keys, at),
        value: payload(values, at),
        headers: headers_at(batch.headers.as_ref().unwrap(), at),
    };
    (0..batch.len()).map(at).collect()
}

fn headers_at(column: &ListArray, at: usize) -> Vec<Header> {
    let entries = column.value(at);
    let entries = entries.as_struct();
    let (names, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_binary::<i32>());
    names.iter().zip(values).map(|(name, value)| (name.unwrap().to_owned(), value.map(<[u8]>::to_vec))).collect()
}
