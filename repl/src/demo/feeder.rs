//! Writes the demo's records: first the orders of the last hours, then a few records per second while the demo runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use headwater_connectors::transport::{
    Isolation, NewTopic, Sink, SinkOptions, Transport, TransportError, TransportErrorKind,
};

use super::feed::{CUSTOMERS, Feed, ORDERS};

/// Number of orders that exist when the demo begins.
pub const ORDERS_AT_START: i64 = 20_000;
/// How far back the first of them is.
const REACHES_BACK_MS: i64 = 6 * 3_600_000;
/// Number of changes of customers in that time.
const CHANGES_AT_START: i64 = 300;
/// Number of records per write.
const WRITE_RECORDS: i64 = 2_000;
/// Time between two later orders.
const PERIOD: Duration = Duration::from_millis(100);
/// One customer changes for every this many orders.
const CHANGE_EVERY: u64 = 20;
const PARTITIONS: i32 = 4;
const FLUSH_MAX: Duration = Duration::from_secs(30);
/// The seed of the demo: everybody sees the same records.
const SEED: u64 = 2_026;

/// Writes records until it is dropped.
pub struct Feeder {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Feeder {
    /// Creates the topics, writes the first records unless the topics already have some, and continues on a thread.
    /// Returns when the first records are written; fails when they cannot be.
    pub fn start(transport: &Arc<dyn Transport>) -> Result<Self, TransportError> {
        for topic in [ORDERS, CUSTOMERS] {
            create(&**transport, topic)?;
        }
        let mut sink = transport.open_sink(SinkOptions::default())?;
        let written = orders_written(&**transport)?;
        // If an earlier demo has written orders, continue with new ones.
        let mut feed = Feed::new(SEED ^ written, written);
        if written == 0 {
            load(&mut feed, &mut *sink, now_ms())?;
        }
        let (stop, stopped) = channel();
        let thread =
            std::thread::Builder::new().name("demo-feed".into()).spawn(move || keep_feeding(feed, sink, &stopped));
        let thread = thread
            .map_err(|error| TransportError::other(format!("could not start the demo's feeder thread: {error}")))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the demo's feeder thread panicked");
        }
    }
}

fn create(transport: &dyn Transport, name: &str) -> Result<(), TransportError> {
    let topic = NewTopic { name: name.into(), partitions: PARTITIONS, replicas: None, settings: BTreeMap::new() };
    match transport.admin().create_topic(&topic) {
        Err(error) if error.kind == TransportErrorKind::TopicExists => Ok(()),
        created => created,
    }
}

/// Number of orders that earlier demos wrote to the topic.
fn orders_written(transport: &dyn Transport) -> Result<u64, TransportError> {
    let ends = transport.admin().watermarks(ORDERS, Isolation::ReadCommitted)?;
    Ok(ends.iter().map(|ends| ends.end.unsigned_abs()).sum())
}

/// Writes every customer and then the orders of the last hours, evenly distributed.
fn load(feed: &mut Feed, sink: &mut dyn Sink, now_ms: i64) -> Result<(), TransportError> {
    let first_ms = now_ms - REACHES_BACK_MS;
    sink.write(&feed.all_customers(first_ms))?;
    sink.write(&feed.customer_changes(spread(first_ms, CHANGES_AT_START, 0..CHANGES_AT_START)))?;
    for start in (0..ORDERS_AT_START).step_by(usize::try_from(WRITE_RECORDS).unwrap_or(1)) {
        let end = (start + WRITE_RECORDS).min(ORDERS_AT_START);
        sink.write(&feed.orders(spread(first_ms, ORDERS_AT_START, start..end)))?;
    }
    sink.flush(FLUSH_MAX)
}

/// The times of some of `count` events that are evenly distributed over the last hours.
fn spread(first_ms: i64, count: i64, which: std::ops::Range<i64>) -> impl Iterator<Item = i64> {
    which.map(move |index| first_ms + index * REACHES_BACK_MS / count)
}

fn keep_feeding(mut feed: Feed, mut sink: Box<dyn Sink>, stopped: &Receiver<()>) {
    for round in 1_u64.. {
        match stopped.recv_timeout(PERIOD) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
        }
        if let Err(error) = one_round(&mut feed, &mut *sink, round) {
            tracing::warn!(%error, "the demo's feeder thread has stopped");
            return;
        }
    }
    if let Err(error) = sink.flush(Duration::from_secs(1)) {
        tracing::debug!(%error, "the last records of the demo were not acknowledged");
    }
}

fn one_round(feed: &mut Feed, sink: &mut dyn Sink, round: u64) -> Result<(), TransportError> {
    let now = now_ms();
    sink.write(&feed.orders(std::iter::once(now)))?;
    if round.is_multiple_of(CHANGE_EVERY) {
        sink.write(&feed.customer_changes(std::iter::once(now)))?;
    }
    Ok(())
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_distributed_over_the_last_hours() {
        let times: Vec<i64> = spread(1_000, 4, 0..4).collect();
        assert_eq!(times, [1_000, 5_401_000, 10_801_000, 16_201_000]);
        assert_eq!(spread(1_000, 4, 2..3).collect::<Vec<_>>(), [10_801_000]);
    }
}
