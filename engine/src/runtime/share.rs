//! The partitions that the group assigned to one driver, and the tasks that process them: records in, commands out to
//! the outbox, up to the next commit.

mod barrier;
pub(super) mod merge;
mod output;
mod plans;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use arrow::error::ArrowError;
use headwater_connectors::transport::{Admin, Lost, Position, ReadPlan, ReadRange, SourceEvent, TransportError};
use headwater_dataflow::{Epoch, Event, TaskPosition};
use headwater_formats::record::{RawBatch, TopicPartition};

use super::complaints::Complaints;
use super::inputs::Inputs;
use super::intakes::Intakes;
use super::job::Job;
use super::note::Note;
use super::opening::Opening;
use super::outbox::{Outbox, Work};
use super::query_status::{QueryStatus, Tally};
use super::refusals::Refusals;
use super::restore::Restore;
use super::start::{Start, StartContext};
use super::states::{Shown, States};
use super::tasks::Tasks;
use merge::{Merge, Run};
use plans::{is_whole, merge, partitions_of, phases, plan};

/// A batch of this many records means that there is much to read, so the following ones are read ahead.
const AHEAD_FROM: usize = 1_024;
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
    /// What is read once everything in `phase` is, the next one last.
    later: Vec<ReadPlan>,
    /// The partitions that must be read to their ends before the next of `later`.
    phase: BTreeSet<TopicPartition>,
    /// Its state for readers, if the result of the query can be read from it.
    shown: Option<Arc<Shown>>,
    /// Offsets that were deleted before they were read, which are reported once the state is restored.
    gaps: Vec<Lost>,
    /// The batch whose output its task has not fully produced yet.
    pub(super) current: Option<RawBatch>,
    /// Whether tasks tell those of other processes how far they have read their sources.
    marks_progress: bool,
    /// Whether they have something to tell, although no record was read.
    must_mark: bool,
    /// Part of a record's output has been produced and part has not, so no commit is possible.
    pub(super) mid_record: bool,
    pub(super) complaints: Complaints,
    /// The topic of the processing log does not exist; the first complaint creates it.
    pub(super) log_missing: bool,
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
    /// Commits in progress, oldest first, and the number of commits finished before them.
    pub(super) committing: VecDeque<Committing>,
    pub(super) committed: u64,
    /// When a record was last read or a commit last made, in ms.
    pub(super) busy_at_ms: i64,
    /// The record at which a task stopped the query, and why.
    pub(super) stopped: Option<(i64, TransportError)>,
}

/// A commit that was handed to the outbox.
pub(super) struct Committing {
    pub(super) epoch: Epoch,
    pub(super) offsets: BTreeMap<TopicPartition, Position>,
    pub(super) tally: Tally,
}

impl Share {
    /// Opens a share that has read nothing yet, and returns it with where it starts.
    pub(super) fn open(
        opening: &Opening<'_>,
        partitions: &[TopicPartition],
        now_ms: i64,
    ) -> Result<(Self, Start), TransportError> {
        let Opening { transport, job, goal, member, inputs, positioned, refusals, status } = *opening;
        // Transactions of a former owner are ended first: only then are its offsets and its state final.
        let placements = opening.placements()?;
        let (limits, log_missing) = opening.complaint_limits()?;
        let topics = placements.values().map(|placement| placement.limits).chain([limits.log, limits.dead]);
        let batch_bytes_max = topics.filter_map(|limits| limits.batch_bytes_max).min();
        let outbox = opening.outbox(partitions, batch_bytes_max)?;
        let admin = transport.admin();
        let context = StartContext { admin, member, query: &job.query, inputs, goal, positioned };
        let start = Start::find(&context, partitions)?;
        let mut tasks = Tasks::open(&job.compiled, inputs, &placements, &start.notes)?;
        let shown = Shown::of(job, status, &start, &mut tasks)?.map(Arc::new);
        let restore = Restore::begin(transport.as_ref(), &job.compiled, &mut tasks)?;
        let whole = plan(job, &start)?;
        let mut later = match is_whole(inputs, partitions, &start) {
            true => {
                tasks.exchange_in_memory(inputs.exchanges());
                phases(admin, job, inputs, whole)?
            }
            false => vec![whole],
        };
        let marks_progress = job.compiled.merges() && !tasks.is_whole();
        let end = |range: &ReadRange| range.end.map(|end| (range.partition.clone(), end));
        let unfinished = later.iter().flat_map(|plan| &plan.ranges).filter_map(end).collect();
        let plan = later.pop().ok_or_else(|| TransportError::internal("a share reads nothing"))?;
        let share = Self {
            phase: partitions_of(&plan),
            later,
            merge: merge(job, &plan, inputs, &mut tasks)?,
            intakes: Intakes::open(transport, plan, job.in_threads.then_some(AHEAD_FROM), job.compiled.merges())?,
            outbox,
            tasks,
            exchanges: inputs.exchanges(),
            restore,
            shown,
            gaps: start.gaps.clone(),
            current: None,
            marks_progress,
            must_mark: marks_progress,
            mid_record: false,
            complaints: Complaints::new(&job.query, &job.service_id, limits),
            log_missing,
            refusals: refusals.clone(),
            tally: Tally::default(),
            epoch_bytes: 0,
            moved: BTreeMap::new(),
            passed: BTreeMap::new(),
            notes: start.notes.clone(),
            open_since_ms: None,
            unfinished,
            committing: VecDeque::new(),
            committed: 0,
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
    pub(super) fn restore(&mut self, now_ms: i64, wait: Duration) -> Result<bool, TransportError> {
        let Some(restore) = &mut self.restore else { return Ok(true) };
        self.busy_at_ms = now_ms;
        let is_done = restore.step(&mut self.tasks, wait)?;
        if is_done {
            self.restore = None;
        }
        Ok(is_done)
    }

    /// Shows its state to readers, once it is restored.
    pub(super) fn show(&self, states: &States) {
        self.shown.iter().for_each(|shown| states.show(shown));
    }

    /// Adds a commit that is about to be handed to the outbox.
    pub(super) fn begin_commit(&mut self, commit: Committing) {
        self.shown.iter().for_each(|shown| shown.begin_commit());
        self.committing.push_back(commit);
    }

    /// Makes the state of an epoch visible, which was committed with these positions.
    pub(super) fn apply(
        &mut self,
        epoch: Epoch,
        positions: &BTreeMap<TopicPartition, Position>,
    ) -> Result<(), TransportError> {
        match &self.shown {
            Some(shown) => shown.commit(positions, !self.committing.is_empty(), || self.tasks.committed(epoch)),
            None => self.tasks.committed(epoch),
        }
    }

    /// Records the positions after transaction markers, which are committed without any change of the state.
    pub(super) fn passed_markers(&self, positions: &BTreeMap<TopicPartition, Position>) {
        self.shown.iter().for_each(|shown| shown.pass(positions));
    }

    /// Whether a commit is in progress.
    pub(super) fn is_committing(&self) -> bool {
        !self.committing.is_empty()
    }

    /// The positions to commit: offsets with their notes.
    pub(super) fn positions(&self, offsets: BTreeMap<TopicPartition, i64>) -> BTreeMap<TopicPartition, Position> {
        let note = |partition: &TopicPartition| self.notes.get(partition).copied().unwrap_or_default().to_string();
        let position = |(partition, next)| {
            let position = Position::new(next, &note(&partition).into());
            (partition, position)
        };
        offsets.into_iter().map(position).collect()
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
        let is_waiting = self.merge.as_ref().is_some_and(Merge::is_waiting);
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
        let finished = self.is_finished(job) && self.current.is_none();
        let is_full = self.epoch_bytes >= EPOCH_BYTES_MAX;
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
        if self.current.is_some() {
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
            SourceEvent::Idle => Ok(StepOutcome::Idle),
            SourceEvent::Passed(partition, offset) => {
                let is_source = !self.exchanges.contains(&partition.topic);
                match self.moved.get_mut(&partition) {
                    Some(next) => *next = offset,
                    None => drop(self.passed.insert(partition, offset)),
                }
                self.must_mark |= self.marks_progress && is_source;
                Ok(StepOutcome::Worked)
            }
            SourceEvent::Lost(lost) => self.lose(&lost, job, status, now_ms).map(|()| StepOutcome::Worked),
            SourceEvent::Finished(partition) => {
                self.begin(job, now_ms)?;
                if let Some(end) = self.unfinished.remove(&partition) {
                    self.moved.insert(partition.clone(), end);
                }
                self.phase.remove(&partition);
                if self.phase.is_empty()
                    && let Some(plan) = self.later.pop()
                {
                    self.phase = partitions_of(&plan);
                    self.merge = merge(job, &plan, inputs, &mut self.tasks)?;
                    self.intakes.read(plan)?;
                }
                Ok(StepOutcome::Worked)
            }
            SourceEvent::Batch(raw) => {
                self.begin(job, now_ms)?;
                if self.merge.is_none() {
                    let (id, port) = self.tasks.reader(&raw.origin)?;
                    self.tasks.get(id)?.handle(&Event::Records(port, &raw)).map_err(fault)?;
                }
                self.current = Some(raw);
                self.go_on(status, now_ms)?;
                Ok(StepOutcome::Worked)
            }
        }
    }

    /// The next event to process; `None` if something was read that has to wait for its turn.
    fn next_event(&mut self, admin: &dyn Admin, wait: Duration) -> Result<Option<SourceEvent>, TransportError> {
        let Some(merge) = &mut self.merge else { return self.intakes.poll(&BTreeSet::new(), wait).map(Some) };
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

    /// Continues with the current batch until all of its output is produced, or as much as a step may write.
    pub(super) fn go_on(&mut self, status: &QueryStatus, now_ms: i64) -> Result<(), TransportError> {
        let Some(raw) = self.current.take() else { return Ok(()) };
        let (bytes_before, (id, _)) = (self.epoch_bytes, self.tasks.reader(&raw.origin)?);
        loop {
            self.perform_all(id, Some(&raw), status, now_ms)?;
            let is_left = self.tasks.get(id)?.advance(now_ms).map_err(fault)?;
            if !is_left {
                break;
            }
            if self.epoch_bytes - bytes_before >= STEP_BYTES_MAX {
                self.perform_all(id, Some(&raw), status, now_ms)?;
                match self.tasks.get(id)?.position() {
                    // The next advance ends the batch.
                    TaskPosition::Done => {}
                    position => return self.pause(raw, position, now_ms),
                }
            }
        }
        self.send_dead(now_ms)?;
        self.mid_record = false;
        let (_, port) = self.tasks.reader(&raw.origin)?;
        if let (Some((_, offset)), Some(merge)) = (self.tasks.get(id)?.head(port), &mut self.merge) {
            // The other rows of the batch wait for their turn.
            self.passed.remove(&raw.origin);
            self.moved.insert(raw.origin.clone(), offset);
            merge.put_back(raw);
            return Ok(());
        }
        let next = match &self.stopped {
            Some((offset, _)) => Some(*offset),
            None => raw.offsets.last().map(|last| last + 1),
        };
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
    fn pause(&mut self, raw: RawBatch, position: TaskPosition, now_ms: i64) -> Result<(), TransportError> {
        self.send_dead(now_ms)?;
        self.mid_record = matches!(position, TaskPosition::Within(_));
        if let TaskPosition::Before(offset) = position {
            self.passed.remove(&raw.origin);
            self.moved.insert(raw.origin.clone(), offset);
        }
        self.current = Some(raw);
        Ok(())
    }
}

/// An Arrow error as an internal one.
pub(super) fn fault(error: ArrowError) -> TransportError {
    TransportError::internal(error)
}
