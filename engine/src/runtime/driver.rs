//! Runs one persistent query in this process: its share of the input in, its output and offsets out,
//! one transaction a commit.
//!
//! ```text
//! step: group → source → tasks → sink … → commit, when the interval is over
//! ```
//!
//! A step never waits longer than it is told, takes the time as an argument, and leaves the cluster in
//! a state from which anybody can go on: what is not committed never happened. A driver that failed is
//! thrown away; the next one begins where the cluster says that the last commit was. So a thread drives
//! it, and so does a simulation with a clock and faults of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::error::ArrowError;
use headwater_connectors::record::{RawBatch, TopicPartition, Wanted};
use headwater_connectors::transport::{
    GroupPlan, Isolation, Member, MemberEvent, Membership, ReadPlan, ReadRange, Sink, SinkOptions, Source, SourceEvent,
    Transport, TransportError, TransportErrorKind,
};

use super::complaints::Complaints;
use super::goal::Goal;
use super::query_status::QueryStatus;
use crate::catalog::QueryDef;
use crate::config::Settings;
use crate::dataflow::{Command, Compiled, Epoch, Event, Placement, Task};
use crate::diagnostic::{self, Diagnostic};
use crate::functions::clock;
use crate::planner::continuous;

/// Most records taken from the source at once.
const BATCH_RECORDS_MAX: usize = 16_384;
/// How long a commit may take before it is given up.
const COMMIT_MAX: Duration = Duration::from_secs(30);
/// How long giving up a transaction may take that is lost anyway.
const ABORT_MAX: Duration = Duration::from_secs(3);

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
    source: Box<dyn Source>,
    writer: Writer,
    tasks: BTreeMap<i32, Task>,
    complaints: Complaints,
    /// Next offset to read of each partition that has moved since the last commit.
    moved: BTreeMap<TopicPartition, i64>,
    /// When the open epoch began, in ms; none while nothing has happened since the last commit.
    open_since_ms: Option<i64>,
    /// Partitions that are to be read to their end, of a job until idle.
    unfinished: BTreeMap<TopicPartition, i64>,
}

/// The way to the output. It is opened when there is something to write: an idle query has none.
struct Writer {
    transport: Arc<dyn Transport>,
    options: SinkOptions,
    sink: Option<Box<dyn Sink>>,
}

impl Driver {
    /// A driver of a query with counters of its own. Fails on a query that cannot be compiled, or as the
    /// cluster fails.
    pub fn of(query: Arc<QueryDef>, service_id: &str, transport: Arc<dyn Transport>) -> Result<Self, Vec<Diagnostic>> {
        let job = Job::new(query, service_id, false)?;
        Self::new(transport, job, Arc::default()).map_err(|error| vec![diagnostic::transport(&error)])
    }

    /// Joins the query's group. Nothing is read before the group gives this process its share.
    pub fn new(transport: Arc<dyn Transport>, job: Job, status: Arc<QueryStatus>) -> Result<Self, TransportError> {
        let topic: Arc<str> = Arc::from(job.query.topology.input.topic.as_str());
        let goal = match job.until_idle {
            true => Some(Goal::now(transport.as_ref(), &topic, job.group())?),
            false => None,
        };
        let member = transport.join_group(GroupPlan { group: job.group(), topics: vec![topic] })?;
        Ok(Self { transport, job, status, member, share: None, epoch: Epoch::default(), goal })
    }

    /// Goes on by one event of the group or the source. `now_ms` is the time, `wait` the longest wait.
    /// After an error the driver is to be dropped.
    pub fn step(&mut self, now_ms: i64, wait: Duration) -> Result<Step, TransportError> {
        let at_once = if self.share.is_some() { Duration::ZERO } else { wait };
        if let Some(event) = self.member.poll(at_once)? {
            self.regroup(event, now_ms)?;
            return Ok(Step::Worked);
        }
        let step = match &mut self.share {
            Some(share) => share.read(&self.job, &self.status, now_ms, wait)?,
            None => Step::Idle,
        };
        if self.share.as_ref().is_some_and(|share| share.is_due(&self.job, now_ms)) {
            self.commit(now_ms)?;
            return Ok(Step::Worked);
        }
        Ok(if self.is_done(now_ms)? { Step::Done } else { step })
    }

    /// Commits what is done and leaves the group.
    pub fn finish(mut self, now_ms: i64) -> Result<(), TransportError> {
        let committed = self.commit(now_ms);
        if committed.is_err() {
            self.abandon();
        }
        committed
    }

    /// Gives up what is not committed, so that readers of the output need not wait until it times out. For a
    /// driver that failed; one that was killed cannot.
    pub fn abandon(mut self) {
        let exactly_once = self.job.is_exactly_once();
        let open = self.share.as_mut().filter(|share| exactly_once && share.open_since_ms.is_some());
        if let Some(sink) = open.and_then(|share| share.writer.sink.as_mut()) {
            // When that fails, too, the cluster ends the transaction after its timeout.
            let _ = sink.abort(ABORT_MAX);
        }
    }

    /// True when nothing has happened since the last commit.
    pub fn is_settled(&self) -> bool {
        self.share.as_ref().is_none_or(|share| share.open_since_ms.is_none())
    }

    /// Whether what was there at the start is committed, here and in other processes.
    fn is_done(&mut self, now_ms: i64) -> Result<bool, TransportError> {
        let Some(goal) = &mut self.goal else { return Ok(false) };
        let busy = self.share.as_ref().is_some_and(|s| !s.unfinished.is_empty() || s.open_since_ms.is_some());
        if busy { Ok(false) } else { goal.is_reached(self.transport.as_ref(), now_ms) }
    }

    fn regroup(&mut self, event: MemberEvent, now_ms: i64) -> Result<(), TransportError> {
        match event {
            MemberEvent::Assigned(partitions) => self.take(&partitions, now_ms),
            MemberEvent::Revoked => {
                self.commit(now_ms)?;
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
            partitions => Some(Share::open(&self.transport, &self.job, partitions, self.goal.as_ref(), now_ms)?),
        };
        self.status.set_share(partitions);
        Ok(())
    }

    /// Ends the epoch: tasks reach the barrier, and all that came out of them is committed with the offsets.
    fn commit(&mut self, now_ms: i64) -> Result<(), TransportError> {
        let Some(share) = self.share.as_mut().filter(|share| share.open_since_ms.is_some()) else { return Ok(()) };
        self.epoch = Epoch(self.epoch.0 + 1);
        share.barrier(self.epoch, &self.job, &self.status, now_ms)?;
        share.complaints.write(share.writer.sink()?, now_ms)?;
        match self.job.is_exactly_once() {
            true => share.commit(&self.member.membership())?,
            false => {
                share.writer.sink()?.flush(COMMIT_MAX)?;
                self.member.commit(&share.moved)?;
            }
        }
        share.tasks.values_mut().try_for_each(|task| task.handle(&Event::Committed(self.epoch))).map_err(fault)?;
        self.status.committed(&share.moved, now_ms);
        share.moved.clear();
        share.open_since_ms = None;
        Ok(())
    }
}

impl Job {
    /// A query made ready to run. Fails on one that cannot be compiled.
    pub fn new(query: Arc<QueryDef>, service_id: &str, until_idle: bool) -> Result<Self, Vec<Diagnostic>> {
        let compiled = Compiled::new(&query.topology, &continuous::state(&Settings::default()))?;
        Ok(Self { query, compiled, service_id: service_id.to_owned(), until_idle })
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
    fn open(
        transport: &Arc<dyn Transport>,
        job: &Job,
        partitions: &[TopicPartition],
        goal: Option<&Goal>,
        now_ms: i64,
    ) -> Result<Self, TransportError> {
        // What a former owner left open is ended first: only then are its offsets settled.
        let writer = Writer::take_over(transport, job, partitions)?;
        let transport = transport.as_ref();
        let start = Start::find(transport, job, partitions, goal)?;
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
        let placement = placement(transport, job)?;
        let task =
            |p: &TopicPartition| Ok((p.partition, job.compiled.task(p.clone(), placement).map_err(|e| other(&e))?));
        let tasks = partitions.iter().map(task).collect::<Result<_, TransportError>>()?;
        let mut share = Self {
            source,
            writer,
            tasks,
            complaints: Complaints::new(&job.query, &job.service_id),
            moved: BTreeMap::new(),
            open_since_ms: None,
            unfinished,
        };
        if !start.first.is_empty() {
            // Where the query began is part of what it promises: a restart must not begin elsewhere.
            share.begin(job, now_ms)?;
            share.moved = start.first;
        }
        Ok(share)
    }

    fn commit(&mut self, membership: &Membership) -> Result<(), TransportError> {
        let sink = self.writer.sink()?;
        let committed = sink.commit(membership, &self.moved, COMMIT_MAX);
        if committed.as_ref().is_err_and(|error| error.kind == TransportErrorKind::Fenced) {
            // Someone else has the partitions. What is open here would keep readers waiting until it times out.
            let _ = sink.abort(ABORT_MAX);
        }
        committed
    }

    fn is_due(&self, job: &Job, now_ms: i64) -> bool {
        let finished = job.until_idle && self.unfinished.is_empty();
        self.open_since_ms.is_some_and(|since| finished || now_ms - since >= job.commit_interval_ms())
    }

    /// Opens the epoch with the first thing that happens in it: while nothing happens no transaction is open.
    fn begin(&mut self, job: &Job, now_ms: i64) -> Result<(), TransportError> {
        if self.open_since_ms.is_none() {
            if job.is_exactly_once() {
                self.writer.sink()?.begin()?;
            }
            self.open_since_ms = Some(now_ms);
        }
        Ok(())
    }

    fn read(&mut self, job: &Job, status: &QueryStatus, now_ms: i64, wait: Duration) -> Result<Step, TransportError> {
        let left = self.open_since_ms.map(|since| since + job.commit_interval_ms() - now_ms);
        let left = left.map_or(wait, |left| Duration::from_millis(u64::try_from(left).unwrap_or(0)).min(wait));
        match self.source.poll(left)? {
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
            perform(command, self.writer.sink()?, &mut self.complaints, Some(raw), status)?;
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
                perform(command, self.writer.sink()?, &mut self.complaints, None, status)?;
            }
        }
        Ok(())
    }
}

impl Writer {
    /// The way to the output for whoever has these partitions now. What former owners left open is ended.
    fn take_over(
        transport: &Arc<dyn Transport>,
        job: &Job,
        partitions: &[TopicPartition],
    ) -> Result<Self, TransportError> {
        let options = |partition| SinkOptions {
            transactional_id: job.is_exactly_once().then(|| job.transactional_id(partition)),
            nearest_time: true,
        };
        let mut writer = Self { transport: transport.clone(), options: options(&partitions[0]), sink: None };
        if job.is_exactly_once() && has_open_transactions(transport.as_ref(), job)? {
            // Whoever had any of the partitions as its first may have died with a transaction open.
            writer.sink()?;
            partitions[1..].iter().try_for_each(|partition| transport.open_sink(options(partition)).map(drop))?;
        }
        Ok(writer)
    }

    fn sink(&mut self) -> Result<&mut dyn Sink, TransportError> {
        let sink = match self.sink.take() {
            Some(sink) => sink,
            None => self.transport.open_sink(self.options.clone())?,
        };
        Ok(self.sink.insert(sink).as_mut())
    }
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
    sink: &mut dyn Sink,
    complaints: &mut Complaints,
    raw: Option<&RawBatch>,
    status: &QueryStatus,
) -> Result<(), TransportError> {
    match command {
        Command::Write(batch) => {
            sink.write(&batch)?;
            status.wrote(batch.len() as u64);
        }
        Command::Complain(complaint) => {
            status.complained(&complaint);
            complaints.add(complaint, raw);
        }
        Command::Show(_) | Command::Reached(_) => {}
    }
    Ok(())
}

/// Where each partition is read from.
struct Start {
    ranges: Vec<ReadRange>,
    /// Offsets to be committed before anything else, of a query that begins at the end.
    first: BTreeMap<TopicPartition, i64>,
}

impl Start {
    fn find(
        transport: &dyn Transport,
        job: &Job,
        partitions: &[TopicPartition],
        goal: Option<&Goal>,
    ) -> Result<Self, TransportError> {
        let admin = transport.admin();
        let committed = admin.committed_offsets(&job.group(), partitions)?;
        let marks = admin.watermarks(&job.query.topology.input.topic, Isolation::ReadCommitted)?;
        let mut start = Self { ranges: Vec::new(), first: BTreeMap::new() };
        for partition in partitions {
            let mark = usize::try_from(partition.partition).ok().and_then(|p| marks.get(p)).copied();
            let mark = mark.ok_or_else(|| other(&format!("{partition} does not exist")))?;
            let begin = match committed.get(partition).copied().flatten() {
                Some(offset) => offset,
                None if job.starts_late() => {
                    start.first.insert(partition.clone(), mark.end);
                    mark.end
                }
                None => mark.start,
            };
            let end = goal.map(|goal| goal.end(partition).unwrap_or(mark.end).max(begin));
            start.ranges.push(ReadRange { partition: partition.clone(), start: begin, end });
        }
        Ok(start)
    }
}

fn placement(transport: &dyn Transport, job: &Job) -> Result<Placement, TransportError> {
    let topic = job.query.topology.output.as_ref().map_or("", |sink| sink.topic.as_str());
    let found = transport.admin().topic(topic)?;
    let missing = || TransportError {
        kind: TransportErrorKind::UnknownTopic,
        message: format!("topic \"{topic}\" does not exist"),
        setting: None,
    };
    found.map(|found| Placement { partitions: found.partitions }).ok_or_else(missing)
}

fn fault(error: ArrowError) -> TransportError {
    other(&format!("a fault of ours: {error}"))
}

fn other(message: &dyn std::fmt::Display) -> TransportError {
    TransportError { kind: TransportErrorKind::Other, message: message.to_string(), setting: None }
}
