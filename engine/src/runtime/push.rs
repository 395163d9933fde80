//! Push queries: rows are shown as they arrive, until the user stops the query.
//!
//! A push query commits nothing and joins no group: it reads every partition itself, by default only the records that
//! arrive after it began. Its state is in memory, and its rows pass exchanges in memory. Rows are shown as soon as they are
//! computed, and groups once nothing more has arrived for a moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use chrono::Utc;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use headwater_connectors::table::{Progress, spawn_reader};
use headwater_connectors::transport::{
    Extent, Glance, Isolation, LossCause, Lost, ReadPlan, ReadRange, SourceEvent, TopicIds, Transport, TransportError,
    TransportErrorKind, Watermarks,
};
use headwater_dataflow::{
    Command, CompileOptions, Compiled, Complaint, Epoch, Event, Exchanged, InputTopic, Placement, TaskId,
};
use headwater_formats::record::{RawBatch, RecordLimits, Reject, Side, TopicPartition};
use headwater_language::config::Settings;
use headwater_language::diagnostic::Diagnostic;
use headwater_language::topology::Topology;
use headwater_planner::continuous::{self, CACHE_BYTES, Push, THROWS_ON_INVALID_TIME};

use super::inputs::Inputs;
use super::intakes::Intakes;
use super::lookout::Seen;
use super::share::held::slowest_unread;
use super::share::merge::Merge;
use super::tasks::Tasks;
use super::{refused, stopped_by};
use crate::answer::Rows;

/// Most batches that wait to be shown.
const WAITING_MAX: usize = 2;
/// Most records to take from the source at once.
const BATCH_RECORDS_MAX: usize = 8_192;
/// How long a poll waits before the reader checks whether its rows are still wanted.
const POLL: Duration = Duration::from_millis(100);
/// The longest pause before a registry that cannot be asked is asked again.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// The longest time after which groups that have changed are shown while more records arrive.
const SHOW_AFTER: Duration = Duration::from_secs(1);

/// Starts a push query. Blocks until its start offsets are known.
pub fn start(push: &Push, transport: &Arc<dyn Transport>, settings: &Settings) -> Result<Rows, Vec<Diagnostic>> {
    let options = CompileOptions {
        stops_on_time: settings.get(THROWS_ON_INVALID_TIME) == "true",
        emits_every_change: settings.get(CACHE_BYTES) == "0" || !push.topology.aggregates(),
        ..CompileOptions::default()
    };
    let compiled = Compiled::new(&push.topology, &continuous::state_of(&push.topology, settings)?, &options)?;
    let progress = Arc::new(Progress::default());
    let from_earliest = settings.get("auto.offset.reset") == "earliest";
    let schema = compiled.result_schema().clone();
    let opened = Opened { transport: transport.clone(), isolation: super::isolation(settings), from_earliest };
    let reader = PushReader::open(push, compiled, opened, &progress).map_err(refused)?;
    let mut builder = RecordBatchReceiverStreamBuilder::new(schema, WAITING_MAX);
    let rows = builder.tx();
    spawn_reader(&mut builder, move || reader.run(&rows));
    let hint = "Showing new records only. SET 'auto.offset.reset' = 'earliest'; includes existing ones.";
    let reads_stream = push.topology.sources().any(|source| !push.topology.reads_table(&source.topic));
    let notice = (!from_earliest && reads_stream).then(|| hint.to_owned());
    Ok(Rows { stream: builder.build(), progress, notice })
}

type Show = tokio::sync::mpsc::Sender<DataFusionResult<RecordBatch>>;

/// How a push query reads.
struct Opened {
    transport: Arc<dyn Transport>,
    isolation: Isolation,
    /// Whether records of streams that exist already are included; those of tables always are.
    from_earliest: bool,
}

struct PushReader {
    opened: Opened,
    topology: Topology,
    compiled: Compiled,
    inputs: Inputs,
    tasks: Tasks,
    placements: BTreeMap<String, Placement>,
    /// One for the partitions that existed at the start, and one for each time that partitions were added.
    intakes: Vec<Intakes>,
    /// What was read and waits for its turn, of a query with joins.
    merge: Option<Merge>,
    /// The next offset to read of each partition, if nothing waits.
    next: BTreeMap<TopicPartition, i64>,
    progress: Arc<Progress>,
    left: Option<u64>,
    epoch: Epoch,
    /// Since when there are changes that were not shown.
    changed_at: Option<Instant>,
}

impl PushReader {
    fn open(push: &Push, compiled: Compiled, opened: Opened, progress: &Arc<Progress>) -> Result<Self, TransportError> {
        let inputs = Inputs::of(&compiled);
        let one = Placement { partitions: 1, limits: RecordLimits::default() };
        let mut reader = Self {
            merge: compiled.merges().then(|| Merge::new(&compiled)),
            placements: compiled.outputs().map(|topic| (topic.to_owned(), one)).collect(),
            tasks: Tasks::none(opened.transport.schemas()),
            opened,
            topology: push.topology.clone(),
            inputs,
            compiled,
            intakes: Vec::new(),
            next: BTreeMap::new(),
            progress: progress.clone(),
            left: push.limit,
            epoch: Epoch::default(),
            changed_at: None,
        };
        reader.tasks.exchange_in_memory(reader.inputs.exchanges());
        let exchanges: Vec<_> =
            reader.inputs.exchanges().into_iter().map(|topic| TopicPartition::new(topic, 0)).collect();
        reader.tasks.add(&reader.compiled, &reader.inputs, &reader.placements, exchanges.iter())?;
        for topic in reader.sources() {
            let is_whole = reader.opened.from_earliest || reader.topology.reads_table(&topic);
            reader.add_partitions(&topic, |marks| if is_whole { marks.start } else { marks.end })?;
        }
        Ok(reader)
    }

    /// Has windows wait for partitions that have records which were not read yet.
    fn hold_windows(&mut self) {
        if !self.topology.has_windows() {
            return;
        }
        let processed = |partition: &TopicPartition| match &self.merge {
            Some(merge) => merge.processed(partition, &self.tasks),
            None => self.next.get(partition).copied(),
        };
        let processed = |partition: &TopicPartition| processed(partition).unwrap_or(0);
        let (admin, isolation) = (self.opened.transport.admin(), self.opened.isolation);
        let held_ms = slowest_unread(self.tasks.source_times(), processed, admin, isolation);
        self.tasks.hold(|_| held_ms);
    }

    /// The topics of its sources.
    fn sources(&self) -> Vec<Arc<str>> {
        let inputs = self.compiled.inputs().into_iter();
        inputs.filter(|input| !input.is_exchange).map(|InputTopic { topic, .. }| topic.clone()).collect()
    }

    /// Starts to read the partitions of a topic that are not read yet, from the offset that `start` returns.
    fn add_partitions(&mut self, topic: &Arc<str>, start: impl Fn(&Watermarks) -> i64) -> Result<(), TransportError> {
        let Extent { id, marks, .. } = self.opened.transport.admin().extent(topic, self.opened.isolation)?;
        let partitions = i32::try_from(marks.len()).unwrap_or(i32::MAX);
        self.inputs.forget_partitions();
        if self.inputs.learn(topic, Glance { id, partitions }) == Seen::Other {
            return Err(recreated(topic).into());
        }
        let range = |(partition, marks): (i32, &Watermarks)| {
            let partition = TopicPartition::new(topic.clone(), partition);
            let is_new = !self.tasks.has_reader(&partition);
            is_new.then(|| ReadRange { partition, start: start(marks), end: None })
        };
        let ranges: Vec<ReadRange> = (0..).zip(&marks).filter_map(range).collect();
        self.next.extend(ranges.iter().map(|range| (range.partition.clone(), range.start)));
        let added = ranges.iter().map(|range| &range.partition);
        self.tasks.add(&self.compiled, &self.inputs, &self.placements, added)?;
        if self.topology.has_windows() && self.next.len() > 1 {
            self.tasks.lag();
        }
        let plan = ReadPlan {
            ranges,
            wanted: self.compiled.wanted().map_err(|error| TransportError::invalid(error.to_string()))?,
            isolation: self.opened.isolation,
            batch_records_max: BATCH_RECORDS_MAX,
            ids: id.map(|id| (topic.clone(), id)).into_iter().collect::<TopicIds>(),
        };
        if let Some(merge) = &mut self.merge {
            merge.add_inputs(&plan, &self.inputs, &mut self.tasks)?;
        }
        self.intakes.push(Intakes::open(&self.opened.transport, plan, None, true)?);
        Ok(())
    }

    /// Reads until no more rows are wanted.
    fn run(mut self, rows: &Show) -> DataFusionResult<()> {
        while self.left != Some(0) && !rows.is_closed() {
            self.look().map_err(external)?;
            let worked = match self.merge.is_some() {
                true => self.merged(rows)?,
                false => self.poll(rows)?,
            };
            let is_due = self.changed_at.is_some_and(|since| !worked || since.elapsed() >= SHOW_AFTER);
            if is_due {
                self.show_changes(rows)?;
            }
        }
        Ok(())
    }

    /// Processes what arrives next. Returns false if nothing did.
    fn poll(&mut self, rows: &Show) -> DataFusionResult<bool> {
        let wait = POLL / u32::try_from(self.intakes.len()).unwrap_or(u32::MAX);
        let mut worked = false;
        for at in 0..self.intakes.len() {
            let event = self.intakes[at].poll(&Default::default(), wait).map_err(external)?;
            worked |= self.handle(event, rows)?;
        }
        Ok(worked)
    }

    /// Processes what comes next by event time, or reads more. Returns false if nothing arrived.
    fn merged(&mut self, rows: &Show) -> DataFusionResult<bool> {
        let Some(merge) = &mut self.merge else { return Ok(false) };
        if let Some(event) = merge.control() {
            return self.handle(event, rows);
        }
        let admin = self.opened.transport.admin();
        let released = waiting(&self.progress, rows, || merge.released(&mut self.tasks, admin))?;
        if let Some(run) = released.flatten() {
            self.process(run.reader.0, rows)?;
            let merge = self.merge.as_mut().expect("it was there above");
            merge.done(run, &mut self.tasks).map_err(external)?;
            return Ok(true);
        }
        let (lacking, mut worked) = (merge.lacking(), false);
        let wait = POLL / u32::try_from(self.intakes.len()).unwrap_or(u32::MAX);
        for intake in &mut self.intakes {
            let event = intake.poll(&lacking, wait).map_err(external)?;
            worked |= !matches!(event, SourceEvent::Idle);
            if let SourceEvent::Batch(raw) = &event {
                self.progress.add_read(raw.len() as u64, raw.payload_bytes, 0);
            }
            merge.add(event);
        }
        Ok(worked)
    }

    /// Handles an event of a source. Returns false if it is none.
    fn handle(&mut self, event: SourceEvent, rows: &Show) -> DataFusionResult<bool> {
        match event {
            SourceEvent::Batch(raw) => self.records(&raw, rows)?,
            SourceEvent::Lost(lost) if lost.ends_range() => return Err(external(lost.into())),
            SourceEvent::Lost(lost) => {
                self.next.insert(lost.partition.clone(), lost.to);
                self.progress.add_lost(lost);
            }
            SourceEvent::Passed(partition, offset) => drop(self.next.insert(partition, offset)),
            SourceEvent::Finished(_) => {}
            SourceEvent::Idle => return Ok(false),
        }
        Ok(true)
    }

    /// Checks the topics, and reads partitions that were added from their beginning.
    fn look(&mut self) -> Result<(), TransportError> {
        let admin = self.opened.transport.admin();
        match self.inputs.look(admin, Utc::now().timestamp_millis()) {
            Some((topic, Seen::Grown)) => self.add_partitions(&topic, |marks| marks.start),
            Some((topic, Seen::Other)) => Err(recreated(&topic).into()),
            // The source reports a missing topic.
            Some((_, Seen::Same | Seen::Missing)) | None => Ok(()),
        }
    }

    fn records(&mut self, raw: &RawBatch, rows: &Show) -> DataFusionResult<()> {
        self.progress.add_read(raw.len() as u64, raw.payload_bytes, 0);
        let (id, port) = self.tasks.reader(&raw.origin).map_err(external)?;
        if waiting(&self.progress, rows, || self.tasks.teach(id, port, raw))?.is_none() {
            return Ok(());
        }
        self.tasks.get(id).map_err(external)?.handle(&Event::Records(port, raw))?;
        self.process(id, rows)?;
        if let Some(last) = raw.offsets.last() {
            self.next.insert(raw.origin.clone(), last + 1);
        }
        Ok(())
    }

    /// Has a task process all rows that it has.
    fn process(&mut self, id: TaskId, rows: &Show) -> DataFusionResult<()> {
        self.changed_at.get_or_insert_with(Instant::now);
        loop {
            self.perform(id, rows)?;
            let is_over = self.left == Some(0) || rows.is_closed();
            if is_over || !self.tasks.get(id).map_err(external)?.advance(Utc::now().timestamp_millis())? {
                return Ok(());
            }
        }
    }

    /// Performs the commands of a task.
    fn perform(&mut self, id: TaskId, rows: &Show) -> DataFusionResult<()> {
        while let Some(command) = self.tasks.poll_command(id) {
            match command {
                Command::Complain(complaint) => self.progress.add_reject(reject(complaint)),
                Command::Show(batch) => {
                    let batch = within(batch, &mut self.left);
                    // If nobody receives it, the loop in `process` ends.
                    let _ = rows.blocking_send(Ok(batch));
                }
                Command::Stop(complaint) => return Err(external(stopped_by(&complaint))),
                Command::Exchange(exchanged) => self.deliver(exchanged, rows)?,
                Command::Write(_) | Command::Log(_) | Command::Reached(_) => {}
            }
        }
        Ok(())
    }

    /// Has the tasks of the next stage process rows of an exchange.
    fn deliver(&mut self, Exchanged { topic, rows: chunks }: Exchanged, rows: &Show) -> DataFusionResult<()> {
        for (partition, chunk) in chunks {
            let id = self.tasks.receive(&topic, partition, &chunk).map_err(external)?;
            self.process(id, rows)?;
        }
        Ok(())
    }

    /// Shows the groups that have changed.
    fn show_changes(&mut self, rows: &Show) -> DataFusionResult<()> {
        self.hold_windows();
        self.epoch = Epoch(self.epoch.0 + 1);
        for id in self.tasks.ids() {
            self.tasks.get(id).map_err(external)?.handle(&Event::Barrier(self.epoch))?;
            while self.tasks.get(id).map_err(external)?.passes_barrier() {
                self.tasks.get(id).map_err(external)?.advance(Utc::now().timestamp_millis())?;
                self.perform(id, rows)?;
            }
        }
        self.tasks.committed(self.epoch).and_then(|()| self.tasks.settle()).map_err(external)?;
        self.changed_at = None;
        Ok(())
    }
}

/// Does what needs the registry or the cluster, again and again while that cannot be reached, which users are told. Returns
/// nothing if nobody wants rows any more.
fn waiting<T>(
    progress: &Progress,
    rows: &Show,
    mut act: impl FnMut() -> Result<T, TransportError>,
) -> DataFusionResult<Option<T>> {
    let mut pause = POLL;
    while !rows.is_closed() {
        match act() {
            Err(error) if error.kind == TransportErrorKind::Unreachable => {
                progress.wait_for(Some(error.to_string()));
                thread::sleep(pause);
                pause = (2 * pause).min(PAUSE_MAX);
            }
            done => {
                progress.wait_for(None);
                return done.map(Some).map_err(external);
            }
        }
    }
    Ok(None)
}

fn external(error: TransportError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// The loss that is reported when a topic was deleted and created again.
fn recreated(topic: &Arc<str>) -> Lost {
    Lost { partition: TopicPartition::new(topic.clone(), 0), cause: LossCause::Recreated, from: 0, to: 0 }
}

/// The first rows of a batch that a limit allows, and lowers the limit by their number.
fn within(batch: RecordBatch, left: &mut Option<u64>) -> RecordBatch {
    let Some(left) = left else { return batch };
    let fits = batch.num_rows().min(usize::try_from(*left).unwrap_or(usize::MAX));
    *left -= fits as u64;
    batch.slice(0, fits)
}

fn reject(complaint: Complaint) -> Reject {
    let expr = complaint.expr.as_ref().map(|expr| format!("{expr}: ")).unwrap_or_default();
    let reason = format!("{expr}{}", complaint.text());
    let side = complaint.side.unwrap_or(Side::Value);
    Reject { origin: complaint.origin, offset: complaint.offset, side, reason }
}
