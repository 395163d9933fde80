//! The order in which the inputs of a query with joins are processed: by event time.
//!
//! The inputs form groups: all partitions of sources are one, and so are the exchanges that a task reads. Rows of a group are
//! processed once every input of it has rows that wait, or is known to have been read to the end that it had when it was asked
//! (`max.task.idle.ms = 0` of Kafka Streams). So the result of a join over existing records does not depend on the speed at
//! which its topics are read. If all joins are those of streams with tables, the tables are read ahead (`ahead`).

mod ahead;
mod elsewhere;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use headwater_connectors::transport::{Admin, Isolation, ReadPlan, SourceEvent, TransportError};
use headwater_dataflow::{Compiled, Event, Port, TaskId};
use headwater_formats::record::{RawBatch, TopicPartition};

use super::super::inputs::Inputs;
use super::super::start::mark;
use super::super::tasks::Tasks;
use super::elsewhere::{Elsewhere, Ends};
use super::fault;

/// The inputs that are being read.
#[derive(Default)]
pub(in super::super) struct Merge {
    /// Whether tables are read ahead of streams, instead of everything in order.
    reads_tables_ahead: bool,
    /// Whether the partitions of streams with one number share their stream time.
    joins_streams: bool,
    /// The stream time that the joins were told that all streams have passed, in ms.
    passed_ms: i64,
    inputs: BTreeMap<TopicPartition, Input>,
    groups: Vec<Group>,
    /// What is known of the sources that other processes read, too.
    elsewhere: Elsewhere,
}

/// Inputs whose rows are processed in order.
struct Group {
    /// Its inputs; at equal times the first one comes first.
    partitions: Vec<TopicPartition>,
    /// The topics of tables for which rows of streams wait.
    blocking: BTreeSet<Arc<str>>,
    /// The ends that the sources had after the latest rows of streams arrived, if they were asked for.
    asked: Option<Ends>,
}

struct Input {
    id: TaskId,
    port: Port,
    is_exchange: bool,
    is_stream: bool,
    /// What was read and is not processed; the task has the rows of the first batch if `is_handled`.
    waiting: VecDeque<SourceEvent>,
    is_handled: bool,
    /// The next offset to read.
    next: i64,
    /// The stream time of the rows that were processed, in ms; `i64::MIN` before the first one. For a stream that is joined with
    /// tables that are read ahead.
    clock_ms: i64,
    /// The latest stream time among the rows that the task has.
    latest_ms: i64,
    /// That of the rows that were released last, which may not be processed yet.
    released_ms: i64,
    /// Whether everything was read that existed when the latest rows of its group arrived.
    is_at_end: bool,
    /// Whether its range has ended.
    is_over: bool,
}

/// The next rows to process.
pub(in super::super) struct Run {
    /// The partition they come from.
    pub(in super::super) batch: RawBatch,
    /// The task that processes them, and its port.
    pub(in super::super) reader: (TaskId, Port),
    /// The highest event time of the rows, in ms.
    until_ms: i64,
}

/// The input of a group whose rows are next.
struct First {
    partition: TopicPartition,
    /// The highest event time of the rows, in ms.
    until_ms: i64,
    /// The stream time after them, if that is used.
    clock_ms: i64,
}

impl First {
    /// All rows that the first batch of an input has.
    fn all_of(partition: &TopicPartition) -> Self {
        Self { partition: partition.clone(), until_ms: i64::MAX, clock_ms: i64::MIN }
    }
}

impl Input {
    /// Whether nothing waits, and nothing was to be read when that was asked.
    fn is_exhausted(&self) -> bool {
        self.waiting.is_empty() && (self.is_at_end || self.is_over)
    }

    /// Whether it is not known what comes next.
    fn is_lacking(&self) -> bool {
        self.waiting.is_empty() && !self.is_exhausted()
    }
}

impl Merge {
    /// A merge without inputs.
    pub(in super::super) fn new(compiled: &Compiled) -> Self {
        let (reads_tables_ahead, joins_streams) = (compiled.reads_tables_ahead(), compiled.joins_streams());
        Self { reads_tables_ahead, joins_streams, passed_ms: i64::MIN, ..Self::default() }
    }

    /// The inputs of a plan.
    pub(in super::super) fn of(
        plan: &ReadPlan,
        inputs: &Inputs,
        tasks: &mut Tasks,
        compiled: &Compiled,
    ) -> Result<Self, TransportError> {
        let mut merge = Self::new(compiled);
        merge.elsewhere = Elsewhere::of(compiled, tasks);
        merge.add_inputs(plan, inputs, tasks)?;
        Ok(merge)
    }

    /// Adds the inputs of a plan, which belong to no group yet.
    pub(in super::super) fn add_inputs(
        &mut self,
        plan: &ReadPlan,
        inputs: &Inputs,
        tasks: &mut Tasks,
    ) -> Result<(), TransportError> {
        for range in &plan.ranges {
            let (id, port) = tasks.reader(&range.partition)?;
            let is_exchange = inputs.is_exchange(&range.partition.topic);
            let is_stream = !inputs.is_table(&range.partition.topic);
            let (waiting, next) = (VecDeque::new(), range.start);
            let (is_handled, is_at_end, is_over) = (false, false, false);
            let clock_ms = if is_exchange { None } else { tasks.get(id)?.stream_time_ms(port) };
            let (clock_ms, latest_ms, released_ms) = (clock_ms.unwrap_or(i64::MIN), i64::MIN, i64::MIN);
            let input = Input {
                id,
                port,
                is_exchange,
                is_stream,
                waiting,
                is_handled,
                next,
                clock_ms,
                latest_ms,
                released_ms,
                is_at_end,
                is_over,
            };
            self.inputs.insert(range.partition.clone(), input);
        }
        let mut groups: BTreeMap<Option<TaskId>, Vec<(bool, Port, TopicPartition)>> = BTreeMap::new();
        for (partition, input) in &self.inputs {
            // What is left in the exchanges of a query that is all here belongs to the sources.
            let is_apart = input.is_exchange && !(self.reads_tables_ahead && tasks.is_whole());
            let group = groups.entry(is_apart.then_some(input.id)).or_default();
            group.push((input.is_stream, input.port, partition.clone()));
        }
        let group = |mut group: Vec<(bool, Port, TopicPartition)>| {
            group.sort();
            let partitions = group.into_iter().map(|(.., partition)| partition).collect();
            Group { partitions, blocking: BTreeSet::new(), asked: None }
        };
        self.groups = groups.into_values().map(group).collect();
        Ok(())
    }

    /// Adds what was read.
    pub(in super::super) fn add(&mut self, event: SourceEvent) {
        let (partition, next) = match &event {
            SourceEvent::Batch(batch) => (batch.origin.clone(), batch.offsets.last().map(|last| last + 1)),
            SourceEvent::Lost(lost) => (lost.partition.clone(), Some(lost.to)),
            SourceEvent::Passed(partition, offset) => (partition.clone(), Some(*offset)),
            SourceEvent::Finished(partition) => (partition.clone(), None),
            SourceEvent::Idle => return,
        };
        if matches!(event, SourceEvent::Batch(_)) {
            self.forget_ends(&partition);
        }
        if let Some(input) = self.inputs.get_mut(&partition) {
            input.next = input.next.max(next.unwrap_or(input.next));
            input.is_over |= matches!(event, SourceEvent::Finished(_));
            input.waiting.push_back(event);
        }
    }

    /// Rows have arrived in a partition: whether the others of its group are at their ends must be asked again.
    fn forget_ends(&mut self, partition: &TopicPartition) {
        self.elsewhere.forget_ends();
        let is_stream = self.inputs.get(partition).is_some_and(|input| input.is_stream);
        for group in self.groups.iter_mut().filter(|group| group.partitions.contains(partition)) {
            group.asked = group.asked.take().filter(|_| !is_stream);
            for other in &group.partitions {
                if let Some(input) = self.inputs.get_mut(other) {
                    input.is_at_end = false;
                }
            }
        }
    }

    /// The next event that is not a batch, once the batches before it are processed.
    pub(in super::super) fn control(&mut self) -> Option<SourceEvent> {
        let is_control = |event: &SourceEvent| !matches!(event, SourceEvent::Batch(_));
        let input = self.inputs.values_mut().find(|input| input.waiting.front().is_some_and(is_control))?;
        input.waiting.pop_front()
    }

    /// The topics that have to be read: those of tables for which rows of streams wait or, in groups without such rows, those of
    /// inputs without rows.
    pub(in super::super) fn lacking(&self) -> BTreeSet<Arc<str>> {
        let mut topics = BTreeSet::new();
        for group in &self.groups {
            topics.extend(group.blocking.iter().cloned());
            if group.blocking.is_empty() {
                let inputs = group.partitions.iter().map(|partition| (partition, &self.inputs[partition]));
                let lacks = inputs.filter(|(_, input)| input.waiting.is_empty() && !input.is_over);
                topics.extend(lacks.map(|(partition, _)| partition.topic.clone()));
            }
        }
        topics
    }

    /// Whether rows wait for other inputs.
    pub(in super::super) fn is_waiting(&self) -> bool {
        self.inputs.values().any(|input| !input.waiting.is_empty())
    }

    /// Asks the cluster which inputs without rows are at their ends.
    fn ask(&mut self, admin: &dyn Admin) -> Result<(), TransportError> {
        let mut ends = BTreeMap::new();
        for (partition, input) in &mut self.inputs {
            if !input.is_lacking() {
                continue;
            }
            // An exchange is written in transactions: what is not committed yet is not at the end of it.
            let isolation = if input.is_exchange { Isolation::ReadUncommitted } else { Isolation::ReadCommitted };
            if !ends.contains_key(&partition.topic) {
                ends.insert(partition.topic.clone(), admin.watermarks(&partition.topic, isolation)?);
            }
            input.is_at_end = mark(&ends[&partition.topic], partition)?.end <= input.next;
        }
        self.ask_elsewhere(admin)
    }

    /// The next rows whose turn it is, released to their task. If the cluster must be asked for that, it is.
    pub(in super::super) fn released(
        &mut self,
        tasks: &mut Tasks,
        admin: &dyn Admin,
    ) -> Result<Option<Run>, TransportError> {
        let mut run = self.next(tasks)?;
        if run.is_none() && self.is_waiting() {
            self.ask(admin)?;
            run = self.next(tasks)?;
        }
        if let Some(run) = &run {
            self.pass(run, tasks)?;
            self.reach(run, tasks)?;
            run.release(tasks)?;
        }
        Ok(run)
    }

    /// Before rows of a stream are released, tells their task the stream time of the streams that are joined with it.
    fn reach(&self, run: &Run, tasks: &mut Tasks) -> Result<(), TransportError> {
        let of_run = &run.batch.origin;
        if !self.joins_streams || self.inputs.get(of_run).is_none_or(|input| input.is_exchange || !input.is_stream) {
            return Ok(());
        }
        for (partition, input) in &self.inputs {
            let is_joined = partition.partition == of_run.partition && partition.topic != of_run.topic;
            if is_joined && input.is_stream && !input.is_exchange {
                let stream_ms = tasks.get(input.id)?.stream_time_ms(input.port);
                stream_ms.map_or(Ok(()), |stream_ms| tasks.get(run.reader.0).map(|task| task.reach(stream_ms)))?;
            }
        }
        Ok(())
    }

    /// The next rows to process, which their task releases; `None` if none can be processed yet.
    fn next(&mut self, tasks: &mut Tasks) -> Result<Option<Run>, TransportError> {
        self.settle();
        self.hand_over(tasks)?;
        for at in 0..self.groups.len() {
            let group = &self.groups[at];
            let mut blocking = BTreeSet::new();
            let first = match self.reads_tables_ahead {
                true => self.first_ahead(group, tasks, &mut blocking)?,
                false => self.first_of(&group.partitions, tasks)?,
            };
            self.groups[at].blocking = blocking;
            let Some(First { partition, until_ms, clock_ms }) = first else { continue };
            let input = self.inputs.get_mut(&partition).expect("groups consist of inputs");
            (input.is_handled, input.released_ms) = (false, clock_ms);
            if let Some(SourceEvent::Batch(batch)) = input.waiting.pop_front() {
                return Ok(Some(Run { batch, reader: (input.id, input.port), until_ms }));
            }
        }
        Ok(None)
    }

    /// Gives each task the first batch of each of its inputs.
    fn hand_over(&mut self, tasks: &mut Tasks) -> Result<(), TransportError> {
        for input in self.inputs.values_mut().filter(|input| !input.is_handled) {
            if let Some(SourceEvent::Batch(batch)) = input.waiting.front() {
                tasks.teach(input.id, input.port, batch)?;
                let task = tasks.get(input.id)?;
                task.handle(&Event::Records(input.port, batch)).map_err(fault)?;
                input.is_handled = true;
                input.latest_ms = task.latest_ms(input.port).unwrap_or(i64::MIN);
            }
        }
        Ok(())
    }

    /// The input of a group whose rows are next; `None` if one of them has to be read first.
    fn first_of(&self, group: &[TopicPartition], tasks: &mut Tasks) -> Result<Option<First>, TransportError> {
        let mut heads: Vec<(i64, usize)> = Vec::new();
        for (at, partition) in group.iter().enumerate() {
            let input = &self.inputs[partition];
            match (input.waiting.is_empty(), tasks.get(input.id)?.head(input.port)) {
                (true, _) if input.is_exhausted() => {}
                (true, _) => return Ok(None),
                (false, Some((time_ms, _))) => heads.push((time_ms, at)),
                // A batch whose records were all rejected.
                (false, None) => return Ok(Some(First::all_of(partition))),
            }
        }
        heads.sort_unstable();
        let Some((_, first)) = heads.first().copied() else { return Ok(None) };
        let until_ms = match heads.get(1) {
            // Rows of the same time are taken in the order of the group.
            Some((time_ms, second)) if *second > first => *time_ms,
            Some((time_ms, _)) => time_ms.saturating_sub(1),
            None => i64::MAX,
        };
        Ok(Some(First { until_ms, ..First::all_of(&group[first]) }))
    }

    /// Ends a run: if some rows of its batch were not released, they wait for their turn.
    pub(in super::super) fn done(&mut self, run: Run, tasks: &mut Tasks) -> Result<(), TransportError> {
        let (id, port) = run.reader;
        if tasks.get(id)?.head(port).is_some() {
            self.put_back(run.batch);
        }
        Ok(())
    }

    /// Puts a batch back whose rows were not all released.
    pub(in super::super) fn put_back(&mut self, batch: RawBatch) {
        if let Some(input) = self.inputs.get_mut(&batch.origin) {
            input.waiting.push_front(SourceEvent::Batch(batch));
            input.is_handled = true;
        }
    }
}

impl Run {
    /// Has the task release the rows.
    fn release(&self, tasks: &mut Tasks) -> Result<(), TransportError> {
        let (id, port) = self.reader;
        tasks.get(id)?.release(port, self.until_ms);
        Ok(())
    }
}
