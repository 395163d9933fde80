//! The way in of a query: its source, read where the query is computed or ahead of it by a thread of its own.
//!
//! While large batches come, the thread takes the next ones from the client while the query computes those before. When no
//! such comes any more, nothing is to be gained by it: the source comes back, and a query that waits has no second thread
//! that wakes. The thread is heard at least every [`LOOK`]; one that is not hangs, and its query is begun anew.
//!
//! A query that finds nothing for a while has no source at all: a bell rings when there is something.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use headwater_connectors::transport::{
    Doorbell, LossCause, Lost, ReadPlan, Source, SourceEvent, Transport, TransportError,
};
use headwater_formats::panic::words;

/// Events that wait for the query at most.
const WAITING_MAX: usize = 2;
/// How long the thread waits for records before it asks whether it shall end.
const LOOK: Duration = Duration::from_millis(100);
/// After so many looks without a large batch the source comes back.
const LOOKS_MAX: usize = 20;
/// How long nothing may be heard of the thread.
const SILENT_MAX: Duration = Duration::from_secs(60);

/// The way in of one share of a query.
pub(super) struct Intake {
    transport: Arc<dyn Transport>,
    /// What is read; each range begins at the next offset.
    plan: ReadPlan,
    /// The source, when it is read here.
    source: Option<Box<dyn Source>>,
    reader: Option<ReaderThread>,
    /// In the place of a source while nothing comes.
    bell: Option<Box<dyn Doorbell>>,
    /// A batch of so many records is large, and has a thread begin; none where there is to be no thread.
    ahead_from: Option<usize>,
}

/// A thread that reads ahead.
struct ReaderThread {
    /// None once the thread shall end.
    events: Option<Receiver<Sent>>,
    thread: Option<JoinHandle<()>>,
    heard_at: Instant,
}

#[allow(
    clippy::large_enum_variant,
    reason = "an event carries thousands of records: its own size is nothing beside them"
)]
enum Sent {
    Event(Result<SourceEvent, TransportError>),
    /// Nothing comes any more.
    Back(Box<dyn Source>),
}

impl Intake {
    /// The way in of a plan. Batches of `ahead_from` records have a thread begin to read ahead.
    pub(super) fn open(
        transport: Arc<dyn Transport>,
        plan: ReadPlan,
        ahead_from: Option<usize>,
    ) -> Result<Self, TransportError> {
        let mut intake = Self { transport, plan, source: None, reader: None, bell: None, ahead_from };
        intake.open_source()?;
        Ok(intake)
    }

    /// Waits at most `timeout` for the next event, like [`Source::poll`]. Not while it rests.
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

    /// Lets go of the source, unless it is just being read. To be called when nothing came for a while, and not of ranges
    /// with an end.
    pub(super) fn suspend(&mut self) -> Result<(), TransportError> {
        if self.source.is_some() {
            let positions = self.plan.ranges.iter().map(|range| (range.partition.clone(), range.start)).collect();
            self.bell = Some(self.transport.doorbell(&positions)?);
            self.source = None;
        }
        Ok(())
    }

    /// True when it has no source, but a bell.
    pub(super) fn is_suspended(&self) -> bool {
        self.bell.is_some()
    }

    /// Waits at most `timeout` until something comes. True when it does not rest any more.
    pub(super) fn wake(&mut self, timeout: Duration) -> Result<bool, TransportError> {
        if self.bell.as_mut().is_some_and(|bell| !bell.wait(timeout)) {
            return Ok(false);
        }
        self.check_topics()?;
        self.open_source()?;
        self.bell = None;
        Ok(true)
    }

    fn open_source(&mut self) -> Result<(), TransportError> {
        let mut opened = self.transport.open_sources(vec![self.plan.clone()])?;
        self.source = Some(opened.pop().ok_or_else(|| TransportError::internal("the transport opened no source"))?);
        Ok(())
    }

    /// Looks whether the topics are still those that were read.
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
            Err(RecvTimeoutError::Timeout) => Err(TransportError::other("the thread that reads hangs in a call")),
            Err(RecvTimeoutError::Disconnected) => Err(self.why_ended()),
        }
    }

    fn why_ended(&mut self) -> TransportError {
        let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) else { return ended() };
        TransportError::other(format!("internal error while reading: {}", words(panic.as_ref())))
    }
}

impl Drop for ReaderThread {
    /// Waits until the source is closed, too.
    fn drop(&mut self) {
        self.events = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it was told as its end.
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
        // That the query waits no longer is heard here, too.
        if events.send(Sent::Event(event)).is_err() || failed {
            return;
        }
    }
    // Nobody has the source then, and it is closed.
    let _ = events.send(Sent::Back(source));
}

fn ended() -> TransportError {
    TransportError::other("the thread that reads has ended")
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

    /// Gives batches of these sizes, then nothing; says when it is closed.
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
                None if self.next < 0 => panic!("it was to panic"),
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

    /// The offsets that come until nothing does.
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
    fn an_error_comes_behind_what_was_before_it() {
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
    fn a_panic_is_told() {
        let source = Sizes { sizes: [Some(10)].into(), closed: Arc::default(), next: -1_000 };
        let mut intake = of(source, Some(10));
        intake.poll(Duration::from_secs(5)).expect("the first batch");
        let error = intake.poll(Duration::from_secs(5)).expect_err("a panic");
        assert_eq!(error.message, "internal error while reading: it was to panic");
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

    /// A cluster with a topic t of two partitions, and what writes a record to one of them.
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
    fn who_rests_hears_what_comes_and_reads_on() {
        let (cluster, write) = cluster();
        let mut intake = Intake::open(Arc::new(cluster), plan(&[0, 1]), None).expect("opens");
        write(0);
        assert_eq!(offsets(&mut intake).expect("no error"), [0]);
        intake.suspend().expect("rests");
        assert!(intake.is_suspended() && !intake.wake(Duration::ZERO).expect("no error"));
        for partition in [1, 0] {
            write(partition);
        }
        assert!(intake.wake(Duration::ZERO).expect("no error") && !intake.is_suspended());
        let mut read = offsets(&mut intake).expect("no error");
        read.sort_unstable();
        assert_eq!(read, [0, 1], "the first of partition 1 and the second of partition 0");
    }

    #[test]
    fn who_rests_hears_that_the_topic_is_another_one() {
        let (cluster, write) = cluster();
        let id = cluster.admin().topic_id("t").expect("an id").expect("an id");
        let plan = ReadPlan { ids: [(Arc::from("t"), id)].into(), ..plan(&[0]) };
        let mut intake = Intake::open(Arc::new(cluster.clone()), plan, None).expect("opens");
        write(0);
        offsets(&mut intake).expect("no error");
        intake.suspend().expect("rests");
        cluster.admin().delete_topic("t").expect("it is there");
        let topic = NewTopic { name: "t".into(), partitions: 1, replicas: None, settings: BTreeMap::new() };
        cluster.admin().create_topic(&topic).expect("a new topic");
        let error = intake.wake(Duration::ZERO).expect_err("another topic");
        assert_eq!(error.kind, TransportErrorKind::Lost, "{error}");
    }
}
