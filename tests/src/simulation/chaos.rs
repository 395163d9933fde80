//! The faults of a simulation: random failures, and a record of every call and failure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use headwater_connectors::transport::faults::{Call, Fault, Plan};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// Random faults of one process, until they are switched off.
pub(super) struct Chaos {
    process: usize,
    chance: Mutex<StdRng>,
    on: Arc<AtomicBool>,
    notes: Arc<Notes>,
    /// Whether half of all batches are left whole, so that large ones stay large.
    whole_batches: bool,
}

impl Chaos {
    pub(super) fn new(process: usize, seed: u64, on: Arc<AtomicBool>, notes: Arc<Notes>, whole_batches: bool) -> Self {
        let seed = seed ^ (process as u64 + 1).wrapping_mul(0x9e37_79b9);
        Self { process, chance: Mutex::new(StdRng::seed_from_u64(seed)), on, notes, whole_batches }
    }

    fn draw(&self, call: Call) -> Option<Fault> {
        if !self.on.load(Ordering::Relaxed) {
            return None;
        }
        let mut chance = self.chance.lock();
        if chance.random_range(0..one_in(call)) > 0 {
            return None;
        }
        Some(Fault::ALL[usize::from(chance.random_bool(0.5))])
    }
}

impl Plan for Chaos {
    fn fault(&self, call: Call) -> Option<Fault> {
        let fault = self.draw(call);
        self.notes.take(Noted::Call { process: self.process, call, fault });
        fault
    }

    fn cut(&self, records: usize) -> usize {
        let mut chance = self.chance.lock();
        let records = match self.whole_batches && chance.random_bool(0.5) {
            true => records,
            false => chance.random_range(1..=records),
        };
        self.notes.take(Noted::Cut { process: self.process, records });
        records
    }
}

/// One in how many calls fails: fewer of those that are frequent, so that progress is possible.
fn one_in(call: Call) -> u32 {
    match call {
        Call::Poll | Call::PollMember | Call::Watermarks => 200,
        Call::Commit | Call::CommitOffsets => 12,
        // They are rare: users drop few streams, and queries are seldom idle.
        Call::DeleteTopic | Call::DeleteGroup | Call::DeleteRecords | Call::Wait => 2,
        Call::OpenDoorbell
        | Call::Flush
        | Call::Abort
        | Call::Release
        | Call::Refresh
        | Call::Topics
        | Call::CreateTopic
        | Call::TopicId
        | Call::Glance
        | Call::OffsetsForTimes
        | Call::TopicSettings
        | Call::CommittedOffsets
        | Call::GroupMembers
        | Call::Groups
        | Call::ClusterId => 6,
        Call::OpenSources
        | Call::OpenSink
        | Call::Write
        | Call::Begin
        | Call::JoinGroup
        | Call::Committed
        | Call::Topic
        | Call::Extent
        | Call::GlanceNow
        | Call::RecordLimits => 50,
    }
}

/// An event in the transport of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// A call, and how it failed if it did.
    Call {
        /// The process, numbered in the order of starting.
        process: usize,
        /// The call.
        call: Call,
        /// How it failed, if it did.
        fault: Option<Fault>,
    },
    /// A batch was cut.
    Cut {
        /// The process, numbered in the order of starting.
        process: usize,
        /// Number of remaining records.
        records: usize,
    },
}

/// All events, in order.
#[derive(Debug, Default)]
pub(super) struct Notes {
    all: Mutex<Vec<Noted>>,
    /// Number of calls by each thread of an engine, by thread name.
    threads: Mutex<BTreeMap<String, u64>>,
}

impl Notes {
    fn take(&self, noted: Noted) {
        self.all.lock().push(noted);
        if let (Noted::Call { .. }, Some(name)) = (noted, std::thread::current().name()) {
            *self.threads.lock().entry(name.to_owned()).or_default() += 1;
        }
    }

    pub(super) fn all(&self) -> Vec<Noted> {
        self.all.lock().clone()
    }

    pub(super) fn threads(&self) -> BTreeMap<String, u64> {
        self.threads.lock().clone()
    }
}
