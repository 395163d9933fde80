//! The input of a query: its source, read on the query's own thread or ahead of it on a second one.
//!
//! While batches are large, a thread fetches the next ones while the query computes the previous ones. Once they are
//! small, this gains nothing: the thread ends and returns the source, so a waiting query has no second thread that
//! wakes up. The thread sends something at least every [`LOOK`]; if it does not, it is stuck and the query is restarted.
//!
//! A query without input for a while is suspended: it has no source at all, and a doorbell rings when records arrive.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use headwater_connectors::transport::{
    Doorbell, LossCause, Lost, ReadPlan, Source, SourceEvent, Transport, TransportError,
};
use headwater_formats::panic::words;

/// A batch of this many records means that there is much to read, so the following ones are read ahead.
pub(super) const AHEAD_FROM: usize = 1_024;
/// Most records to take from a source at once.
pub(super) const BATCH_RECORDS_MAX: usize = 16_384;
/// Most events that wait for the query.
const WAITING_MAX: usize = 2;
/// How long the thread waits for records before it checks whether it should end.
const LOOK: Duration = Duration::from_millis(100);
/// Number of polls without a large batch after which the thread returns the source.
const LOOKS_MAX: usize = 20;
/// How long the thread may be silent before it is considered stuck.
const SILENT_MAX: Duration = Duration::from_secs(60);

/// The input of one share of a query.
pub(super) struct Intake {
    transport: Arc<dyn Transport>,
    /// What is read; each range begins at the next offset to read.
    plan: ReadPlan,
    /// The source, unless a thread has it or the intake is suspended.
    source: Option<Box<dyn Source>>,
    reader: Option<ReaderThread>,
    /// Replaces the source while the intake is suspended.
    bell: Option<Box<dyn Doorbell>>,
    /// Number of records that makes a batch large and starts the thread; `None` to never start one.
    ahead_from: Option<usize>,
}

/// A thread that reads ahead.
struct ReaderThread {
    /// `None` once the thread should end.
    events: Option<Receiver<Sent>>,
    thread: Option<JoinHandle<()>>,
    heard_at: Instant,
}

#[allow(clippy::large_enum_variant, reason = "an event holds thousands of records, so its own size does not matter")]
enum Sent {
    Event(Result<SourceEvent, TransportError>),
    /// The thread has ended and returns the source.
    Back(Box<dyn Source>),
}

impl Intake {
    /// Opens the input of a plan. A batch of `ahead_from` records or more starts a thread that reads ahead.
    pub(super) fn open(
        transport: Arc<dyn Transport>,
        plan: ReadPlan,
        ahead_from: Option<usize>,
    ) -> Result<Self, TransportError> {
        let mut intake = Self { transport, plan, source: None, reader: None, bell: None, ahead_from };
        intake.open_source()?;
        Ok(intake)
    }

    /// Waits at most `timeout` for the next event, like [`Source::poll`]. Must not be called while suspended.
    pub(super) fn poll(&mut self, timeout: Duration) -> Result<SourceEvent, TransportError> {
        let event = self.take(timeout)?;
        let next = match &event {
            SourceEvent::Batch(batch) => batch.offsets.last().map(|last| (&batch.origin, last + 1)),
            SourceEvent::Lost(Lost { partition, to: offset, .. }) | SourceEvent::Passed(partition, offset) => {
                Some((partition, *offset))
            }
            SourceEvent::Finished(_) | SourceEvent::Idle => None,
        };
        if let Some((partition, offset)) = next
            && let Some(range) = self.plan.ranges.iter_mut().find(|range| range.partition == *partition)
        {
            range.start = offset;
        }
        Ok(event)
    }

    fn take(&mut self, timeout: Duration) -> Result<SourceEvent, TransportError> {
        if let Some(reader) = &mut self.reader {
            match reader.receive(timeout)? {
                Sent::Event(event) => return event,
                Sent::Back(source) => self.source = Some(source),
            }
            self.reader = None;
            return Ok(SourceEvent::Idle);
        }
        let event = self.source.as_mut().ok_or_else(ended)?.poll(timeout)?;
        if let Some(from) = self.ahead_from.filter(|from| is_large(&event, *from)) {
            self.reader = self.source.take().map(|source| ReaderThread::start(source, from)).transpose()?;
        }
        Ok(event)
    }

    /// Replaces the source with a doorbell, unless a thread is reading it. Call it when nothing has arrived for a while,
    /// and only if no range has an end.
    pub(super) fn suspend(&mut self) -> Result<(), TransportError> {
        if self.source.is_some() {
            let positions = self.plan.ranges.iter().map(|range| (range.partition.clone(), range.start)).collect();
            self.bell = Some(self.transport.doorbell(&positions)?);
            self.source = None;
        }
        Ok(())
    }

    /// True while a thread has the source.
    pub(super) fn is_read_ahead(&self) -> bool {
        self.reader.is_some()
    }

    /// True while a doorbell replaces the source.
    pub(super) fn is_suspended(&self) -> bool {
        self.bell.is_some()
    }

    /// Waits at most `timeout` for the doorbell. Returns whether it rang.
    pub(super) fn rings(&mut self, timeout: Duration) -> bool {
        self.bell.as_mut().is_some_and(|bell| bell.wait(timeout))
    }

    /// Opens the source again, if a doorbell replaces it.
    pub(super) fn resume(&mut self) -> Result<(), TransportError> {
        if self.bell.is_some() {
            self.check_topics()?;
            self.open_source()?;
            self.bell = None;
        }
        Ok(())
    }

    fn open_source(&mut self) -> Result<(), TransportError> {
        let mut opened = self.transport.open_sources(vec![self.plan.clone()])?;
        self.source = Some(opened.pop().ok_or_else(|| TransportError::internal("the transport opened no source"))?);
        Ok(())
    }

    /// Fails when a topic was deleted and created again since it was read.
    fn check_topics(&self) -> Result<(), TransportError> {
        for (topic, meant) in &self.plan.ids {
            let is_other = self.transport.admin().topic_id(topic)?.is_some_and(|id| id != *meant);
            let read = self.plan.ranges.iter().find(|range| range.partition.topic == *topic);
            if let Some(range) = read.filter(|_| is_other) {
                let (partition, cause) = (range.partition.clone(), LossCause::Recreated);
                return Err(Lost { partition, cause, from: range.start, to: range.start }.into());
            }
        }
        Ok(())
    }
}

fn is_large(event: &SourceEvent, from: usize) -> bool {
    matches!(event, SourceEvent::Batch(batch) if batch.len() >= from)
}

impl ReaderThread {
    fn start(source: Box<dyn Source>, large: usize) -> Result<Self, TransportError> {
        let (sender, events) = sync_channel(WAITING_MAX);
        let thread = std::thread::Builder::new().name("reader".to_owned()).spawn(move || read(source, large, &sender));
        let thread = thread.map_err(|error| TransportError::other(format!("could not start a thread: {error}")))?;
        Ok(Self { events: Some(events), thread: Some(thread), heard_at: Instant::now() })
    }

    fn receive(&mut self, timeout: Duration) -> Result<Sent, TransportError> {
        let received = self.events.as_ref().ok_or_else(ended)?.recv_timeout(timeout);
        match received {
            Ok(sent) => {
                self.heard_at = Instant::now();
                Ok(sent)
            }
            Err(RecvTimeoutError::Timeout) if self.heard_at.elapsed() < SILENT_MAX => {
                Ok(Sent::Event(Ok(SourceEvent::Idle)))
            }
            Err(RecvTimeoutError::Timeout) => Err(TransportError::other("the reader thread is stuck in a call")),
            Err(RecvTimeoutError::Disconnected) => Err(self.why_ended()),
        }
    }

    fn why_ended(&mut self) -> TransportError {
        let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) else { return ended() };
        TransportError::other(format!("internal error while reading: {}", words(panic.as_ref())))
    }
}

impl Drop for ReaderThread {
    /// Waits until the thread has closed the source.
    fn drop(&mut self) {
        self.events = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it was already reported.
            let _ = thread.join();
        }
    }
}

fn read(mut source: Box<dyn Source>, large: usize, events: &SyncSender<Sent>) {
    let mut looks = 0;
    while looks < LOOKS_MAX {
        let event = source.poll(LOOK);
        looks = if event.as_ref().is_ok_and(|event| is_large(event, large)) { 0 } else { looks + 1 };
        let failed = event.is_err();
        // Sending fails once the query has dropped the receiver.
        if events.send(Sent::Event(event)).is_err() || failed {
            return;
        }
    }
    // If nobody receives the source, it is dropped and so closed.
    let _ = events.send(Sent::Back(source));
}

fn ended() -> TransportError {
    TransportError::other("the reader thread has ended")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, VecDeque};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use headwater_connectors::transport::memory::MemoryTransport;
    use headwater_connectors::transport::{Isolation, NewTopic, ReadRange, SinkOptions, TopicIds, TransportErrorKind};
    use headwater_formats::record::{OutBatch, RawBatch, TopicPartition, Wanted};

    use super::*;

    /// A source that yields batches of these sizes, then nothing, and records when it is closed.
    struct Sizes {
        sizes: VecDeque<Option<usize>>,
        closed: Arc<AtomicBool>,
        next: i64,
    }

    impl Source for Sizes {
        fn poll(&mut self, _: Duration) -> Result<SourceEvent, TransportError> {
            match self.sizes.pop_front() {
                Some(Some(size)) => {
                    let batch = batch(self.next, size);
                    self.next += size as i64;
                    Ok(SourceEvent::Batch(batch))
                }
                Some(None) => Err(TransportError::other("broken")),
                None if self.next < 0 => panic!("panic of the test"),
                None => Ok(SourceEvent::Idle),
            }
        }
    }

    impl Drop for Sizes {
        fn drop(&mut self) {
            self.closed.store(true, Ordering::Release);
        }
    }

    fn batch(first: i64, size: usize) -> RawBatch {
        RawBatch {
            origin: TopicPartition { topic: Arc::from("t"), partition: 0 },
            offsets: (first..).take(size).collect(),
            timestamps_ms: vec![0; size].into(),
            keys: None,
            values: None,
            value_nulls: None,
            headers: None,
            payload_bytes: 0,
        }
    }

    fn intake(sizes: &[Option<usize>], ahead_from: Option<usize>) -> (Intake, Arc<AtomicBool>) {
        let closed = Arc::<AtomicBool>::default();
        let source = Sizes { sizes: sizes.iter().copied().collect(), closed: closed.clone(), next: 0 };
        (of(source, ahead_from), closed)
    }

    fn of(source: Sizes, ahead_from: Option<usize>) -> Intake {
        let intake = Intake::open(Arc::new(MemoryTransport::new()), plan(&[]), ahead_from).expect("opens");
        Intake { source: Some(Box::new(source)), ..intake }
    }

    /// A plan that reads these partitions of t from their beginning.
    fn plan(partitions: &[i32]) -> ReadPlan {
        let range =
            |partition: &i32| ReadRange { partition: TopicPartition::new("t", *partition), start: 0, end: None };
        ReadPlan {
            ranges: partitions.iter().map(range).collect(),
            wanted: Wanted::ALL,
            isolation: Isolation::ReadCommitted,
            batch_records_max: 100,
            ids: TopicIds::new(),
        }
    }

    /// The offsets read until the source is idle.
    fn offsets(intake: &mut Intake) -> Result<Vec<i64>, TransportError> {
        let mut all = Vec::new();
        loop {
            match intake.poll(Duration::from_secs(5))? {
                SourceEvent::Batch(batch) => all.extend(batch.offsets.iter().copied()),
                SourceEvent::Idle => return Ok(all),
                SourceEvent::Finished(_) | SourceEvent::Lost(_) | SourceEvent::Passed(..) => {}
            }
        }
    }

    #[test]
    fn what_is_read_ahead_is_what_is_read() {
        let sizes = [Some(3), Some(10), Some(1), Some(10), Some(4)];
        for ahead_from in [None, Some(10), Some(1)] {
            let (mut intake, _) = intake(&sizes, ahead_from);
            assert_eq!(offsets(&mut intake).expect("no error"), (0..28).collect::<Vec<_>>(), "{ahead_from:?}");
        }
    }

    #[test]
    fn a_source_with_nothing_comes_back() {
        let (mut intake, _) = intake(&[Some(10)], Some(10));
        for _ in 0..=LOOKS_MAX + 1 {
            intake.poll(Duration::from_secs(5)).expect("no error");
        }
        assert!(intake.reader.is_none() && intake.source.is_some());
    }

    #[test]
    fn an_error_comes_after_the_batches_before_it() {
        let (mut intake, _) = intake(&[Some(10), Some(5), None], Some(10));
        let mut seen = 0;
        let error = loop {
            match intake.poll(Duration::from_secs(5)) {
                Ok(SourceEvent::Batch(batch)) => seen += batch.len(),
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!((seen, error.message.as_str()), (15, "broken"));
    }

    #[test]
    fn a_panic_is_reported() {
        let source = Sizes { sizes: [Some(10)].into(), closed: Arc::default(), next: -1_000 };
        let mut intake = of(source, Some(10));
        intake.poll(Duration::from_secs(5)).expect("the first batch");
        let error = intake.poll(Duration::from_secs(5)).expect_err("a panic");
        assert_eq!(error.message, "internal error while reading: panic of the test");
    }

    #[test]
    fn small_batches_end_the_thread() {
        let mut sizes = vec![Some(10)];
        sizes.resize(2 * LOOKS_MAX, Some(1));
        let (mut intake, _) = intake(&sizes, Some(10));
        assert_eq!(offsets(&mut intake).expect("no error").len(), 10 + LOOKS_MAX);
        assert!(intake.reader.is_none() && intake.source.is_some());
        assert_eq!(offsets(&mut intake).expect("no error").len(), LOOKS_MAX - 1);
    }

    #[test]
    fn it_is_closed_when_it_is_dropped() {
        let (mut intake, closed) = intake(&[Some(10), Some(10), Some(10), Some(10), Some(10)], Some(10));
        intake.poll(Duration::from_secs(5)).expect("no error");
        drop(intake);
        assert!(closed.load(Ordering::Acquire));
    }

    /// A cluster with a topic t of two partitions, and a function that writes a record to one of them.
    fn cluster() -> (MemoryTransport, impl Fn(i32)) {
        let cluster = MemoryTransport::new();
        let topic = NewTopic { name: "t".into(), partitions: 2, replicas: None, settings: BTreeMap::new() };
        cluster.admin().create_topic(&topic).expect("a new topic");
        let mut sink = cluster.open_sink(SinkOptions::default()).expect("a sink");
        let sink = std::cell::RefCell::new(move |partition| {
            let batch = OutBatch {
                topic: "t".into(),
                partitions: Some(vec![partition].into()),
                keys: vec![None::<&[u8]>].into(),
                values: vec![Some(b"v".as_slice())].into(),
                timestamps_ms: None,
                headers: None,
            };
            sink.write(&batch).expect("writes");
        });
        (cluster, move |partition| (sink.borrow_mut())(partition))
    }

    #[test]
    fn a_suspended_intake_wakes_and_reads_on() {
        let (cluster, write) = cluster();
        let mut intake = Intake::open(Arc::new(cluster), plan(&[0, 1]), None).expect("opens");
        write(0);
        assert_eq!(offsets(&mut intake).expect("no error"), [0]);
        intake.suspend().expect("suspends");
        assert!(intake.is_suspended() && !intake.rings(Duration::ZERO));
        for partition in [1, 0] {
            write(partition);
        }
        assert!(intake.rings(Duration::ZERO));
        intake.resume().expect("the same topic");
        assert!(!intake.is_suspended());
        let mut read = offsets(&mut intake).expect("no error");
        read.sort_unstable();
        assert_eq!(read, [0, 1], "the first of partition 1 and the second of partition 0");
    }

    #[test]
    fn a_suspended_intake_finds_that_its_topic_was_recreated() {
        let (cluster, write) = cluster();
        let id = cluster.admin().topic_id("t").expect("an id").expect("an id");
        let plan = ReadPlan { ids: [(Arc::from("t"), id)].into(), ..plan(&[0]) };
        let mut intake = Intake::open(Arc::new(cluster.clone()), plan, None).expect("opens");
        write(0);
        offsets(&mut intake).expect("no error");
        intake.suspend().expect("suspends");
        cluster.admin().delete_topic("t").expect("it exists");
        let topic = NewTopic { name: "t".into(), partitions: 1, replicas: None, settings: BTreeMap::new() };
        cluster.admin().create_topic(&topic).expect("a new topic");
        assert!(intake.rings(Duration::ZERO));
        let error = intake.resume().expect_err("another topic");
        assert_eq!(error.kind, TransportErrorKind::Lost, "{error}");
    }
}
