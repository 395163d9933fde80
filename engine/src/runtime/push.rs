//! Push queries: rows are shown as they arrive, until the user stops the query.
//!
//! A push query commits nothing and joins no group: it reads every partition itself, by default only the records that
//! arrive after it began; a table is always read from its first record. Each row is shown as soon as it is computed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use chrono::Utc;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use headwater_connectors::table::{Progress, spawn_reader};
use headwater_connectors::transport::{
    Glance, Isolation, LossCause, Lost, ReadPlan, ReadRange, Source, SourceEvent, Transport, TransportError, Watermarks,
};
use headwater_dataflow::{Command, CompileOptions, Compiled, Complaint, Epoch, Event, Port, Task, TaskId};
use headwater_formats::record::{RawBatch, Reject, Side, TopicPartition};
use headwater_language::config::Settings;
use headwater_language::diagnostic::Diagnostic;
use headwater_planner::continuous::{self, Push, THROWS_ON_INVALID_TIME};

use super::lookout::{Lookout, Seen};
use super::{refused, stopped_by};
use crate::answer::Rows;

/// Most batches that wait to be shown.
const WAITING_MAX: usize = 2;
/// Most records to take from the source at once.
const BATCH_RECORDS_MAX: usize = 8_192;
/// How long a poll waits before the reader checks whether its rows are still wanted.
const POLL: Duration = Duration::from_millis(100);

/// Starts a push query. Blocks until its start offsets are known.
pub fn start(push: &Push, transport: &Arc<dyn Transport>, settings: &Settings) -> Result<Rows, Vec<Diagnostic>> {
    let stops_on_time = settings.get(THROWS_ON_INVALID_TIME) == "true";
    let options = CompileOptions { stops_on_time, emits_every_change: true, ..CompileOptions::default() };
    let compiled = Compiled::new(&push.topology, &continuous::state_of(&push.topology, settings)?, &options)?;
    let progress = Arc::new(Progress::default());
    let isolation = super::isolation(settings);
    let reads_table = push.topology.reads_table(&push.topology.source().topic);
    let from_earliest = reads_table || settings.get("auto.offset.reset") == "earliest";
    let schema = compiled.result_schema().clone();
    let reader = PushReader::open(push, &compiled, transport, isolation, from_earliest, &progress).map_err(refused)?;
    let mut builder = RecordBatchReceiverStreamBuilder::new(schema, WAITING_MAX);
    let rows = builder.tx();
    spawn_reader(&mut builder, move || reader.run(&rows));
    let hint = "Showing new records only. SET 'auto.offset.reset' = 'earliest'; includes existing ones.";
    let notice = (!from_earliest).then(|| hint.to_owned());
    Ok(Rows { stream: builder.build(), progress, notice })
}

type Show = tokio::sync::mpsc::Sender<DataFusionResult<RecordBatch>>;

struct PushReader {
    transport: Arc<dyn Transport>,
    compiled: Compiled,
    topic: Arc<str>,
    isolation: Isolation,
    /// One for the partitions that existed at the start, and one for each time that partitions were added.
    sources: Vec<Box<dyn Source>>,
    lookout: Lookout,
    tasks: BTreeMap<i32, Task>,
    progress: Arc<Progress>,
    left: Option<u64>,
}

impl PushReader {
    fn open(
        push: &Push,
        compiled: &Compiled,
        transport: &Arc<dyn Transport>,
        isolation: Isolation,
        from_earliest: bool,
        progress: &Arc<Progress>,
    ) -> Result<Self, TransportError> {
        let topic: Arc<str> = Arc::from(push.topology.source().topic.as_str());
        let lookout = Lookout::new(&topic);
        let mut reader = Self {
            transport: transport.clone(),
            compiled: compiled.clone(),
            topic,
            isolation,
            sources: Vec::new(),
            lookout,
            tasks: BTreeMap::new(),
            progress: progress.clone(),
            left: push.limit,
        };
        reader.add_partitions(|marks| if from_earliest { marks.start } else { marks.end })?;
        Ok(reader)
    }

    /// Starts to read the partitions that are not read yet, from the offset that `start` returns.
    fn add_partitions(&mut self, start: impl Fn(&Watermarks) -> i64) -> Result<(), TransportError> {
        let extent = self.transport.admin().extent(&self.topic, self.isolation)?;
        let partitions = i32::try_from(extent.marks.len()).unwrap_or(i32::MAX);
        self.lookout.forget_partitions();
        if self.lookout.learn(Glance { id: extent.id, partitions }) == Seen::Other {
            return Err(self.recreated().into());
        }
        let unfit = |e: headwater_formats::format::FormatError| TransportError::invalid(e.to_string());
        let mut ranges = Vec::new();
        for (partition, marks) in (0..).zip(&extent.marks) {
            if self.tasks.contains_key(&partition) {
                continue;
            }
            let origin = TopicPartition::new(self.topic.clone(), partition);
            ranges.push(ReadRange { partition: origin.clone(), start: start(marks), end: None });
            let id = TaskId { stage: 0, partition };
            self.tasks.insert(partition, self.compiled.task(id, &BTreeMap::new()).map_err(unfit)?);
        }
        let plan = ReadPlan {
            ranges,
            wanted: self.compiled.wanted().map_err(unfit)?,
            isolation: self.isolation,
            batch_records_max: BATCH_RECORDS_MAX,
            ids: extent.id.map(|id| (self.topic.clone(), id)).into_iter().collect(),
        };
        self.sources.extend(self.transport.open_sources(vec![plan])?);
        Ok(())
    }

    /// Reads until no more rows are wanted.
    fn run(mut self, rows: &Show) -> DataFusionResult<()> {
        let external = |error: TransportError| DataFusionError::External(Box::new(error));
        while self.left != Some(0) && !rows.is_closed() {
            self.look().map_err(external)?;
            for at in 0..self.sources.len() {
                let wait = POLL / u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
                match self.sources[at].poll(wait).map_err(external)? {
                    SourceEvent::Batch(raw) => self.records(&raw, rows)?,
                    SourceEvent::Lost(lost) if lost.ends_range() => return Err(external(lost.into())),
                    SourceEvent::Lost(lost) => self.progress.add_lost(lost),
                    SourceEvent::Finished(_) | SourceEvent::Passed(..) | SourceEvent::Idle => {}
                }
            }
        }
        Ok(())
    }

    /// Checks the topic, and reads partitions that were added from their beginning.
    fn look(&mut self) -> Result<(), TransportError> {
        match self.lookout.look(self.transport.admin(), Utc::now().timestamp_millis()) {
            // The source reports a missing topic.
            Seen::Same | Seen::Missing => Ok(()),
            Seen::Grown => self.add_partitions(|marks| marks.start),
            Seen::Other => Err(self.recreated().into()),
        }
    }

    fn recreated(&self) -> Lost {
        let partition = TopicPartition::new(self.topic.clone(), 0);
        Lost { partition, cause: LossCause::Recreated, from: 0, to: 0 }
    }

    fn records(&mut self, raw: &RawBatch, rows: &Show) -> DataFusionResult<()> {
        self.progress.add_read(raw.len() as u64, raw.payload_bytes, 0);
        let Some(task) = self.tasks.get_mut(&raw.origin.partition) else { return Ok(()) };
        let now_ms = Utc::now().timestamp_millis();
        task.handle(&Event::Records(Port(0), raw))?;
        loop {
            while let Some(command) = task.poll_command() {
                match command {
                    Command::Complain(complaint) => self.progress.add_reject(reject(complaint)),
                    Command::Show(batch) => {
                        let batch = within(batch, &mut self.left);
                        // If nobody receives it, the loop ends below.
                        let _ = rows.blocking_send(Ok(batch));
                    }
                    Command::Stop(complaint) => {
                        return Err(DataFusionError::External(Box::new(stopped_by(&complaint))));
                    }
                    Command::Write(_) | Command::Exchange(_) | Command::Log(_) | Command::Reached(_) => {}
                }
            }
            if self.left == Some(0) || rows.is_closed() {
                return Ok(());
            }
            if !task.advance(now_ms)? {
                return seal(task, now_ms);
            }
        }
    }
}

/// Ends an epoch of a task. Nothing is committed, but its stores no longer keep what was before the changes.
fn seal(task: &mut Task, now_ms: i64) -> DataFusionResult<()> {
    if task.has_state() {
        task.handle(&Event::Barrier(Epoch::default()))?;
        while task.passes_barrier() {
            task.advance(now_ms)?;
        }
        while task.poll_command().is_some() {}
    }
    Ok(())
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
