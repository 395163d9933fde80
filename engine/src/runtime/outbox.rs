//! The way out of a query: records and commits in order, performed at once or by a thread of its own.
//!
//! ```text
//! put(Begin) → put(Write) … → put(Commit) → put(Begin) …   commits() counts those that are done
//! ```
//!
//! With a thread the query goes on to read and to compute while its records are handed over and while a commit
//! waits for the brokers. What was put is performed in its order. After an error nothing more is performed, what
//! is open is given up, and every later call tells the error. Nothing is opened before there is something to write, and
//! an outbox that rests holds neither a sink nor a thread.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use headwater_connectors::record::{OutBatch, TopicPartition};
use headwater_connectors::transport::{Membership, Sink, SinkOptions, Transport, TransportError, TransportErrorKind};
use parking_lot::{Condvar, Mutex};

/// Pieces of work that wait for the thread at most: a few batches keep it busy, and more would only be memory.
const WAITING_MAX: usize = 4;
/// How long a commit may take before it is given up.
const COMMIT_MAX: Duration = Duration::from_secs(30);
/// How long giving up a transaction may take that is lost anyway.
const ABORT_MAX: Duration = Duration::from_secs(3);

/// What is to be done with the sink.
#[allow(
    clippy::large_enum_variant,
    reason = "a batch carries thousands of records: its own size is nothing beside them"
)]
pub(super) enum Work {
    /// Begin a transaction.
    Begin,
    /// Write records.
    Write(OutBatch),
    /// Commit the transaction with these offsets.
    Commit(Membership, BTreeMap<TopicPartition, i64>),
    /// Wait until all records are acknowledged: the commit of those who promise at least once.
    Flush,
}

/// The way out of one share of a query.
pub(super) struct Outbox {
    /// Idle, or working here.
    hand: Option<Hand>,
    behind: Option<Behind>,
    in_thread: bool,
    /// Commits put and done since it was made; those of a thread that runs are added.
    put: u64,
    done: u64,
}

impl Outbox {
    /// With a thread that performs the work when `in_thread`, otherwise `put` performs it.
    pub(super) fn new(transport: Arc<dyn Transport>, options: SinkOptions, in_thread: bool) -> Self {
        let hand = Hand { transport, options, sink: None, is_open: false };
        Self { hand: Some(hand), behind: None, in_thread, put: 0, done: 0 }
    }

    /// Opens the sink now, which ends what a former owner of its transactional id left open. Only at first.
    pub(super) fn open(&mut self) -> Result<(), TransportError> {
        self.hand.as_mut().map_or(Ok(()), |hand| hand.sink().map(drop))
    }

    /// Takes work. Waits while too much waits already.
    pub(super) fn put(&mut self, work: Work) -> Result<(), TransportError> {
        self.put += u64::from(work.is_commit());
        if self.in_thread && self.behind.is_none() {
            let hand = self.hand.take().ok_or_else(ended)?;
            self.behind = Some(Behind::start(hand)?);
        }
        match (&mut self.behind, &mut self.hand) {
            (Some(behind), _) => behind.put(work),
            (None, Some(hand)) => {
                let is_commit = work.is_commit();
                hand.perform(work)?;
                self.done += u64::from(is_commit);
                Ok(())
            }
            (None, None) => Err(ended()),
        }
    }

    /// How many commits are done since it was made.
    pub(super) fn commits(&self) -> Result<u64, TransportError> {
        let behind = self.behind.as_ref().map_or(Ok(0), |behind| behind.shared.progress())?;
        Ok(self.done + behind)
    }

    /// Waits until every commit is done.
    pub(super) fn settle(&mut self) -> Result<(), TransportError> {
        let missing = self.put - self.done;
        self.behind.as_ref().map_or(Ok(()), |behind| behind.shared.wait_for(missing))
    }

    /// Closes the sink after everything is committed. It is opened again when there is work.
    pub(super) fn rest(&mut self) -> Result<(), TransportError> {
        self.settle()?;
        if let Some(behind) = self.behind.take() {
            self.hand = Some(behind.end().ok_or_else(ended)?);
            self.done = self.put;
        }
        if let Some(hand) = &mut self.hand {
            hand.sink = None;
        }
        Ok(())
    }

    /// True when it holds a sink or a thread.
    pub(super) fn is_awake(&self) -> bool {
        self.behind.is_some() || self.hand.as_ref().is_some_and(|hand| hand.sink.is_some())
    }
}

impl Drop for Outbox {
    /// What is not committed never happens. Readers of the output need not wait until it times out.
    fn drop(&mut self) {
        if let Some(behind) = self.behind.take() {
            behind.shared.given_up.store(true, Ordering::Release);
            self.hand = behind.end();
        }
        if let Some(hand) = &mut self.hand {
            hand.give_up();
        }
    }
}

impl Work {
    fn is_commit(&self) -> bool {
        matches!(self, Self::Commit(..) | Self::Flush)
    }
}

/// Who performs the work.
struct Hand {
    transport: Arc<dyn Transport>,
    options: SinkOptions,
    sink: Option<Box<dyn Sink>>,
    /// A transaction is open.
    is_open: bool,
}

impl Hand {
    fn sink(&mut self) -> Result<&mut dyn Sink, TransportError> {
        let sink = match self.sink.take() {
            Some(sink) => sink,
            None => self.transport.open_sink(self.options.clone())?,
        };
        Ok(self.sink.insert(sink).as_mut())
    }

    fn perform(&mut self, work: Work) -> Result<(), TransportError> {
        match work {
            Work::Begin => {
                self.sink()?.begin()?;
                self.is_open = true;
                Ok(())
            }
            Work::Write(batch) => self.sink()?.write(&batch),
            Work::Commit(membership, offsets) => self.commit(&membership, &offsets),
            Work::Flush => self.sink()?.flush(COMMIT_MAX),
        }
    }

    fn commit(
        &mut self,
        membership: &Membership,
        offsets: &BTreeMap<TopicPartition, i64>,
    ) -> Result<(), TransportError> {
        let committed = self.sink()?.commit(membership, offsets, COMMIT_MAX);
        match &committed {
            Ok(()) => self.is_open = false,
            // Someone else has the partitions. What is open here would keep readers waiting until it times out.
            Err(error) if error.kind == TransportErrorKind::Fenced => self.give_up(),
            Err(_) => {}
        }
        committed
    }

    fn give_up(&mut self) {
        if let (true, Some(sink)) = (std::mem::take(&mut self.is_open), &mut self.sink) {
            // When that fails, too, the cluster ends the transaction after its timeout.
            let _ = sink.abort(ABORT_MAX);
        }
    }
}

/// The thread that works, seen from the query.
struct Behind {
    work: SyncSender<Work>,
    shared: Arc<Shared>,
    thread: JoinHandle<Hand>,
}

/// What both sides see.
#[derive(Default)]
struct Shared {
    given_up: AtomicBool,
    progress: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Default)]
struct Progress {
    commits: u64,
    failed: Option<TransportError>,
    ended: bool,
}

impl Behind {
    fn start(hand: Hand) -> Result<Self, TransportError> {
        let (work, waiting) = sync_channel(WAITING_MAX);
        let shared = Arc::<Shared>::default();
        let theirs = shared.clone();
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || theirs.serve(hand, &waiting))
            .map_err(|error| other(format!("no thread for writing: {error}")))?;
        Ok(Self { work, shared, thread })
    }

    fn put(&self, work: Work) -> Result<(), TransportError> {
        match self.work.send(work) {
            Ok(()) => Ok(()),
            Err(_) => Err(self.shared.progress().err().unwrap_or_else(ended)),
        }
    }

    /// Waits for the thread; none when it ran into a fault of ours.
    fn end(self) -> Option<Hand> {
        drop(self.work);
        self.thread.join().ok()
    }
}

impl Shared {
    fn serve(&self, mut hand: Hand, waiting: &Receiver<Work>) -> Hand {
        let _told = Ended(self);
        for work in waiting {
            if self.given_up.load(Ordering::Acquire) {
                break;
            }
            let is_commit = work.is_commit();
            match hand.perform(work) {
                Ok(()) if is_commit => self.tell(|progress| progress.commits += 1),
                Ok(()) => {}
                Err(error) => {
                    hand.give_up();
                    self.tell(|progress| progress.failed = Some(error));
                    break;
                }
            }
        }
        hand
    }

    fn tell(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock());
        self.changed.notify_all();
    }

    fn progress(&self) -> Result<u64, TransportError> {
        self.progress.lock().commits()
    }

    fn wait_for(&self, commits: u64) -> Result<(), TransportError> {
        let mut progress = self.progress.lock();
        while progress.commits()? < commits {
            self.changed.wait(&mut progress);
        }
        Ok(())
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

/// Tells the end of the thread, also of one that panics.
struct Ended<'a>(&'a Shared);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.tell(|progress| progress.ended = true);
    }
}

fn ended() -> TransportError {
    other("the thread that writes ran into a fault of ours".to_owned())
}

fn other(message: String) -> TransportError {
    TransportError { kind: TransportErrorKind::Other, message, setting: None }
}

#[cfg(test)]
mod tests {
    use headwater_connectors::transport::memory::MemoryTransport;
    use headwater_connectors::transport::{Isolation, NewTopic};

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
        Outbox::new(transport.clone(), options, in_thread)
    }

    fn write(topic: &str) -> Work {
        Work::Write(OutBatch {
            topic: topic.into(),
            partitions: Some(vec![0].into()),
            keys: vec![Some(&b"k"[..])].into(),
            values: vec![Some(&b"v"[..])].into(),
            timestamps_ms: None,
            headers: None,
        })
    }

    fn commit() -> Work {
        Work::Commit(Membership::outside("g"), BTreeMap::new())
    }

    fn end(transport: &Arc<dyn Transport>, isolation: Isolation) -> i64 {
        transport.admin().watermarks("t", isolation).expect("a topic")[0].end
    }

    #[test]
    fn commits_are_done_in_order_and_counted_also_after_a_rest() {
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
                outbox.rest().expect("rests");
                assert!(!outbox.is_awake());
                assert_eq!(outbox.commits(), Ok(round));
            }
            let (stable, last) =
                (end(&transport, Isolation::ReadCommitted), end(&transport, Isolation::ReadUncommitted));
            assert!(stable == last && last >= 6, "{stable} {last}");
        }
    }

    #[test]
    fn an_error_is_told_by_every_later_call() {
        for in_thread in [false, true] {
            let transport = transport();
            let mut outbox = outbox(&transport, in_thread);
            outbox.put(Work::Begin).expect("begins");
            let first = outbox.put(write("nowhere")).and_then(|()| outbox.put(commit())).and_then(|()| outbox.settle());
            assert_eq!(first.expect_err("there is no such topic").kind, TransportErrorKind::UnknownTopic);
            assert!(!in_thread || outbox.commits().is_err());
        }
    }

    #[test]
    fn what_is_not_committed_is_given_up_with_it() {
        for in_thread in [false, true] {
            let transport = transport();
            let mut outbox = outbox(&transport, in_thread);
            [Work::Begin, write("t")].into_iter().try_for_each(|work| outbox.put(work)).expect("works");
            drop(outbox);
            // Nothing holds readers back.
            assert_eq!(end(&transport, Isolation::ReadCommitted), end(&transport, Isolation::ReadUncommitted));
        }
    }
}
