//! The partitions that the group assigned to one driver, and the tasks that process them: records in, commands out to
//! the outbox, up to the next commit.

mod barrier;
mod commits;
mod dumps;
mod elsewhere;
mod facts;
pub(super) mod held;
pub(super) mod merge;
mod output;
mod plans;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use arrow::error::ArrowError;
use headwater_connectors::transport::{Admin, Lost, ReadPlan, SourceEvent, TransportError, TransportErrorKind};
use headwater_dataflow::{Port, TaskId, TaskPosition};
use headwater_formats::record::{RawBatch, TopicPartition};
use headwater_state::ColdError;

use super::complaints::Complaints;
use super::expiring::Expiring;
use super::inputs::Inputs;
use super::intake::AHEAD_FROM;
use super::intakes::Intakes;
use super::job::Job;
use super::note::Note;
use super::opening::{Opening, batch_bytes_max};
use super::outbox::{Outbox, Work};
use super::query_status::{QueryStatus, Tally};
use super::refusals::Refusals;
use super::restore::Restore;
use super::snapshots::Keeper;
use super::start::Start;
use super::states::{Shown, States};
use super::tasks::Tasks;
use super::turns::Turn;
pub(super) use commits::Committing;
use elsewhere::Elsewhere;
use merge::{Merge, Run};
use plans::{ends, merge, partitions_of, plans};

/// Most bytes that a step writes before it checks the time and the group again, unless a single record yields more.
const STEP_BYTES_MAX: usize = 32 << 20;
/// Bytes after which an epoch is committed early, because its transaction must end before it times out.
const EPOCH_BYTES_MAX: usize = 256 << 20;
/// How long a query must be without work until its input and output are closed, in ms.
const SUSPEND_AFTER_MS: i64 = 10_000;

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// It did some work: another step may find more at once.
    Worked,
    /// Nothing arrived within the wait.
    Idle,
    /// All input that existed at the start is processed and committed. Only for a job that runs until idle.
    Done,
}

/// The partitions that the group assigned to this process, and what processes them.
pub(super) struct Share {
    /// Dropped first, so that the open transaction is aborted even if reading is stuck.
    pub(super) outbox: Outbox,
    pub(super) intakes: Intakes,
    /// What was read and waits for its turn, of a query that merges its inputs.
    merge: Option<Merge>,
    pub(super) tasks: Tasks,
    /// The exchanges, which the query both writes and reads. Their records are not counted.
    exchanges: BTreeSet<Arc<str>>,
    /// The restore in progress; nothing is read until it is done.
    restore: Option<Restore>,
    /// Keeps local snapshots of the stores, if there is a folder for them.
    keeper: Option<Keeper>,
    /// What is read once everything in `phase` is, the next one last.
    later: Vec<ReadPlan>,
    /// The partitions that must be read to their ends before the next of `later`.
    phase: BTreeSet<TopicPartition>,
    /// Its state for readers, if the result of the query can be read from it.
    shown: Option<Arc<Shown>>,
    /// Offsets that were deleted before they were read, which are reported once the state is restored.
    gaps: Vec<Lost>,
    /// The batches whose output their tasks have not fully produced yet.
    pub(super) current: Vec<RawBatch>,
    /// What was read and comes next.
    next: Option<SourceEvent>,
    /// What is known of the sources behind its exchanges, if tasks tell those of other processes how far they have read them.
    elsewhere: Elsewhere,
    /// Whether they have to, although no record was read.
    must_mark: bool,
    /// Part of a record's output has been produced and part has not, so no commit is possible.
    pub(super) mid_record: bool,
    pub(super) complaints: Complaints,
    /// The topic of the processing log does not exist; the first complaint creates it.
    pub(super) log_missing: bool,
    /// The sink, if it does not keep its records and no row was too old for it yet.
    expiring: Option<Expiring>,
    pub(super) refusals: Arc<Refusals>,
    /// What was read and written since the last commit.
    pub(super) tally: Tally,
    pub(super) epoch_bytes: usize,
    /// The next offset to read, for each partition that has advanced since the last commit.
    pub(super) moved: BTreeMap<TopicPartition, i64>,
    /// The next offset to read, for each partition where only transaction markers were passed: not worth a commit.
    pub(super) passed: BTreeMap<TopicPartition, i64>,
    /// The note that is committed with the offset of each partition.
    pub(super) notes: BTreeMap<TopicPartition, Note>,
    /// When the open epoch began, in ms; `None` while nothing has happened since the last commit.
    pub(super) open_since_ms: Option<i64>,
    /// The partitions that are not yet read to their end, of a job that runs until idle.
    pub(super) unfinished: BTreeMap<TopicPartition, i64>,
    /// The committed offset of each partition.
    pub(super) positioned: BTreeMap<TopicPartition, i64>,
    /// Commits in progress, oldest first, and the number of commits finished before them.
    pub(super) committing: VecDeque<Committing>,
    pub(super) committed: u64,
    /// When the facts about its state were shown last, in ms.
    facts_at_ms: Option<i64>,
    /// When a record was last read or a commit last made, in ms.
    pub(super) busy_at_ms: i64,
    /// The record at which a task stopped the query, and why.
    pub(super) stopped: Option<(TopicPartition, i64, TransportError)>,
}

impl Share {
    /// Opens a share that has read nothing yet, and returns it with where it starts.
    pub(super) fn open(
        opening: &Opening<'_>,
        partitions: &[TopicPartition],
        now_ms: i64,
    ) -> Result<(Self, Start), TransportError> {
        let Opening { transport, job, inputs, refusals, status, .. } = *opening;
        // Transactions of a former owner are ended first: only then are its offsets and its state final.
        let placements = opening.placements()?;
        let (limits, log_missing) = opening.complaint_limits()?;
        let outbox = opening.outbox(partitions, batch_bytes_max(&placements, &limits))?;
        let sink = job.query.topology.sink().and_then(|sink| placements.get_key_value(&sink.topic));
        let start = opening.start(partitions)?;
        let around = (opening.storage, opening.transport.schemas());
        let mut tasks = Tasks::open(job, inputs, &placements, &start.notes, around)?;
        let shown = Shown::of(job, status, &start, &mut tasks)?.map(Arc::new);
        let shelf = opening.shelf();
        let restore = Restore::begin(transport, job, shelf.clone(), &mut tasks, status, now_ms)?;
        let (plan, later) = plans(opening, partitions, &start, &mut tasks)?;
        let keeper = shelf.map(|shelf| dumps::keeper(shelf, transport, job, &tasks.ids(), now_ms));
        held::begin(job, inputs, &start, &mut tasks);
        let elsewhere = Elsewhere::of(&job.compiled, &tasks);
        let share = Self {
            must_mark: !elsewhere.is_empty(),
            elsewhere,
            phase: partitions_of(&plan),
            unfinished: ends(later.iter().chain([&plan])),
            later,
            merge: merge(job, &plan, inputs, &mut tasks)?,
            intakes: Intakes::open(transport, plan, job.in_threads.then_some(AHEAD_FROM), job.compiled.merges())?,
            outbox,
            tasks,
            exchanges: inputs.exchanges(),
            restore,
            keeper,
            positioned: start.ranges.iter().map(|range| (range.partition.clone(), range.start)).collect(),
            shown,
            gaps: start.gaps.clone(),
            current: Vec::new(),
            next: None,
            mid_record: false,
            complaints: Complaints::new(&job.query, &job.service_id, limits),
            log_missing,
            expiring: sink.and_then(|(topic, placement)| Expiring::new(topic, placement.limits.retention_ms)),
            refusals: refusals.clone(),
            tally: Tally::default(),
            epoch_bytes: 0,
            moved: BTreeMap::new(),
            passed: BTreeMap::new(),
            notes: start.notes.clone(),
            open_since_ms: None,
            committing: VecDeque::new(),
            committed: 0,
            facts_at_ms: None,
            busy_at_ms: now_ms,
            stopped: None,
        };
        Ok((share, start))
    }

    /// Whether the state is not restored yet.
    pub(super) fn is_restoring(&self) -> bool {
        self.restore.is_some()
    }

    /// Restores what arrives within `wait`. Returns true once all state is restored.
    pub(super) fn restore(
        &mut self,
        job: &Job,
        status: &QueryStatus,
        now_ms: i64,
        wait: Duration,
    ) -> Result<bool, TransportError> {
        let Some(restore) = &mut self.restore else { return Ok(true) };
        self.busy_at_ms = now_ms;
        let is_done = restore.step(&mut self.tasks, wait)?;
        let progress = restore.progress();
        restore.watch(progress, &job.query.id, now_ms);
        status.restoring(progress, now_ms);
        if is_done && let Some(restore) = self.restore.take() {
            restore.report(&job.query.id, now_ms);
            self.restored(&restore);
        }
        Ok(is_done)
    }

    /// Shows its state to readers, once it is restored.
    pub(super) fn show(&self, states: &States) {
        self.shown.iter().for_each(|shown| states.show(shown));
    }

    /// Reports the offsets that were deleted before the share was opened.
    pub(super) fn lose_gaps(&mut self, job: &Job, status: &QueryStatus, now_ms: i64) -> Result<(), TransportError> {
        std::mem::take(&mut self.gaps).iter().try_for_each(|gap| self.lose(gap, job, status, now_ms))
    }

    /// Handles offsets that were deleted before they were read. The gap is reported in the transaction that skips them.
    pub(super) fn lose(
        &mut self,
        lost: &Lost,
        job: &Job,
        status: &QueryStatus,
        now_ms: i64,
    ) -> Result<(), TransportError> {
        if lost.ends_range() {
            return Err(lost.clone().into());
        }
        tracing::warn!(
            query_id = %job.query.id, topic = %lost.partition.topic, partition = lost.partition.partition,
            from = lost.from, to = lost.to, lost = lost.count(), "records were lost before they were read: {lost}"
        );
        self.begin(job, now_ms)?;
        self.complaints.add_gap(lost);
        status.lost(lost);
        self.passed.remove(&lost.partition);
        self.moved.insert(lost.partition.clone(), lost.to);
        if let Some(note) = self.notes.get_mut(&lost.partition) {
            note.lost += lost.count();
        }
        Ok(())
    }

    /// True when there is nothing left to read.
    pub(super) fn is_finished(&self, job: &Job) -> bool {
        job.until_idle && self.unfinished.is_empty()
    }

    /// True when there is something to commit.
    pub(super) fn is_open(&self) -> bool {
        self.open_since_ms.is_some() || !self.committing.is_empty()
    }

    /// Closes input and output when there was nothing to do for a while. Returns true if they are closed.
    pub(super) fn suspend(&mut self, job: &Job, now_ms: i64) -> Result<bool, TransportError> {
        let is_waiting = self.next.is_some() || self.merge.as_ref().is_some_and(Merge::is_waiting);
        let idle = !self.is_open() && !is_waiting && now_ms - self.busy_at_ms >= SUSPEND_AFTER_MS;
        if idle && self.outbox.is_awake() {
            self.outbox.suspend()?;
        }
        if idle && !job.until_idle {
            self.intakes.suspend()?;
        }
        Ok(idle)
    }

    pub(super) fn is_due(&self, job: &Job, now_ms: i64) -> bool {
        let finished = self.is_finished(job) && self.current.is_empty();
        let is_full = self.epoch_bytes >= EPOCH_BYTES_MAX || self.tasks.is_full();
        let is_over = |since| finished || is_full || now_ms - since >= job.commit_interval_ms();
        !self.mid_record && self.open_since_ms.is_some_and(is_over)
    }

    /// Opens the epoch when the first thing happens in it: while nothing happens, no transaction is open.
    fn begin(&mut self, job: &Job, now_ms: i64) -> Result<(), TransportError> {
        if self.open_since_ms.is_none() {
            if job.is_exactly_once() {
                self.outbox.put(Work::Begin)?;
            }
            self.open_since_ms = Some(now_ms);
        }
        Ok(())
    }

    pub(super) fn read(
        &mut self,
        admin: &dyn Admin,
        inputs: &Inputs,
        job: &Job,
        status: &QueryStatus,
        now_ms: i64,
        wait: Duration,
    ) -> Result<StepOutcome, TransportError> {
        if !self.current.is_empty() {
            self.begin(job, now_ms)?;
            self.go_on(status, now_ms)?;
            return Ok(StepOutcome::Worked);
        }
        if std::mem::take(&mut self.must_mark) {
            self.begin(job, now_ms)?;
        }
        if self.intakes.is_suspended() {
            return self.wake(now_ms, wait);
        }
        let left = self.open_since_ms.map(|since| since + job.commit_interval_ms() - now_ms);
        let left = left.map_or(wait, |left| Duration::from_millis(u64::try_from(left).unwrap_or(0)).min(wait));
        let Some(event) = self.next_event(admin, left)? else { return Ok(StepOutcome::Worked) };
        match event {
            SourceEvent::Idle => return Ok(StepOutcome::Idle),
            SourceEvent::Passed(partition, offset) => self.pass(partition, offset),
            SourceEvent::Lost(lost) => self.lose(&lost, job, status, now_ms)?,
            SourceEvent::Finished(partition) => {
                self.begin(job, now_ms)?;
                self.finish(&partition, inputs, job)?;
            }
            SourceEvent::Batch(raw) => {
                self.begin(job, now_ms)?;
                let raws = self.with_others(raw)?;
                self.process(raws, self.merge.is_none(), status, now_ms)?;
            }
        }
        Ok(StepOutcome::Worked)
    }

    /// Only markers of transactions were before an offset.
    fn pass(&mut self, partition: TopicPartition, offset: i64) {
        let is_source = !self.exchanges.contains(&partition.topic);
        match self.moved.get_mut(&partition) {
            Some(next) => *next = offset,
            None => drop(self.passed.insert(partition, offset)),
        }
        self.must_mark |= is_source && !self.elsewhere.is_empty();
    }

    /// A partition is read to its end. After the last one of the plan, the next plan is read.
    fn finish(&mut self, partition: &TopicPartition, inputs: &Inputs, job: &Job) -> Result<(), TransportError> {
        if let Some(end) = self.unfinished.remove(partition) {
            self.moved.insert(partition.clone(), end);
        }
        self.phase.remove(partition);
        if self.phase.is_empty()
            && let Some(plan) = self.later.pop()
        {
            self.phase = partitions_of(&plan);
            self.merge = merge(job, &plan, inputs, &mut self.tasks)?;
            self.intakes.read(plan)?;
        }
        Ok(())
    }

    /// A batch, with batches for other tasks that can be processed at the same time if they have arrived already.
    fn with_others(&mut self, raw: RawBatch) -> Result<Vec<RawBatch>, TransportError> {
        let mut raws = vec![raw];
        // The rows of a query that merges its inputs have their turns one after the other.
        while self.merge.is_none() && raws.len() < self.tasks.threads() {
            match self.intakes.poll(&BTreeSet::new(), Duration::ZERO)? {
                SourceEvent::Idle => break,
                SourceEvent::Batch(other) if raws.iter().all(|raw| raw.origin != other.origin) => raws.push(other),
                event => {
                    self.next = Some(event);
                    break;
                }
            }
        }
        Ok(raws)
    }

    /// The next event to process; `None` if something was read that has to wait for its turn.
    fn next_event(&mut self, admin: &dyn Admin, wait: Duration) -> Result<Option<SourceEvent>, TransportError> {
        let Some(merge) = &mut self.merge else {
            return match self.next.take() {
                Some(event) => Ok(Some(event)),
                None => self.intakes.poll(&BTreeSet::new(), wait).map(Some),
            };
        };
        if let Some(event) = merge.control() {
            return Ok(Some(event));
        }
        if let Some(Run { batch, .. }) = merge.released(&mut self.tasks, admin)? {
            return Ok(Some(SourceEvent::Batch(batch)));
        }
        match self.intakes.poll(&merge.lacking(), wait)? {
            SourceEvent::Idle => Ok(Some(SourceEvent::Idle)),
            event => {
                merge.add(event);
                Ok(None)
            }
        }
    }

    /// Waits until records arrive, and then opens the input again.
    fn wake(&mut self, now_ms: i64, wait: Duration) -> Result<StepOutcome, TransportError> {
        let woke = self.intakes.wake(wait)?;
        if woke {
            self.busy_at_ms = now_ms;
        }
        Ok(if woke { StepOutcome::Worked } else { StepOutcome::Idle })
    }

    /// Continues with the current batches until all of their output is produced, or as much as a step may write.
    pub(super) fn go_on(&mut self, status: &QueryStatus, now_ms: i64) -> Result<(), TransportError> {
        let raws = std::mem::take(&mut self.current);
        self.process(raws, false, status, now_ms)
    }

    /// Has the tasks of batches process them, or continue with them unless they are new.
    fn process(
        &mut self,
        raws: Vec<RawBatch>,
        are_new: bool,
        status: &QueryStatus,
        now_ms: i64,
    ) -> Result<(), TransportError> {
        let readers: Vec<_> = raws.iter().map(|raw| self.tasks.reader(&raw.origin)).collect::<Result<_, _>>()?;
        for (raw, (id, port)) in raws.iter().zip(&readers).filter(|_| are_new) {
            self.tasks.teach(*id, *port, raw)?;
        }
        let turn = |(raw, (id, port)): (_, &(TaskId, Port))| {
            (*id, if are_new { Turn::records(*port, raw) } else { Turn::default() })
        };
        let turns = raws.iter().zip(&readers).map(turn).collect();
        let bytes_max = self.epoch_bytes + STEP_BYTES_MAX;
        let paused = self.take_turns(turns, &raws, Some(bytes_max), status, now_ms)?;
        self.send_dead(now_ms)?;
        self.mid_record = false;
        for (raw, (id, port)) in raws.into_iter().zip(readers) {
            match paused.get(&id) {
                Some(position) => self.pause(raw, *position),
                None => self.end(raw, id, port)?,
            }
        }
        Ok(())
    }

    /// Records that a batch is processed, or put back if some of its rows have to wait.
    fn end(&mut self, raw: RawBatch, id: TaskId, port: Port) -> Result<(), TransportError> {
        if let (Some((_, offset)), Some(merge)) = (self.tasks.get(id)?.head(port), &mut self.merge) {
            // The other rows of the batch wait for their turn.
            self.passed.remove(&raw.origin);
            self.moved.insert(raw.origin.clone(), offset);
            merge.put_back(raw);
            return Ok(());
        }
        let stopped = self.stopped.as_ref().filter(|(origin, ..)| *origin == raw.origin);
        let next = stopped.map(|(_, offset, _)| *offset).or_else(|| raw.offsets.last().map(|last| last + 1));
        if let Some(next) = next {
            self.passed.remove(&raw.origin);
            self.moved.insert(raw.origin.clone(), next);
        }
        if !self.exchanges.contains(&raw.origin.topic) {
            self.tally.read(raw.len() as u64, raw.payload_bytes);
        }
        Ok(())
    }

    /// Keeps a batch that is only partly processed, and records how far it is.
    fn pause(&mut self, raw: RawBatch, position: TaskPosition) {
        self.mid_record |= matches!(position, TaskPosition::Within(_));
        if let TaskPosition::Before(offset) = position {
            self.passed.remove(&raw.origin);
            self.moved.insert(raw.origin.clone(), offset);
        }
        self.current.push(raw);
    }
}

/// An Arrow error: that of a disk, or an internal one.
pub(super) fn fault(error: ArrowError) -> TransportError {
    match ColdError::behind(&error) {
        Some(cold) => TransportError::new(TransportErrorKind::Disk, &*cold.message),
        None => TransportError::internal(error),
    }
}
