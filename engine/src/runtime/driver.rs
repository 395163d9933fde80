//! Runs one persistent query in this process: its share of the input in, its output and offsets out,
//! one transaction a commit.
//!
//! ```text
//! step: group → intake → tasks → outbox … → commit, when the interval is over
//! ```
//!
//! A step never waits longer than it is told, takes the time as an argument, and leaves the cluster in
//! a state from which anybody can go on: what is not committed never happened. A driver that failed is
//! thrown away; the next one begins where the cluster says that the last commit was. So a thread drives
//! it, and so does a simulation with a clock and faults of its own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use arrow::error::ArrowError;
use headwater_connectors::record::{RawBatch, TopicPartition, Wanted};
use headwater_connectors::transport::{
    Admin, GroupPlan, Isolation, Member, MemberEvent, ReadPlan, ReadRange, RecordLimits, SinkOptions, SourceEvent,
    Transport, TransportError, TransportErrorKind,
};

use super::complaints::{Complaints, processing_log_topic};
use super::goal::Goal;
use super::intake::Intake;
use super::outbox::{Outbox, Work};
use super::query_status::QueryStatus;
use super::start::Start;
use crate::catalog::QueryDef;
use crate::config::Settings;
use crate::dataflow::{Command, Compiled, Epoch, Event, Placement, Task};
use crate::diagnostic::{self, Diagnostic};
use crate::functions::clock;
use crate::planner::continuous;

/// Most records taken from the source at once.
const BATCH_RECORDS_MAX: usize = 16_384;
/// A batch of so many records says that there is much to read: the next ones are read ahead.
const AHEAD_FROM: usize = 1_024;
/// How long a query that has read all it should waits for what is under way before it looks again.
const LOOK: Duration = Duration::from_millis(20);
/// A query without work for so long keeps no way to its output open, in ms.
const REST_AFTER_MS: i64 = 10_000;

/// What a driver runs.
#[derive(Clone)]
pub struct Job {
    /// The query.
    query: Arc<QueryDef>,
    /// Its topology, ready to run.
    compiled: Compiled,
    /// The service id, which names groups and topics of its own.
    service_id: String,
    /// It ends when everything that was there at the start is processed and committed.
    until_idle: bool,
    /// Threads of its own read ahead and write, so that the query goes on meanwhile.
    in_threads: bool,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something: another step may find more at once.
    Worked,
    /// Nothing came within the wait.
    Idle,
    /// All input that was there at the start is processed and committed. Only for a job until idle.
    Done,
}

/// One query in this process.
pub struct Driver {
    transport: Arc<dyn Transport>,
    job: Job,
    status: Arc<QueryStatus>,
    member: Box<dyn Member>,
    share: Option<Share>,
    epoch: Epoch,
    /// What is to be committed, of a job until idle.
    goal: Option<Goal>,
}

/// The partitions that the group gave to this process, and what works on them.
struct Share {
    /// Dropped first: what is open is given up even if reading hangs.
    outbox: Outbox,
    intake: Intake,
    tasks: BTreeMap<i32, Task>,
    complaints: Complaints,
    /// Next offset to read of each partition that has moved since the last commit.
    moved: BTreeMap<TopicPartition, i64>,
    /// When the open epoch began, in ms; none while nothing has happened since the last commit.
    open_since_ms: Option<i64>,
    /// Partitions that are to be read to their end, of a job until idle.
    unfinished: BTreeMap<TopicPartition, i64>,
    /// Commits that are under way, the oldest first, and how many were done before them.
    committing: VecDeque<Committing>,
    committed: u64,
    /// When something was last read or committed, in ms.
    busy_at_ms: i64,
}

/// A commit that was given to the outbox.
struct Committing {
    epoch: Epoch,
    offsets: BTreeMap<TopicPartition, i64>,
}

impl Driver {
    /// A driver of a query with counters of its own. Fails on a query that cannot be compiled, or as the
    /// cluster fails.
    pub fn of(query: Arc<QueryDef>, service_id: &str, transport: Arc<dyn Transport>) -> Result<Self, Vec<Diagnostic>> {
        let job = Job { in_threads: false, ..Job::new(query, service_id, false)? };
        Self::new(transport, job, Arc::default()).map_err(|error| vec![diagnostic::transport(&error)])
    }

    /// Joins the query's group. Nothing is read before the group gives this process its share.
    pub fn new(transport: Arc<dyn Transport>, job: Job, status: Arc<QueryStatus>) -> Result<Self, TransportError> {
        let topic: Arc<str> = Arc::from(job.query.topology.input.topic.as_str());
        let goal = match job.until_idle {
            true => Some(Goal::now(transport.as_ref(), &topic)?),
            false => None,
        };
        let member = transport.join_group(GroupPlan { group: job.group(), topics: vec![topic] })?;
        Ok(Self { transport, job, status, member, share: None, epoch: Epoch::default(), goal })
    }

    /// Goes on by one event of the group or the source. `now_ms` is the time, `wait` the longest wait.
    /// After an error the driver is to be dropped.
    pub fn step(&mut self, now_ms: i64, wait: Duration) -> Result<Step, TransportError> {
        let for_group = match &self.share {
            Some(share) if share.is_finished(&self.job) => wait.min(LOOK),
            Some(_) => Duration::ZERO,
            None => wait,
        };
        if let Some(event) = self.member.poll(for_group)? {
            self.regroup(event, now_ms)?;
            return Ok(Step::Worked);
        }
        let step = match &mut self.share {
            Some(share) => share.read(&self.job, &self.status, now_ms, wait)?,
            None => Step::Idle,
        };
        self.reap(now_ms)?;
        if self.share.as_ref().is_some_and(|share| share.is_due(&self.job, now_ms)) {
            self.commit(now_ms)?;
            return Ok(Step::Worked);
        }
        Ok(if self.is_done(now_ms)? { Step::Done } else { step })
    }

    /// Commits what is done. The driver is to be dropped then, which leaves the group and gives up what could not be
    /// committed, so that readers of the output need not wait until it times out.
    pub fn finish(&mut self, now_ms: i64) -> Result<(), TransportError> {
        self.settle(now_ms)
    }

    /// True when nothing has happened since the last commit.
    pub fn is_settled(&self) -> bool {
        self.share.as_ref().is_none_or(|share| !share.is_open())
    }

    /// Whether what was there at the start is committed, here and in other processes.
    fn is_done(&mut self, now_ms: i64) -> Result<bool, TransportError> {
        let Some(goal) = &mut self.goal else { return Ok(false) };
        let busy = self.share.as_ref().is_some_and(|s| !s.unfinished.is_empty() || s.is_open());
        if busy { Ok(false) } else { goal.is_reached(self.transport.as_ref(), self.member.as_ref(), now_ms) }
    }

    fn regroup(&mut self, event: MemberEvent, now_ms: i64) -> Result<(), TransportError> {
        match event {
            MemberEvent::Assigned(partitions) => self.take(&partitions, now_ms),
            MemberEvent::Revoked => {
                self.settle(now_ms)?;
                self.give_up();
                self.member.release()
            }
            MemberEvent::Lost => {
                self.give_up();
                Ok(())
            }
        }
    }

    fn give_up(&mut self) {
        self.share = None;
        self.status.set_share(&[]);
    }

    fn take(&mut self, partitions: &[TopicPartition], now_ms: i64) -> Result<(), TransportError> {
        // What was left of a former share is not committed and so never happened.
        self.share = None;
        self.share = match partitions {
            [] => None,
            partitions => Some(Share::open(self, partitions, now_ms)?),
        };
        self.status.set_share(partitions);
        Ok(())
    }

    /// Commits what is done, and waits for it.
    fn settle(&mut self, now_ms: i64) -> Result<(), TransportError> {
        self.commit(now_ms)?;
        if let Some(share) = &mut self.share {
            share.outbox.settle()?;
        }
        self.reap(now_ms)
    }

    /// Ends the epoch: tasks reach the barrier, and all that came out of them is committed with the offsets. At most
    /// one commit is under way.
    fn commit(&mut self, now_ms: i64) -> Result<(), TransportError> {
        let Some(share) = self.share.as_mut().filter(|share| share.open_since_ms.is_some()) else { return Ok(()) };
        share.outbox.settle()?;
        self.epoch = Epoch(self.epoch.0 + 1);
        share.barrier(self.epoch, &self.job, &self.status, now_ms)?;
        for batch in share.complaints.take(now_ms) {
            share.outbox.put(Work::Write(batch))?;
        }
        let offsets = std::mem::take(&mut share.moved);
        share.outbox.put(match self.job.is_exactly_once() {
            true => Work::Commit(self.member.membership(), offsets.clone()),
            false => Work::Flush,
        })?;
        share.committing.push_back(Committing { epoch: self.epoch, offsets });
        share.open_since_ms = None;
        self.reap(now_ms)
    }

    /// Takes note of the commits that are done.
    fn reap(&mut self, now_ms: i64) -> Result<(), TransportError> {
        let Some(share) = &mut self.share else { return Ok(()) };
        let done = share.outbox.commits()?;
        while share.committed < done
            && let Some(Committing { epoch, offsets }) = share.committing.pop_front()
        {
            share.committed += 1;
            share.busy_at_ms = now_ms;
            if !self.job.is_exactly_once() {
                self.member.commit(&offsets)?;
            }
            share.tasks.values_mut().try_for_each(|task| task.handle(&Event::Committed(epoch))).map_err(fault)?;
            self.status.committed(&offsets, now_ms);
        }
        share.rest(now_ms)
    }
}

impl Job {
    /// A query made ready to run. Fails on one that cannot be compiled.
    pub fn new(query: Arc<QueryDef>, service_id: &str, until_idle: bool) -> Result<Self, Vec<Diagnostic>> {
        let compiled = Compiled::new(&query.topology, &continuous::state_of(&query.topology, &Settings::default())?)?;
        Ok(Self { query, compiled, service_id: service_id.to_owned(), until_idle, in_threads: true })
    }

    /// The name of the query's consumer group.
    pub fn group(&self) -> String {
        group_of(&self.service_id, &self.query)
    }

    fn is_exactly_once(&self) -> bool {
        self.query.property("processing.guarantee") != "at_least_once"
    }

    fn commit_interval_ms(&self) -> i64 {
        self.query.property("commit.interval.ms").parse().unwrap_or(1_000)
    }

    fn starts_late(&self) -> bool {
        self.query.property("auto.offset.reset") == "latest"
    }

    /// The transactional id of whoever has this partition as its first: nobody else has, so that taking
    /// the partition over ends what its former owner left open.
    fn transactional_id(&self, first: &TopicPartition) -> String {
        format!("{}-{}", self.group(), first.partition)
    }

    fn wanted(&self) -> Result<Wanted, TransportError> {
        let wanted = self.compiled.wanted().map_err(|e| other(&e))?;
        // What goes to a dead-letter topic goes there whole.
        Ok(if self.query.dlq_topic.is_some() { Wanted::ALL } else { wanted })
    }
}

/// The consumer group under which a query of a service id commits.
pub fn group_of(service_id: &str, query: &QueryDef) -> String {
    format!("{}{service_id}query_{}", super::OWN_TOPICS, query.unique_name())
}

impl Share {
    fn open(driver: &Driver, partitions: &[TopicPartition], now_ms: i64) -> Result<Self, TransportError> {
        let Driver { transport, job, goal, member, .. } = driver;
        // What a former owner left open is ended first: only then are its offsets settled.
        let placement = placement(transport.as_ref(), job)?;
        let (complaints, batch_bytes_max) = complaints(transport.admin(), job, placement.limits)?;
        let outbox = take_over(transport, job, partitions, batch_bytes_max)?;
        let transport = transport.as_ref();
        let (admin, topic) = (transport.admin(), &job.query.topology.input.topic);
        let start = Start::find(admin, member.as_ref(), topic, partitions, job.starts_late(), goal.as_ref())?;
        let end = |range: &ReadRange| range.end.map(|end| (range.partition.clone(), end));
        let unfinished = start.ranges.iter().filter_map(end).collect();
        let plan = ReadPlan {
            ranges: start.ranges,
            wanted: job.wanted()?,
            isolation: Isolation::ReadCommitted,
            batch_records_max: BATCH_RECORDS_MAX,
        };
        let source =
            transport.open_sources(vec![plan])?.pop().ok_or_else(|| other(&"the transport opened no source"))?;
        let task =
            |p: &TopicPartition| Ok((p.partition, job.compiled.task(p.clone(), placement).map_err(|e| other(&e))?));
        let tasks = partitions.iter().map(task).collect::<Result<_, TransportError>>()?;
        let mut share = Self {
            intake: Intake::new(source, job.in_threads.then_some(AHEAD_FROM)),
            outbox,
            tasks,
            complaints,
            moved: BTreeMap::new(),
            open_since_ms: None,
            unfinished,
            committing: VecDeque::new(),
            committed: 0,
            busy_at_ms: now_ms,
        };
        if !start.first.is_empty() {
            // Where the query began is part of what it promises: a restart must not begin elsewhere.
            share.begin(job, now_ms)?;
            share.moved = start.first;
        }
        Ok(share)
    }

    /// True when nothing more is to be read.
    fn is_finished(&self, job: &Job) -> bool {
        job.until_idle && self.unfinished.is_empty()
    }

    /// True when something is not committed yet.
    fn is_open(&self) -> bool {
        self.open_since_ms.is_some() || !self.committing.is_empty()
    }

    /// Lets go of the way to the output when nothing was to be done for a while.
    fn rest(&mut self, now_ms: i64) -> Result<(), TransportError> {
        let idle = !self.is_open() && now_ms - self.busy_at_ms >= REST_AFTER_MS;
        if idle && self.outbox.is_awake() { self.outbox.rest() } else { Ok(()) }
    }

    fn is_due(&self, job: &Job, now_ms: i64) -> bool {
        let finished = self.is_finished(job);
        self.open_since_ms.is_some_and(|since| finished || now_ms - since >= job.commit_interval_ms())
    }

    /// Opens the epoch with the first thing that happens in it: while nothing happens no transaction is open.
    fn begin(&mut self, job: &Job, now_ms: i64) -> Result<(), TransportError> {
        if self.open_since_ms.is_none() {
            if job.is_exactly_once() {
                self.outbox.put(Work::Begin)?;
            }
            self.open_since_ms = Some(now_ms);
        }
        Ok(())
    }

    fn read(&mut self, job: &Job, status: &QueryStatus, now_ms: i64, wait: Duration) -> Result<Step, TransportError> {
        let left = self.open_since_ms.map(|since| since + job.commit_interval_ms() - now_ms);
        let left = left.map_or(wait, |left| Duration::from_millis(u64::try_from(left).unwrap_or(0)).min(wait));
        match self.intake.poll(left)? {
            SourceEvent::Idle => Ok(Step::Idle),
            SourceEvent::Finished(partition) => {
                self.begin(job, now_ms)?;
                if let Some(end) = self.unfinished.remove(&partition) {
                    self.moved.insert(partition, end);
                }
                Ok(Step::Worked)
            }
            SourceEvent::Batch(raw) => {
                self.begin(job, now_ms)?;
                self.records(&raw, status, now_ms)?;
                Ok(Step::Worked)
            }
        }
    }

    fn records(&mut self, raw: &RawBatch, status: &QueryStatus, now_ms: i64) -> Result<(), TransportError> {
        let task = self.tasks.get_mut(&raw.origin.partition);
        let task = task.ok_or_else(|| other(&format!("{} was read without being asked for", raw.origin)))?;
        clock::at(now_ms, || task.handle(&Event::Records(raw))).map_err(fault)?;
        while let Some(command) = task.poll_command() {
            perform(command, &mut self.outbox, &mut self.complaints, Some(raw), status)?;
        }
        if let Some(last) = raw.offsets.last() {
            self.moved.insert(raw.origin.clone(), last + 1);
        }
        status.read(raw.len() as u64, raw.payload_bytes);
        Ok(())
    }

    fn barrier(&mut self, epoch: Epoch, job: &Job, status: &QueryStatus, now_ms: i64) -> Result<(), TransportError> {
        self.begin(job, now_ms)?;
        for task in self.tasks.values_mut() {
            task.handle(&Event::Barrier(epoch)).map_err(fault)?;
            while let Some(command) = task.poll_command() {
                perform(command, &mut self.outbox, &mut self.complaints, None, status)?;
            }
        }
        Ok(())
    }
}

/// The way to the output for whoever has these partitions now. What former owners left open is ended.
fn take_over(
    transport: &Arc<dyn Transport>,
    job: &Job,
    partitions: &[TopicPartition],
    batch_bytes_max: Option<usize>,
) -> Result<Outbox, TransportError> {
    let options = |partition| SinkOptions {
        transactional_id: job.is_exactly_once().then(|| job.transactional_id(partition)),
        nearest_time: true,
        batch_bytes_max,
        topic: job.query.topology.output.as_ref().map(|sink| sink.topic.as_str().into()),
    };
    let mut outbox = Outbox::new(transport.clone(), options(&partitions[0]), job.in_threads);
    if job.is_exactly_once() && has_open_transactions(transport.as_ref(), job)? {
        // Whoever had any of the partitions as its first may have died with a transaction open.
        outbox.open()?;
        partitions[1..].iter().try_for_each(|partition| transport.open_sink(options(partition)).map(drop))?;
    }
    Ok(outbox)
}

/// Whether readers of the output wait for the end of some transaction.
fn has_open_transactions(transport: &dyn Transport, job: &Job) -> Result<bool, TransportError> {
    let topic = job.query.topology.output.as_ref().map_or("", |sink| sink.topic.as_str());
    let ends = |isolation| -> Result<i64, TransportError> {
        Ok(transport.admin().watermarks(topic, isolation)?.iter().map(|marks| marks.end).sum())
    };
    // The stable end is asked for first: what is written meanwhile is at most taken for an open transaction.
    let stable = ends(Isolation::ReadCommitted)?;
    Ok(stable < ends(Isolation::ReadUncommitted)?)
}

fn perform(
    command: Command,
    outbox: &mut Outbox,
    complaints: &mut Complaints,
    raw: Option<&RawBatch>,
    status: &QueryStatus,
) -> Result<(), TransportError> {
    match command {
        Command::Write(batch) => {
            status.wrote(batch.len() as u64);
            outbox.put(Work::Write(batch))?;
        }
        Command::Complain(complaint) => {
            status.complained(&complaint);
            complaints.add(complaint, raw);
        }
        Command::Show(_) | Command::Reached(_) => {}
    }
    Ok(())
}

/// Where complaints go, and the bytes of a batch that every topic of the query takes.
fn complaints(
    admin: &dyn Admin,
    job: &Job,
    output: RecordLimits,
) -> Result<(Complaints, Option<usize>), TransportError> {
    let limits = |topic: &str| admin.record_limits(topic);
    let log = limits(&processing_log_topic(&job.service_id))?;
    let dead = job.query.dlq_topic.as_deref().map_or(Ok(RecordLimits::default()), limits)?;
    let bytes_max = [output, log, dead].iter().filter_map(|limits| limits.bytes_max).min();
    Ok((Complaints::new(&job.query, &job.service_id, dead), bytes_max))
}

fn placement(transport: &dyn Transport, job: &Job) -> Result<Placement, TransportError> {
    let topic = job.query.topology.output.as_ref().map_or("", |sink| sink.topic.as_str());
    let found = transport.admin().topic(topic)?;
    let missing = || TransportError {
        kind: TransportErrorKind::UnknownTopic,
        message: format!("topic \"{topic}\" does not exist"),
        setting: None,
    };
    let partitions = found.ok_or_else(missing)?.partitions;
    Ok(Placement { partitions, limits: transport.admin().record_limits(topic)? })
}

fn fault(error: ArrowError) -> TransportError {
    other(&format!("a fault of ours: {error}"))
}

fn other(message: &dyn std::fmt::Display) -> TransportError {
    TransportError { kind: TransportErrorKind::Other, message: message.to_string(), setting: None }
}
