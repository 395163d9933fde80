//! The partitions that the group gave to one driver, and what works on them: records in through tasks, commands out
//! to the outbox, as far as the next commit.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, Int64Array};
use arrow::compute::filter;
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use headwater_connectors::transport::{
    Admin, Isolation, Lost, Position, ReadPlan, ReadRange, SourceEvent, TransportError, TransportErrorKind,
};
use headwater_formats::record::{OutBatch, RawBatch, TopicPartition};

use super::complaints::Complaints;
use super::intake::Intake;
use super::job::Job;
use super::note::Note;
use super::opening::Opening;
use super::outbox::{Outbox, Work};
use super::query_status::{QueryStatus, Tally};
use super::refusals::{Made, Refusals, all_but};
use super::start::{Start, StartContext};
use super::{stopped_by, topics};
use headwater_dataflow::{Command, Complaint, ComplaintKind, Epoch, Event, Task, TaskPosition};

/// Most records taken from the source at once.
const BATCH_RECORDS_MAX: usize = 16_384;
/// A batch of so many records says that there is much to read: the next ones are read ahead.
const AHEAD_FROM: usize = 1_024;
/// Bytes that a step writes at most before it looks at the time and at the group again, unless one record becomes more.
const STEP_BYTES_MAX: usize = 32 << 20;
/// Bytes of one epoch after which it is committed before its time: an open transaction must end in time, too.
const EPOCH_BYTES_MAX: usize = 256 << 20;
/// A query without work for so long keeps no way to its input and output open, in ms.
const SUSPEND_AFTER_MS: i64 = 10_000;

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

/// The partitions that the group gave to this process, and what works on them.
pub(super) struct Share {
    /// Dropped first: what is open is given up even if reading hangs.
    pub(super) outbox: Outbox,
    pub(super) intake: Intake,
    pub(super) tasks: BTreeMap<i32, Task>,
    /// Records of which not all has come out of their task yet.
    pub(super) current: Option<RawBatch>,
    /// Something of a record has come out, and something has not: no commit can be made.
    pub(super) mid_record: bool,
    pub(super) complaints: Complaints,
    /// The topic of the processing log is not there: it is made with the first complaint.
    pub(super) log_missing: bool,
    pub(super) refusals: Arc<Refusals>,
    /// What was done since the last commit.
    pub(super) tally: Tally,
    pub(super) epoch_bytes: usize,
    /// Next offset to read of each partition that has moved since the last commit.
    pub(super) moved: BTreeMap<TopicPartition, i64>,
    /// Offsets behind the last record of partitions where only markers are before them: worth no commit of their own.
    pub(super) passed: BTreeMap<TopicPartition, i64>,
    /// What is committed beside the offset of each partition.
    pub(super) notes: BTreeMap<TopicPartition, Note>,
    /// When the open epoch began, in ms; none while nothing has happened since the last commit.
    pub(super) open_since_ms: Option<i64>,
    /// Partitions that are to be read to their end, of a job until idle.
    pub(super) unfinished: BTreeMap<TopicPartition, i64>,
    /// Commits that are under way, the oldest first, and how many were done before them.
    pub(super) committing: VecDeque<Committing>,
    pub(super) committed: u64,
    /// When something was last read or committed, in ms.
    pub(super) busy_at_ms: i64,
    /// Why nothing more may be read, by the word of a task.
    pub(super) stopped: Option<(i64, TransportError)>,
}

/// A commit that was given to the outbox.
pub(super) struct Committing {
    pub(super) epoch: Epoch,
    pub(super) offsets: BTreeMap<TopicPartition, Position>,
    pub(super) tally: Tally,
}

impl Share {
    /// A share that has read nothing, and where it begins.
    pub(super) fn open(
        opening: &Opening<'_>,
        partitions: &[TopicPartition],
        now_ms: i64,
    ) -> Result<(Self, Start), TransportError> {
        let Opening { transport, job, goal, member, meant, positioned, refusals } = *opening;
        // What a former owner left open is ended first: only then are its offsets settled.
        let placement = opening.placement()?;
        let (limits, log_missing) = opening.complaint_limits()?;
        let topics = [placement.limits, limits.log, limits.dead];
        let batch_bytes_max = topics.iter().filter_map(|limits| limits.batch_bytes_max).min();
        let outbox = opening.outbox(partitions, batch_bytes_max)?;
        let transport = transport.as_ref();
        let admin = transport.admin();
        let context = StartContext { admin, member, query: &job.query, goal, meant, positioned };
        let start = Start::find(&context, partitions)?;
        let end = |range: &ReadRange| range.end.map(|end| (range.partition.clone(), end));
        let unfinished = start.ranges.iter().filter_map(end).collect();
        let plan = ReadPlan {
            ranges: start.ranges.clone(),
            wanted: job.wanted()?,
            isolation: Isolation::ReadCommitted,
            batch_records_max: BATCH_RECORDS_MAX,
            ids: start.ids.clone(),
        };
        let task = |p: &TopicPartition| {
            Ok((p.partition, job.compiled.task(p.clone(), placement).map_err(TransportError::internal)?))
        };
        let tasks = partitions.iter().map(task).collect::<Result<_, TransportError>>()?;
        let share = Self {
            intake: Intake::open(opening.transport.clone(), plan, job.in_threads.then_some(AHEAD_FROM))?,
            outbox,
            tasks,
            current: None,
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

    /// Offsets with what is committed beside them.
    pub(super) fn positions(&self, offsets: BTreeMap<TopicPartition, i64>) -> BTreeMap<TopicPartition, Position> {
        let note = |partition: &TopicPartition| self.notes.get(partition).copied().unwrap_or_default().to_string();
        let position = |(partition, next)| {
            let position = Position::new(next, &note(&partition).into());
            (partition, position)
        };
        offsets.into_iter().map(position).collect()
    }

    /// Offsets are gone that were not read. It is told in their place, in the transaction that passes them.
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
            from = lost.from, to = lost.to, lost = lost.count(), "records are gone that were not read: {lost}"
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

    /// True when nothing more is to be read.
    pub(super) fn is_finished(&self, job: &Job) -> bool {
        job.until_idle && self.unfinished.is_empty()
    }

    /// True when something is not committed yet.
    pub(super) fn is_open(&self) -> bool {
        self.open_since_ms.is_some() || !self.committing.is_empty()
    }

    /// Lets go of the ways to input and output when nothing was to be done for a while. True when it is so.
    pub(super) fn suspend(&mut self, job: &Job, now_ms: i64) -> Result<bool, TransportError> {
        let idle = !self.is_open() && now_ms - self.busy_at_ms >= SUSPEND_AFTER_MS;
        if idle && self.outbox.is_awake() {
            self.outbox.suspend()?;
        }
        if idle && !job.until_idle {
            self.intake.suspend()?;
        }
        Ok(idle)
    }

    pub(super) fn is_due(&self, job: &Job, now_ms: i64) -> bool {
        let finished = self.is_finished(job) && self.current.is_none();
        let is_full = self.epoch_bytes >= EPOCH_BYTES_MAX;
        let is_over = |since| finished || is_full || now_ms - since >= job.commit_interval_ms();
        !self.mid_record && self.open_since_ms.is_some_and(is_over)
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

    pub(super) fn read(
        &mut self,
        job: &Job,
        status: &QueryStatus,
        now_ms: i64,
        wait: Duration,
    ) -> Result<Step, TransportError> {
        if self.current.is_some() {
            self.begin(job, now_ms)?;
            self.go_on(status, now_ms)?;
            return Ok(Step::Worked);
        }
        if self.intake.is_suspended() {
            return self.wake(now_ms, wait);
        }
        let left = self.open_since_ms.map(|since| since + job.commit_interval_ms() - now_ms);
        let left = left.map_or(wait, |left| Duration::from_millis(u64::try_from(left).unwrap_or(0)).min(wait));
        match self.intake.poll(left)? {
            SourceEvent::Idle => Ok(Step::Idle),
            SourceEvent::Passed(partition, offset) => {
                match self.moved.get_mut(&partition) {
                    Some(next) => *next = offset,
                    None => drop(self.passed.insert(partition, offset)),
                }
                Ok(Step::Worked)
            }
            SourceEvent::Lost(lost) => self.lose(&lost, job, status, now_ms).map(|()| Step::Worked),
            SourceEvent::Finished(partition) => {
                self.begin(job, now_ms)?;
                if let Some(end) = self.unfinished.remove(&partition) {
                    self.moved.insert(partition, end);
                }
                Ok(Step::Worked)
            }
            SourceEvent::Batch(raw) => {
                self.begin(job, now_ms)?;
                self.task(raw.origin.partition)?.handle(&Event::Records(&raw)).map_err(fault)?;
                self.current = Some(raw);
                self.go_on(status, now_ms)?;
                Ok(Step::Worked)
            }
        }
    }

    /// Waits until something comes, and then has a way to the input again.
    fn wake(&mut self, now_ms: i64, wait: Duration) -> Result<Step, TransportError> {
        let woke = self.intake.wake(wait)?;
        if woke {
            self.busy_at_ms = now_ms;
        }
        Ok(if woke { Step::Worked } else { Step::Idle })
    }

    /// Goes on with the records that were read last, until all has come out or so much that it is time to look around.
    pub(super) fn go_on(&mut self, status: &QueryStatus, now_ms: i64) -> Result<(), TransportError> {
        let Some(raw) = self.current.take() else { return Ok(()) };
        let begun = self.epoch_bytes;
        loop {
            self.perform_all(raw.origin.partition, Some(&raw), status)?;
            let is_left = self.task(raw.origin.partition)?.advance(now_ms).map_err(fault)?;
            if !is_left {
                break;
            }
            if self.epoch_bytes - begun >= STEP_BYTES_MAX {
                self.perform_all(raw.origin.partition, Some(&raw), status)?;
                return self.pause(raw, now_ms);
            }
        }
        self.send_dead(now_ms)?;
        self.mid_record = false;
        let next = match &self.stopped {
            Some((offset, _)) => Some(*offset),
            None => raw.offsets.last().map(|last| last + 1),
        };
        if let Some(next) = next {
            self.passed.remove(&raw.origin);
            self.moved.insert(raw.origin.clone(), next);
        }
        self.tally.read(raw.len() as u64, raw.payload_bytes);
        Ok(())
    }

    /// Notes how far the records have come out, of which something is left.
    fn pause(&mut self, raw: RawBatch, now_ms: i64) -> Result<(), TransportError> {
        self.send_dead(now_ms)?;
        let position = self.tasks.get_mut(&raw.origin.partition).map_or(TaskPosition::Done, Task::position);
        self.mid_record = matches!(position, TaskPosition::Within(_));
        if let TaskPosition::Before(offset) = position {
            self.passed.remove(&raw.origin);
            self.moved.insert(raw.origin.clone(), offset);
        }
        self.current = Some(raw);
        Ok(())
    }

    pub(super) fn barrier(
        &mut self,
        epoch: Epoch,
        job: &Job,
        status: &QueryStatus,
        now_ms: i64,
    ) -> Result<(), TransportError> {
        self.begin(job, now_ms)?;
        let partitions: Vec<i32> = self.tasks.keys().copied().collect();
        for partition in partitions {
            self.task(partition)?.handle(&Event::Barrier(epoch)).map_err(fault)?;
            while self.task(partition)?.passes_barrier() {
                self.task(partition)?.advance(now_ms).map_err(fault)?;
                self.perform_all(partition, None, status)?;
            }
        }
        Ok(())
    }

    fn task(&mut self, partition: i32) -> Result<&mut Task, TransportError> {
        self.tasks
            .get_mut(&partition)
            .ok_or_else(|| TransportError::internal(format!("there is no task for partition {partition}")))
    }

    /// Performs what has come out of the task of a partition.
    fn perform_all(
        &mut self,
        partition: i32,
        raw: Option<&RawBatch>,
        status: &QueryStatus,
    ) -> Result<(), TransportError> {
        while let Some(command) = self.tasks.get_mut(&partition).and_then(Task::poll_command) {
            match command {
                Command::Write(batch, offsets) => self.write(batch, offsets, raw, status)?,
                Command::Complain(complaint) => self.complain(&complaint, raw, status),
                Command::Stop(complaint) => self.stopped = Some((complaint.offset, stopped_by(&complaint))),
                Command::Show(_) | Command::Reached(_) => {}
            }
        }
        Ok(())
    }

    /// Writes records that were made of those at `offsets`, without those that the topic is known to refuse.
    fn write(
        &mut self,
        batch: OutBatch,
        offsets: Int64Array,
        raw: Option<&RawBatch>,
        status: &QueryStatus,
    ) -> Result<(), TransportError> {
        let Some(raw) = raw else { return Err(TransportError::internal("records came out of no records")) };
        let refused = self.refusals.of(&raw.origin, offsets.values());
        let (batch, offsets) = match refused.is_empty() {
            true => (batch, offsets),
            false => without(&batch, &offsets, refused.iter().map(|(row, ..)| *row)).map_err(fault)?,
        };
        let mut reported = None;
        for (_, offset, reason) in refused {
            // All rows of an exploded record are one complaint.
            if reported.replace(offset) == Some(offset) {
                continue;
            }
            let (kind, origin) = (ComplaintKind::Serialization, raw.origin.clone());
            self.complain(&Complaint { kind, origin, offset, side: None, expr: None, reason }, Some(raw), status);
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.epoch_bytes += batch.payload_bytes();
        self.tally.wrote(batch.len() as u64);
        self.outbox.put(Work::Write(batch, Made::Of(raw.origin.clone(), offsets)))
    }

    fn complain(&mut self, complaint: &Complaint, raw: Option<&RawBatch>, status: &QueryStatus) {
        self.tally.complained();
        status.complained(complaint);
        self.complaints.add(complaint, raw);
    }

    /// Sends dead letters on as they come: the records may be many and large.
    fn send_dead(&mut self, now_ms: i64) -> Result<(), TransportError> {
        let Some(letters) = self.complaints.take_dead(now_ms) else { return Ok(()) };
        if self.refusals.is_silent(&letters.topic) {
            return Ok(());
        }
        self.epoch_bytes += letters.payload_bytes();
        self.outbox.put(Work::Write(letters, Made::OfComplaints))
    }

    /// Writes the complaints of the epoch to the processing log, whose topic is made when it is not there. One that does
    /// not take them holds up nothing.
    pub(super) fn log_complaints(
        &mut self,
        admin: &dyn Admin,
        status: &QueryStatus,
        now_ms: i64,
    ) -> Result<(), TransportError> {
        self.send_dead(now_ms)?;
        let mut unlogged = self.complaints.take_unlogged();
        if let Some(entries) = self.complaints.take_log(now_ms) {
            // It may have been deleted since; librdkafka would wait for it until the transaction is over.
            self.log_missing |= matches!(admin.glance(&entries.topic), Ok(None));
            let made = if self.log_missing { topics::make_processing_log(admin, &entries.topic) } else { Ok(()) };
            match made {
                Ok(()) if self.refusals.is_silent(&entries.topic) => unlogged += entries.len() as u64,
                Ok(()) => {
                    self.log_missing = false;
                    self.outbox.put(Work::Write(entries, Made::OfComplaints))?;
                }
                Err(error) if error.kind == TransportErrorKind::Authorization => unlogged += entries.len() as u64,
                Err(error) => return Err(error),
            }
        }
        status.unlogged(unlogged);
        Ok(())
    }
}

/// The records and their offsets without those at some rows.
fn without(
    batch: &OutBatch,
    offsets: &Int64Array,
    rows: impl Iterator<Item = usize>,
) -> Result<(OutBatch, Int64Array), ArrowError> {
    let keep = all_but(batch.len(), rows);
    Ok((batch.filter(&keep)?, filter(offsets, &keep)?.as_primitive::<Int64Type>().clone()))
}

/// An error of our own computing.
pub(super) fn fault(error: ArrowError) -> TransportError {
    TransportError::internal(error)
}
