//! The output of a query: records and commits in order, performed at once or by a thread of its own.
//!
//! ```text
//! put(Begin) → put(Write) … → put(Commit) → put(Begin) …   commits() counts the finished ones
//! ```
//!
//! With a thread the query keeps reading and computing while its records are handed over and while a commit waits for
//! the brokers. Work is performed in the order it was put. After an error nothing more is performed, the open
//! transaction is aborted, and every later call returns the error. Nothing is opened before there is something to
//! write, and a suspended outbox holds neither a sink nor a thread.
//!
//! A thread that does not return from a call in time is abandoned: what it has not committed never happened, and the
//! next owner of its transactional id makes sure that it never will.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use headwater_connectors::transport::{
    Membership, Position, Sink, SinkOptions, Transport, TransportError, TransportErrorKind,
};
use headwater_formats::record::{OutBatch, TopicPartition};
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::probe::{Found, Probe};
use super::refusals::{MadeOf, Refusals, all_but};

/// Most pieces of work that wait for the thread: a few batches keep it busy, and more would only take memory.
const WAITING_MAX: usize = 4;
/// How long a commit may take. The cluster waits no longer for a transaction either.
const COMMIT_MAX: Duration = Duration::from_secs(20);
/// How long it may take to abort a transaction that is lost anyway.
const ABORT_MAX: Duration = Duration::from_secs(3);
/// How long all other work may take: creating a client, or records waiting for space in its queue.
const WORK_MAX: Duration = Duration::from_secs(40);
/// How much later than its limit a call may return before its thread is abandoned.
const LATE_MAX: Duration = Duration::from_secs(1);

/// A piece of work for the sink.
#[allow(
    clippy::large_enum_variant,
    reason = "a batch carries thousands of records: its own size is nothing beside them"
)]
pub(super) enum Work {
    /// Begin a transaction.
    Begin,
    /// Write records, with what they were made from.
    Write(OutBatch, MadeOf),
    /// Commit the transaction with these offsets.
    Commit(Membership, BTreeMap<TopicPartition, Position>, Ending),
    /// Wait until all records are acknowledged: the commit of an at-least-once query.
    Flush(Ending),
}

/// Called before others may see what a commit changes: when all that is left of it is the end of its transaction.
pub(super) type Ending = Box<dyn FnOnce() + Send>;

/// The output of one share of a query.
pub(super) struct Outbox {
    /// `None` while a thread has it.
    worker: Option<SinkWorker>,
    writer: Option<WriterThread>,
    in_thread: bool,
    /// Commits that were put, and those that are done, not counting those of a thread that is still running.
    put: u64,
    done: u64,
}

impl Outbox {
    /// An outbox whose work is performed by a thread if `in_thread`, and otherwise by `put`.
    pub(super) fn new(
        transport: Arc<dyn Transport>,
        options: SinkOptions,
        refusals: Arc<Refusals>,
        in_thread: bool,
    ) -> Self {
        let worker = SinkWorker {
            transport,
            options,
            refusals,
            sink: None,
            probe: None,
            is_open: false,
            commit_max: COMMIT_MAX,
        };
        Self { worker: Some(worker), writer: None, in_thread, put: 0, done: 0 }
    }

    /// Opens the sink now, which ends any transaction that a former owner of its transactional id left open. Call it
    /// only before the first [`put`](Self::put).
    pub(super) fn open(&mut self) -> Result<(), TransportError> {
        self.worker.as_mut().map_or(Ok(()), |worker| worker.sink().map(drop))
    }

    /// Adds a piece of work. Waits while the queue is full.
    pub(super) fn put(&mut self, work: Work) -> Result<(), TransportError> {
        self.put += u64::from(work.is_commit());
        if self.in_thread && self.writer.is_none() {
            let worker = self.worker.take().ok_or_else(ended)?;
            self.writer = Some(WriterThread::start(worker)?);
        }
        match (&mut self.writer, &mut self.worker) {
            (Some(writer), _) => writer.shared.put(work),
            (None, Some(worker)) => {
                let is_commit = work.is_commit();
                worker.perform(work)?;
                self.done += u64::from(is_commit);
                Ok(())
            }
            (None, None) => Err(ended()),
        }
    }

    /// How many commits have finished so far.
    pub(super) fn commits(&self) -> Result<u64, TransportError> {
        let in_thread = self.writer.as_ref().map_or(Ok(0), |writer| writer.shared.progress())?;
        Ok(self.done + in_thread)
    }

    /// Waits until every commit has finished.
    pub(super) fn settle(&mut self) -> Result<(), TransportError> {
        let missing = self.put - self.done;
        self.writer.as_ref().map_or(Ok(()), |writer| writer.shared.wait_for(missing))
    }

    /// Waits for all commits, then closes the sink. The next piece of work opens it again.
    pub(super) fn suspend(&mut self) -> Result<(), TransportError> {
        self.settle()?;
        if let Some(writer) = self.writer.take() {
            self.worker = Some(writer.end().ok_or_else(ended)?);
            self.done = self.put;
        }
        if let Some(worker) = &mut self.worker {
            (worker.sink, worker.probe) = (None, None);
        }
        Ok(())
    }

    /// True while it holds a sink or a thread.
    pub(super) fn is_awake(&self) -> bool {
        self.writer.is_some() || self.worker.as_ref().is_some_and(|worker| worker.sink.is_some())
    }
}

impl Drop for Outbox {
    /// Aborts the open transaction, so that readers of the output need not wait until it times out.
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.shared.update(|progress| progress.given_up = true);
            self.worker = writer.end();
        }
        if let Some(worker) = &mut self.worker {
            worker.give_up();
        }
    }
}

impl Work {
    fn is_commit(&self) -> bool {
        matches!(self, Self::Commit(..) | Self::Flush(_))
    }
}

/// Performs the work.
struct SinkWorker {
    transport: Arc<dyn Transport>,
    options: SinkOptions,
    refusals: Arc<Refusals>,
    sink: Option<Box<dyn Sink>>,
    /// Present while refused records are searched for.
    probe: Option<Probe>,
    /// Whether a transaction is open.
    is_open: bool,
    /// How long a commit may take.
    commit_max: Duration,
}

impl SinkWorker {
    fn sink(&mut self) -> Result<&mut dyn Sink, TransportError> {
        let sink = match self.sink.take() {
            Some(sink) => sink,
            None => self.transport.open_sink(self.options.clone())?,
        };
        Ok(self.sink.insert(sink).as_mut())
    }

    /// How long a piece of work may take.
    fn time_max(&self, work: &Work) -> Duration {
        if work.is_commit() { self.commit_max } else { WORK_MAX }
    }

    fn perform(&mut self, work: Work) -> Result<(), TransportError> {
        match work {
            Work::Begin => {
                self.sink()?.begin()?;
                self.is_open = true;
                Ok(())
            }
            Work::Write(batch, made) if self.refusals.isolates() => self.write_tried(&batch, &made),
            Work::Write(batch, _) => {
                self.probe = None;
                self.sink()?.write(&batch)
            }
            Work::Commit(membership, offsets, ending) => self.commit(&membership, &offsets, ending),
            Work::Flush(ending) => {
                ending();
                let longest = self.commit_max;
                self.sink()?.flush(longest)
            }
        }
    }

    /// Writes records once it is known that the topic accepts them all. Fails as refused when it refuses some, or when
    /// there was not enough time to try them all.
    fn write_tried(&mut self, batch: &OutBatch, made: &MadeOf) -> Result<(), TransportError> {
        if self.probe.is_none() {
            self.probe = Probe::beside(self.transport.as_ref(), &self.options)?;
        }
        let Some(probe) = &mut self.probe else { return self.write_each(batch, made) };
        let found = probe.search(batch, self.refusals.untried(&batch.topic, made)..batch.len())?;
        if found.to == batch.len() && matches!(made, MadeOf::Complaints) {
            return self.write_without(batch, &found);
        }
        for (row, error) in &found.refused {
            self.refusals.learn(&batch.topic, made, *row, error);
        }
        self.refusals.tried(&batch.topic, made, found.to);
        match found.refused.into_iter().next() {
            Some((_, error)) => Err(error),
            None if found.to < batch.len() => {
                Err(TransportError::refused(format!("topic \"{}\" refuses a record; searching for it", batch.topic)))
            }
            None => self.sink()?.write(batch),
        }
    }

    /// Writes complaints without those that their topic refuses, which are only logged.
    fn write_without(&mut self, batch: &OutBatch, found: &Found) -> Result<(), TransportError> {
        let Some((_, error)) = found.refused.first() else { return self.sink()?.write(batch) };
        tracing::warn!(topic = %batch.topic, refused = found.refused.len(), %error, "topic refused complaints; skipping them");
        let keep = all_but(batch.len(), found.refused.iter().map(|(row, _)| *row));
        let kept = batch.filter(&keep).map_err(TransportError::internal)?;
        if kept.is_empty() { Ok(()) } else { self.sink()?.write(&kept) }
    }

    /// Writes records one by one, to learn which one is refused.
    fn write_each(&mut self, batch: &OutBatch, made: &MadeOf) -> Result<(), TransportError> {
        let longest = self.commit_max;
        for row in 0..batch.len() {
            let sink = self.sink()?;
            let written = sink.write(&batch.slice(row, 1)).and_then(|()| sink.flush(longest));
            if let Err(error) = written {
                if error.kind == TransportErrorKind::Refused {
                    self.refusals.learn(&batch.topic, made, row, &error);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn commit(
        &mut self,
        membership: &Membership,
        offsets: &BTreeMap<TopicPartition, Position>,
        ending: Ending,
    ) -> Result<(), TransportError> {
        let until = Instant::now() + self.commit_max;
        let left = || until.saturating_duration_since(Instant::now());
        let sink = self.sink()?;
        let committed = sink.flush(left()).and_then(|()| {
            ending();
            sink.commit(membership, offsets, left())
        });
        match &committed {
            Ok(()) => self.is_open = false,
            // Someone else owns the partitions now. The open transaction would block readers until it times out.
            Err(error) if error.kind == TransportErrorKind::Fenced => self.give_up(),
            Err(_) => {}
        }
        committed
    }

    fn give_up(&mut self) {
        if let (true, Some(sink)) = (std::mem::take(&mut self.is_open), &mut self.sink) {
            // If this fails too, the cluster aborts the transaction after its timeout.
            let _ = sink.abort(ABORT_MAX);
        }
    }
}

/// The thread that performs the work, as the query sees it.
struct WriterThread {
    shared: Arc<Shared>,
    thread: JoinHandle<SinkWorker>,
}

/// The state that the query and the thread share.
#[derive(Default)]
struct Shared {
    progress: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Default)]
struct Progress {
    waiting: VecDeque<Work>,
    /// No more work will be added.
    closed: bool,
    /// The waiting work must not be performed any more.
    given_up: bool,
    /// When the thread must have finished its current piece of work.
    due: Option<Instant>,
    commits: u64,
    failed: Option<TransportError>,
    ended: bool,
}

impl WriterThread {
    fn start(worker: SinkWorker) -> Result<Self, TransportError> {
        let shared = Arc::<Shared>::default();
        let theirs = shared.clone();
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || theirs.serve(worker))
            .map_err(|error| TransportError::other(format!("could not start a thread: {error}")))?;
        Ok(Self { shared, thread })
    }

    /// Waits for the thread to end; `None` when it panicked or is stuck in a call.
    fn end(self) -> Option<SinkWorker> {
        let mut progress = self.shared.progress.lock();
        progress.closed = true;
        self.shared.changed.notify_all();
        while !progress.ended {
            self.shared.wait(&mut progress).ok()?;
        }
        drop(progress);
        self.thread.join().ok()
    }
}

impl Shared {
    fn serve(&self, mut worker: SinkWorker) -> SinkWorker {
        let _ended = Ended(self);
        while let Some(work) = self.next(&worker) {
            let is_commit = work.is_commit();
            match worker.perform(work) {
                Ok(()) => self.update(|progress| progress.commits += u64::from(is_commit)),
                Err(error) => {
                    self.update(|progress| progress.due = Some(Instant::now() + ABORT_MAX + LATE_MAX));
                    worker.give_up();
                    self.update(|progress| progress.failed = Some(error));
                    break;
                }
            }
        }
        worker
    }

    /// Waits for the next piece of work; `None` when the thread should end.
    fn next(&self, worker: &SinkWorker) -> Option<Work> {
        let mut progress = self.progress.lock();
        progress.due = None;
        loop {
            if progress.given_up {
                return None;
            }
            if let Some(work) = progress.waiting.pop_front() {
                progress.due = Some(Instant::now() + worker.time_max(&work) + LATE_MAX);
                self.changed.notify_all();
                return Some(work);
            }
            if progress.closed {
                return None;
            }
            self.changed.wait(&mut progress);
        }
    }

    /// Adds a piece of work once there is room for it.
    fn put(&self, work: Work) -> Result<(), TransportError> {
        let mut progress = self.progress.lock();
        progress.commits()?;
        while progress.waiting.len() >= WAITING_MAX {
            self.wait(&mut progress)?;
            progress.commits()?;
        }
        progress.waiting.push_back(work);
        self.changed.notify_all();
        Ok(())
    }

    fn progress(&self) -> Result<u64, TransportError> {
        self.progress.lock().commits()
    }

    fn wait_for(&self, commits: u64) -> Result<(), TransportError> {
        let mut progress = self.progress.lock();
        while progress.commits()? < commits {
            self.wait(&mut progress)?;
        }
        Ok(())
    }

    /// Waits until something changes. Fails when the thread has overrun its time limit.
    fn wait(&self, progress: &mut MutexGuard<'_, Progress>) -> Result<(), TransportError> {
        match progress.due {
            None => self.changed.wait(progress),
            Some(due) if Instant::now() >= due => return Err(silent()),
            Some(due) => drop(self.changed.wait_until(progress, due)),
        }
        Ok(())
    }

    fn update(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock());
        self.changed.notify_all();
    }
}

impl Progress {
    fn commits(&self) -> Result<u64, TransportError> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None if self.ended => Err(ended()),
            None => Ok(self.commits),
        }
    }
}

/// Reports the end of the thread when dropped, even if it panics.
struct Ended<'a>(&'a Shared);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.update(|progress| progress.ended = true);
    }
}

fn silent() -> TransportError {
    TransportError::timeout("the writer thread is stuck in a call; abandoning it")
}

fn ended() -> TransportError {
    TransportError::internal("the writer thread has ended")
}

#[cfg(test)]
mod tests {
    use headwater_connectors::transport::memory::MemoryTransport;
    use headwater_connectors::transport::{Admin, Doorbell, GroupPlan, Isolation, Member, NewTopic, ReadPlan, Source};
    use headwater_formats::record::TopicPartition;

    use super::*;

    fn transport() -> Arc<dyn Transport> {
        let transport = MemoryTransport::new();
        let topic = NewTopic { name: "t".to_owned(), partitions: 1, replicas: None, settings: BTreeMap::new() };
        transport.admin().create_topic(&topic).expect("a new topic");
        Arc::new(transport)
    }

    fn outbox(transport: &Arc<dyn Transport>, in_thread: bool) -> Outbox {
        let options = SinkOptions {
            transactional_id: Some("id".to_owned()),
            nearest_time: true,
            batch_bytes_max: None,
            topic: None,
        };
        Outbox::new(transport.clone(), options, Arc::default(), in_thread)
    }

    fn write(topic: &str) -> Work {
        let batch = OutBatch {
            topic: topic.into(),
            partitions: Some(vec![0].into()),
            keys: vec![Some(&b"k"[..])].into(),
            values: vec![Some(&b"v"[..])].into(),
            timestamps_ms: None,
            headers: None,
        };
        Work::Write(batch, MadeOf::Complaints)
    }

    fn commit() -> Work {
        Work::Commit(Membership::outside("g"), BTreeMap::new(), Box::new(|| ()))
    }

    fn end(transport: &Arc<dyn Transport>, isolation: Isolation) -> i64 {
        transport.admin().watermarks("t", isolation).expect("a topic")[0].end
    }

    #[test]
    fn commits_are_done_in_order_and_counted_even_after_a_suspension() {
        for in_thread in [false, true] {
            let transport = transport();
            let mut outbox = outbox(&transport, in_thread);
            assert!(!outbox.is_awake());
            for round in 1..=3 {
                [Work::Begin, write("t"), write("t"), commit()]
                    .into_iter()
                    .try_for_each(|w| outbox.put(w))
                    .expect("works");
                outbox.settle().expect("commits");
                assert_eq!(outbox.commits(), Ok(round));
                assert!(outbox.is_awake());
                outbox.suspend().expect("suspends");
                assert!(!outbox.is_awake());
                assert_eq!(outbox.commits(), Ok(round));
            }
            let (stable, last) =
                (end(&transport, Isolation::ReadCommitted), end(&transport, Isolation::ReadUncommitted));
            assert!(stable == last && last >= 6, "{stable} {last}");
        }
    }

    /// Goal: readers of the state wait from when others may see a commit, and no earlier. Method: when the commit says that it
    /// ends, all of its records are there, and none can be read by others.
    #[test]
    fn a_commit_says_so_before_others_can_see_it() {
        for in_thread in [false, true] {
            let transport = transport();
            let (seen, theirs) = (Arc::<Mutex<Vec<[i64; 2]>>>::default(), transport.clone());
            let mut outbox = outbox(&transport, in_thread);
            for _ in 0..2 {
                let (seen, theirs) = (seen.clone(), theirs.clone());
                let ends = move || [Isolation::ReadUncommitted, Isolation::ReadCommitted].map(|how| end(&theirs, how));
                let ending: Ending = Box::new(move || seen.lock().push(ends()));
                let commit = Work::Commit(Membership::outside("g"), BTreeMap::new(), ending);
                [Work::Begin, write("t"), commit].into_iter().try_for_each(|work| outbox.put(work)).expect("works");
            }
            outbox.settle().expect("commits");
            // Each transaction is a record and its marker.
            assert_eq!(*seen.lock(), [[1, 0], [3, 2]]);
        }
    }

    #[test]
    fn an_error_is_returned_by_every_later_call() {
        for in_thread in [false, true] {
            let transport = transport();
            let mut outbox = outbox(&transport, in_thread);
            outbox.put(Work::Begin).expect("begins");
            let first = outbox.put(write("nowhere")).and_then(|()| outbox.put(commit())).and_then(|()| outbox.settle());
            assert_eq!(first.expect_err("the topic does not exist").kind, TransportErrorKind::UnknownTopic);
            assert!(!in_thread || outbox.commits().is_err());
        }
    }

    /// A cluster where commits never return.
    #[derive(Debug)]
    struct Stuck(Arc<dyn Transport>);

    impl Transport for Stuck {
        fn admin(&self) -> &dyn Admin {
            self.0.admin()
        }

        fn open_sources(&self, plans: Vec<ReadPlan>) -> Result<Vec<Box<dyn Source>>, TransportError> {
            self.0.open_sources(plans)
        }

        fn doorbell(&self, places: &BTreeMap<TopicPartition, i64>) -> Result<Box<dyn Doorbell>, TransportError> {
            self.0.doorbell(places)
        }

        fn join_group(&self, plan: GroupPlan) -> Result<Box<dyn Member>, TransportError> {
            self.0.join_group(plan)
        }

        fn open_sink(&self, options: SinkOptions) -> Result<Box<dyn Sink>, TransportError> {
            Ok(Box::new(StuckSink(self.0.open_sink(options)?)))
        }
    }

    struct StuckSink(Box<dyn Sink>);

    impl Sink for StuckSink {
        fn write(&mut self, batch: &OutBatch) -> Result<(), TransportError> {
            self.0.write(batch)
        }

        fn flush(&mut self, timeout: Duration) -> Result<(), TransportError> {
            self.0.flush(timeout)
        }

        fn begin(&mut self) -> Result<(), TransportError> {
            self.0.begin()
        }

        fn commit(
            &mut self,
            _: &Membership,
            _: &BTreeMap<TopicPartition, Position>,
            _: Duration,
        ) -> Result<(), TransportError> {
            loop {
                std::thread::park();
            }
        }

        fn abort(&mut self, timeout: Duration) -> Result<(), TransportError> {
            self.0.abort(timeout)
        }
    }

    #[test]
    fn a_stuck_commit_is_abandoned() {
        let there = transport();
        let stuck: Arc<dyn Transport> = Arc::new(Stuck(there.clone()));
        let mut hanging = outbox(&stuck, true);
        hanging.worker.as_mut().expect("no thread yet").commit_max = Duration::ZERO;
        [Work::Begin, write("t"), commit()].into_iter().try_for_each(|work| hanging.put(work)).expect("waits");
        // The thread takes no more work, so the queue has no room for all of this.
        let mut more = (0..=WAITING_MAX).map(|_| hanging.put(write("t")));
        assert_eq!(more.find_map(Result::err).expect("the thread is stuck").kind, TransportErrorKind::Timeout);
        assert_eq!(hanging.settle().expect_err("the thread is stuck").kind, TransportErrorKind::Timeout);
        drop(hanging);
        // The next owner of the transactional id ends the stuck transaction.
        let mut next = outbox(&there, true);
        [Work::Begin, write("t"), commit()].into_iter().try_for_each(|work| next.put(work)).expect("works");
        next.settle().expect("commits");
        assert_eq!(end(&there, Isolation::ReadCommitted), end(&there, Isolation::ReadUncommitted));
    }

    #[test]
    fn what_is_not_committed_is_aborted_when_it_is_dropped() {
        for in_thread in [false, true] {
            let transport = transport();
            let mut outbox = outbox(&transport, in_thread);
            [Work::Begin, write("t")].into_iter().try_for_each(|work| outbox.put(work)).expect("works");
            drop(outbox);
            // Nothing blocks readers.
            assert_eq!(end(&transport, Isolation::ReadCommitted), end(&transport, Isolation::ReadUncommitted));
        }
    }
}
