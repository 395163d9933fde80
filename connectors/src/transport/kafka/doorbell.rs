//! One client and one thread that wait for new records on behalf of many queries: the thread reads a little of what
//! arrives and rings the doorbells concerned.
//!
//! ```text
//! hang (offset of each partition) ─→ thread: reads each partition from its lowest offset ─→ rings bells below what came
//! ```
//!
//! The client is created for the first bell and closed some time after the last one is dropped.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use headwater_formats::record::TopicPartition;
use parking_lot::{Condvar, Mutex};
use rdkafka::consumer::BaseConsumer;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::connection;
use super::context::Context;
use super::native::{Inbox, Message};
use super::properties::{Properties, Role};
use crate::transport::{Doorbell, TransportError};

/// Maximum time to wait for messages, after which new bells are hung.
const LOOK: Duration = Duration::from_millis(200);

/// How long a client without bells is kept.
const KEPT: Duration = Duration::from_secs(30);

/// Minimum number of partitions without a bell that are kept.
const UNUSED_MAX: usize = 200;

/// Number of messages taken at once. One is enough to ring, and there are never many.
const MESSAGES_MAX: usize = 256;

/// The bells of one transport.
#[derive(Default)]
pub(super) struct Doorbells {
    /// The channel to the thread, while it runs.
    thread: Arc<Mutex<Option<Sender<Bell>>>>,
}

/// A bell on its way to the thread.
struct Bell {
    offsets: BTreeMap<TopicPartition, i64>,
    ring: Weak<Ring>,
}

/// Whether a bell rang; shared with its listener.
#[derive(Default)]
struct Ring {
    rang: Mutex<bool>,
    told: Condvar,
}

/// Rings, if anybody still listens.
fn ring(ring: &Weak<Ring>) {
    if let Some(ring) = ring.upgrade() {
        *ring.rang.lock() = true;
        ring.told.notify_all();
    }
}

/// The listener's end of a bell; dropping it takes the bell down.
struct Listener(Arc<Ring>);

impl Doorbell for Listener {
    fn wait(&mut self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        let mut rang = self.0.rang.lock();
        while !*rang && !self.0.told.wait_until(&mut rang, until).timed_out() {}
        *rang
    }
}

impl Doorbells {
    /// Hangs a bell at the next offset of each partition.
    pub(super) fn hang(
        &self,
        properties: &Properties,
        offsets: &BTreeMap<TopicPartition, i64>,
    ) -> Result<Box<dyn Doorbell>, TransportError> {
        let ring = Arc::<Ring>::default();
        let mut bell = Bell { offsets: offsets.clone(), ring: Arc::downgrade(&ring) };
        let mut thread = self.thread.lock();
        if let Some(running) = &*thread {
            match running.send(bell) {
                Ok(()) => return Ok(Box::new(Listener(ring))),
                Err(unsent) => bell = unsent.0,
            }
        }
        let (sender, bells) = channel();
        // The receiving end is held here.
        let _ = sender.send(bell);
        let (client, _watch) = connection::open::<BaseConsumer<Context>>(properties, &Role::Doorbell)?;
        let waiting = BellThread::new(client, bells, Arc::clone(&self.thread));
        let spawned = std::thread::Builder::new().name("doorbells".to_owned()).spawn(move || waiting.watch());
        spawned.map_err(|error| not_started(&error))?;
        *thread = Some(sender);
        Ok(Box::new(Listener(ring)))
    }
}

impl Drop for Doorbells {
    fn drop(&mut self) {
        *self.thread.lock() = None;
    }
}

/// The thread that waits.
struct BellThread {
    inbox: Inbox,
    bells: Receiver<Bell>,
    /// The channel to this thread, which it removes when it ends.
    thread: Arc<Mutex<Option<Sender<Bell>>>>,
    /// By the partition's index in the inbox.
    watched: Vec<Watched>,
    numbers: BTreeMap<TopicPartition, usize>,
}

/// A partition and its bells.
#[derive(Default)]
struct Watched {
    /// The next offset to read, while the partition is read.
    reads_at: Option<i64>,
    bells: Vec<(i64, Weak<Ring>)>,
}

impl BellThread {
    fn new(client: BaseConsumer<Context>, bells: Receiver<Bell>, thread: Arc<Mutex<Option<Sender<Bell>>>>) -> Self {
        let inbox = Inbox::new(Arc::new(client), MESSAGES_MAX);
        Self { inbox, bells, thread, watched: Vec::new(), numbers: BTreeMap::new() }
    }

    /// Waits and rings until nobody has listened for a while.
    fn watch(mut self) {
        let mut needed_at = Instant::now();
        while self.hang_new() {
            self.take_down();
            self.renew();
            connection::serve(self.inbox.client());
            self.wait();
            if self.watched.iter().any(|partition| !partition.bells.is_empty()) {
                needed_at = Instant::now();
            } else if needed_at.elapsed() > KEPT && self.retire() {
                return;
            }
        }
    }

    /// Hangs new bells; false once no more can arrive.
    fn hang_new(&mut self) -> bool {
        loop {
            match self.bells.try_recv() {
                Ok(bell) => self.hang(&bell),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    /// Removes the channel to this thread, unless somebody has just used it.
    fn retire(&mut self) -> bool {
        let mut thread = self.thread.lock();
        match self.bells.try_recv() {
            Ok(bell) => {
                drop(thread);
                self.hang(&bell);
                false
            }
            Err(_) => {
                *thread = None;
                true
            }
        }
    }

    fn hang(&mut self, bell: &Bell) {
        for (partition, offset) in &bell.offsets {
            if self.hang_at(partition, *offset, &bell.ring).is_err() {
                ring(&bell.ring);
            }
        }
    }

    /// Hangs a bell at one partition and reads it from the bell's offset, or from an earlier one if other bells wait
    /// there.
    fn hang_at(&mut self, partition: &TopicPartition, offset: i64, ring: &Weak<Ring>) -> Result<(), Code> {
        let number = self.number(partition)?;
        let partition = &mut self.watched[number];
        partition.bells.push((offset, Weak::clone(ring)));
        if partition.reads_at.is_none_or(|at| offset < at) {
            let restarted = self.inbox.restart(number, offset);
            partition.reads_at = restarted.is_ok().then_some(offset);
            if restarted.is_err() {
                partition.bells.drain(..).for_each(|(_, bell)| self::ring(&bell));
            }
        }
        Ok(())
    }

    fn number(&mut self, partition: &TopicPartition) -> Result<usize, Code> {
        if let Some(number) = self.numbers.get(partition) {
            return Ok(*number);
        }
        let number = self.inbox.add(&partition.topic, partition.partition)?;
        self.numbers.insert(partition.clone(), number);
        self.watched.push(Watched::default());
        Ok(number)
    }

    /// Rings for what arrives within a short time.
    fn wait(&mut self) {
        let came: Vec<_> = self.inbox.take(LOOK).filter_map(|message| came(&message)).collect();
        for (number, beyond) in came {
            let partition = &mut self.watched[number];
            partition.reads_at = partition.reads_at.map(|at| at.max(beyond));
            let ringing = partition.bells.extract_if(.., |(offset, _)| *offset < beyond);
            ringing.for_each(|(_, bell)| ring(&bell));
            self.pause(number);
        }
    }

    /// Takes down bells that nobody listens to or that rang at another partition.
    fn take_down(&mut self) {
        for number in 0..self.watched.len() {
            self.watched[number].bells.retain(|(_, bell)| bell.upgrade().is_some_and(|ring| !*ring.rang.lock()));
            self.pause(number);
        }
    }

    /// Starts a new inbox when most partitions of the current one are no longer waited for: librdkafka keeps requesting
    /// every topic it has a handle of, even those that are gone.
    fn renew(&mut self) {
        let unused = self.watched.iter().filter(|partition| partition.bells.is_empty()).count();
        if unused <= UNUSED_MAX || 2 * unused < self.watched.len() {
            return;
        }
        self.inbox = Inbox::new(Arc::clone(self.inbox.client()), MESSAGES_MAX);
        let (mut watched, numbers) = (std::mem::take(&mut self.watched), std::mem::take(&mut self.numbers));
        for (partition, number) in numbers {
            for (offset, bell) in watched[number].bells.drain(..) {
                if self.hang_at(&partition, offset, &bell).is_err() {
                    ring(&bell);
                }
            }
        }
    }

    /// Stops reading a partition without bells.
    fn pause(&mut self, number: usize) {
        let partition = &mut self.watched[number];
        if partition.bells.is_empty() && partition.reads_at.take().is_some() {
            self.inbox.stop(number);
        }
    }
}

impl Drop for BellThread {
    /// However this thread ends, all bells ring, so that nobody waits in vain.
    fn drop(&mut self) {
        if std::thread::panicking() {
            *self.thread.lock() = None;
        }
        self.watched.iter().flat_map(|partition| &partition.bells).for_each(|(_, bell)| ring(bell));
        self.bells.try_iter().for_each(|bell| ring(&bell.ring));
    }
}

/// The index of the partition that a message belongs to, and the offset after it.
fn came(message: &Message<'_>) -> Option<(usize, i64)> {
    let beyond = match message.error() {
        None => message.offset() + 1,
        Some(Code::PartitionEOF) => message.offset(),
        // The source that is then opened reports the error.
        Some(_) => i64::MAX,
    };
    Some((message.index()?, beyond))
}

fn not_started(error: &std::io::Error) -> TransportError {
    TransportError::other(format!("could not start a thread: {error}"))
}
