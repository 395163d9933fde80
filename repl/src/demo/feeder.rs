//! Writes the demo's records: a load that reaches some hours back, then a few records a second
//! for as long as the demo lasts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use headwater_connectors::transport::{
    Isolation, NewTopic, Sink, SinkOptions, Transport, TransportError, TransportErrorKind,
};

use super::feed::{CUSTOMERS, Feed, ORDERS};

/// Orders that are there when the demo begins.
pub const ORDERS_AT_START: i64 = 20_000;
/// How far back the first of them lies.
const REACHES_BACK_MS: i64 = 6 * 3_600_000;
/// Changes of customers in that time.
const CHANGES_AT_START: i64 = 300;
/// Records in one write.
const WRITE_RECORDS: i64 = 2_000;
/// Time between two orders later on.
const PERIOD: Duration = Duration::from_millis(100);
/// One customer changes in so many orders.
const CHANGE_EVERY: u64 = 20;
const PARTITIONS: i32 = 4;
const FLUSH_MAX: Duration = Duration::from_secs(30);
/// The seed of the demo: everybody sees the same load.
const SEED: u64 = 2_026;

/// A feed that runs until it is dropped.
pub struct Feeder {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Feeder {
    /// Creates the topics, writes the load unless they have records already, and goes on feeding in a
    /// thread. Returns when the load is written; fails when it cannot be.
    pub fn start(transport: &Arc<dyn Transport>) -> Result<Self, TransportError> {
        for topic in [ORDERS, CUSTOMERS] {
            create(&**transport, topic)?;
        }
        let mut sink = transport.open_sink(SinkOptions::default())?;
        let written = orders_written(&**transport)?;
        // Where an earlier demo has written, go on with other orders.
        let mut feed = Feed::new(SEED ^ written, written);
        if written == 0 {
            load(&mut feed, &mut *sink, now_ms())?;
        }
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new().name("demo-feed".into()).spawn(move || go_on(feed, sink, &stopped));
        let thread = thread
            .map_err(|error| TransportError::other(format!("could not start the thread of the feed: {error}")))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the feed of the demo panicked");
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

/// Orders that the topic has had, those of earlier demos.
fn orders_written(transport: &dyn Transport) -> Result<u64, TransportError> {
    let ends = transport.admin().watermarks(ORDERS, Isolation::ReadCommitted)?;
    Ok(ends.iter().map(|ends| ends.end.unsigned_abs()).sum())
}

/// Writes every customer and then the orders of the last hours, spread evenly.
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

/// The times of some of `count` events that are spread evenly over the load.
fn spread(first_ms: i64, count: i64, which: std::ops::Range<i64>) -> impl Iterator<Item = i64> {
    which.map(move |index| first_ms + index * REACHES_BACK_MS / count)
}

fn go_on(mut feed: Feed, mut sink: Box<dyn Sink>, stopped: &Receiver<()>) {
    for round in 1_u64.. {
        match stopped.recv_timeout(PERIOD) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
        }
        if let Err(error) = one_round(&mut feed, &mut *sink, round) {
            tracing::warn!(%error, "the feed of the demo has stopped");
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
    fn the_load_is_spread_over_the_last_hours() {
        let times: Vec<i64> = spread(1_000, 4, 0..4).collect();
        assert_eq!(times, [1_000, 5_401_000, 10_801_000, 16_201_000]);
        assert_eq!(spread(1_000, 4, 2..3).collect::<Vec<_>>(), [10_801_000]);
    }
}
