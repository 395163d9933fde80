//! Writes records for the keys of the table: at once, or at a rate in a thread.

use std::error::Error;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use arrow::array::BinaryArray;
use headwater_connectors::transport::{Sink, SinkOptions, Transport, TransportError};
use headwater_formats::record::{OutBatch, TopicPartition};

use super::Arguments;
use super::threads::FEED;

/// Records of one write at most.
const BATCH: u64 = 10_000;
/// How often records are written at a rate.
const PACE: Duration = Duration::from_millis(10);
const FLUSH_MAX: Duration = Duration::from_secs(60);
/// A factor without a common divisor with any number of keys: it visits all of them in an order that looks random.
const STRIDE: u64 = 2_654_435_761;

/// The key of a record, and of a look-up, with this number.
pub fn key(number: u64, keys: u64) -> u64 {
    number.wrapping_mul(STRIDE) % keys
}

/// Writes records for the keys.
#[derive(Clone)]
pub struct Feed {
    transport: Arc<dyn Transport>,
    topic: Arc<str>,
    partitions: i32,
    keys: u64,
    written: u64,
}

/// A thread that writes. It keeps its CPU time until it may end.
pub struct Writing {
    thread: JoinHandle<Result<Feed, TransportError>>,
    may_end: Sender<()>,
}

impl Feed {
    /// Writes to a topic.
    pub fn new(transport: Arc<dyn Transport>, topic: &str, arguments: &Arguments) -> Self {
        let (topic, partitions, keys) = (topic.into(), arguments.partitions, arguments.keys);
        Self { transport, topic, partitions, keys, written: 0 }
    }

    /// The number of records that were written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The number of records that a consumer group has committed.
    pub fn committed(&self, group: &str) -> Result<u64, TransportError> {
        let all: Vec<_> = (0..self.partitions).map(|number| TopicPartition::new(self.topic.clone(), number)).collect();
        let positions = self.transport.admin().committed_offsets(group, &all)?;
        Ok(positions.into_values().flatten().map(|position| position.offset.unsigned_abs()).sum())
    }

    /// Writes this many records: at most `rate` per second, if one is given.
    pub fn write(&mut self, records: u64, rate: Option<u64>) -> Result<(), TransportError> {
        let mut sink: Box<dyn Sink> = self.transport.open_sink(SinkOptions::default())?;
        let (begun, mut done) = (Instant::now(), 0);
        while done < records {
            let due = rate.map_or(records, |rate| due(begun.elapsed(), rate).min(records));
            while done < due {
                let now = BATCH.min(due - done);
                sink.write(&self.batch(self.written..self.written + now))?;
                (done, self.written) = (done + now, self.written + now);
            }
            if rate.is_some() {
                thread::sleep(PACE);
            }
        }
        sink.flush(FLUSH_MAX)
    }

    /// Writes this many records at a rate, in a thread.
    pub fn start(&self, records: u64, rate: u64) -> std::io::Result<Writing> {
        let (may_end, waits): (_, Receiver<()>) = channel();
        let mut feed = self.clone();
        let write = move || {
            feed.write(records, Some(rate))?;
            // Until the sender is dropped: the CPU time of a thread that has ended is not counted.
            let _ = waits.recv();
            Ok(feed)
        };
        let thread = thread::Builder::new().name(FEED.to_owned()).spawn(write)?;
        Ok(Writing { thread, may_end })
    }

    /// Goes on where a thread has ended.
    pub fn stop(&mut self, writing: Writing) -> Result<(), Box<dyn Error>> {
        drop(writing.may_end);
        *self = writing.thread.join().map_err(|_| "the feed panicked")??;
        Ok(())
    }

    fn batch(&self, numbers: std::ops::Range<u64>) -> OutBatch {
        let key = |number: u64| key(number, self.keys);
        OutBatch {
            topic: self.topic.clone(),
            partitions: Some(numbers.clone().map(|n| (key(n) % self.partitions as u64) as i32).collect()),
            keys: BinaryArray::from_iter_values(numbers.clone().map(|number| key(number).to_be_bytes())),
            values: BinaryArray::from_iter_values(numbers.map(|number| format!(r#"{{"V":{}}}"#, number % 1_000))),
            timestamps_ms: None,
            headers: None,
        }
    }
}

/// How many records are due after this time.
fn due(elapsed: Duration, rate: u64) -> u64 {
    (elapsed.as_secs_f64() * rate as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_seconds() {
        assert_eq!(due(Duration::from_millis(2_500), 200_000), 500_000);
    }
}
