//! The DataFusion plan node that reads the result of a persistent query from its state.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BinaryArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::{filter, filter_record_batch, is_not_null};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use chrono::Utc;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions, SchedulingType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use headwater_connectors::table::{Progress, spawn_reader};
use headwater_dataflow::{Found, MaterializedReader};
use headwater_formats::decode::{DecodedRows, RecordDecoder, TopicSpec};
use headwater_formats::record::RawBatch;
use headwater_state::{ColdError, Scanned, Snapshot};

use super::share::fault;
use super::states::StateSnapshot;

/// Maximum number of batches that wait for the consumer of one output partition.
const BATCHES_AHEAD_MAX: usize = 2;

/// What a scan of a state reads.
#[derive(Clone, Debug)]
pub(super) struct StateScan {
    /// The state.
    pub(super) state: Arc<StateSnapshot>,
    /// The records of the table and their columns.
    pub(super) spec: Arc<TopicSpec>,
    /// The columns returned, as indices into [`TopicSpec::all_columns`].
    pub(super) projection: Vec<usize>,
    /// The schema of these columns.
    pub(super) schema: SchemaRef,
    /// The keys that are looked up; `None` for all.
    pub(super) keys: Option<BinaryArray>,
    /// The starts of the windows that are read; `None` for all.
    pub(super) windows: Option<BTreeSet<i64>>,
    /// Number of rows after which each output partition may stop.
    pub(super) limit: Option<usize>,
    /// The counters of the query.
    pub(super) progress: Arc<Progress>,
}

/// The physical plan node of a scan of a state.
#[derive(Debug)]
pub(super) struct StateScanExec {
    scan: StateScan,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl StateScan {
    /// Whether the window with this start is read.
    fn reads(&self, start: i64) -> bool {
        self.windows.as_ref().is_none_or(|windows| windows.contains(&start))
    }

    /// The number of keys of a partition's state that a scan without lookups reads.
    fn keys_in(&self, stores: &[Snapshot]) -> u64 {
        let scanned = stores[self.state.materialized.scanned()].iter().flat_map(Snapshot::windows);
        scanned.filter(|(start, _)| self.reads(*start)).map(|(_, keys)| keys as u64).sum()
    }

    /// The parts of a partition's state that are read, each with the place of its store.
    fn parts<'s>(&'s self, stores: &'s [Snapshot], rows: usize) -> impl Iterator<Item = (usize, Part)> + 's {
        let scanned = self.state.materialized.scanned();
        scanned.flat_map(move |place| self.parts_of(&stores[place], rows).map(move |part| (place, part)))
    }

    /// The parts of a store that are read.
    fn parts_of<'s>(&'s self, store: &'s Snapshot, rows: usize) -> Box<dyn Iterator<Item = Part> + 's> {
        match (&self.keys, &self.windows) {
            (Some(keys), _) => {
                let starts = store.windows().map(|(start, _)| start).filter(|start| self.reads(*start));
                Box::new(starts.map(|start| found(store, start, keys)))
            }
            (None, Some(windows)) => Box::new(windows.iter().flat_map(move |start| store.scan(start..=start, rows))),
            (None, None) => Box::new(store.scan(.., rows)),
        }
    }
}

/// Some keys of a state with their values.
type Part = std::result::Result<Scanned, ArrowError>;

/// Those of some keys that exist in a window.
fn found(store: &Snapshot, start: i64, keys: &BinaryArray) -> Part {
    let values = store.get(start, keys)?;
    if values.null_count() == values.len() {
        let none = || BinaryArray::from_vec(Vec::new());
        return Ok(Scanned { windows: Int64Array::from(Vec::<i64>::new()), keys: none(), values: none() });
    }
    let exist = is_not_null(&values)?;
    rows_of(&Scanned { windows: Int64Array::from(vec![start; values.len()]), keys: keys.clone(), values }, &exist)
}

impl StateScanExec {
    /// A scan in at most `partitions` output partitions.
    pub(super) fn new(scan: StateScan, partitions: usize) -> Self {
        let partitions = partitions.min(scan.state.partitions.len()).max(1);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(scan.schema.clone()),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let properties = Arc::new(properties.with_scheduling_type(SchedulingType::Cooperative));
        Self { scan, properties, metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for StateScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StateScan { state, schema, keys, windows, .. } = &self.scan;
        let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let id = &state.query.id;
        write!(f, "StateScanExec: state of query {id} in this process, columns=[{}]", columns.join(", "))?;
        if let Some(keys) = keys {
            write!(f, ", keys={}", keys.len())?;
        }
        windows.as_ref().map_or(Ok(()), |windows| write!(f, ", windows={}", windows.len()))
    }
}

impl ExecutionPlan for StateScanExec {
    fn name(&self) -> &'static str {
        "StateScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (scan, rows) = (self.scan.clone(), task.session_config().batch_size());
        let outputs = self.properties.output_partitioning().partition_count();
        let keys_read = MetricBuilder::new(&self.metrics).counter("keys_read", partition);
        let own = (partition..scan.state.partitions.len()).step_by(outputs);
        if scan.keys.is_none() {
            scan.progress.add_total(own.clone().map(|own| scan.keys_in(&scan.state.partitions[own])).sum());
        }
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.scan.schema.clone(), BATCHES_AHEAD_MAX);
        let tx = builder.tx();
        spawn_reader(&mut builder, move || {
            let keys = read(&scan, own, rows, &mut |batch| {
                // Nobody receives after the query was cancelled.
                (batch.num_rows() == 0 || tx.blocking_send(Ok(batch)).is_ok()) && !tx.is_closed()
            })?;
            keys_read.add(keys);
            Ok(())
        });
        Ok(builder.build())
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// Reads the state of some partitions, and gives its rows to `show` in batches of at most `rows` keys until that returns false.
/// Returns the number of keys that were read.
pub(super) fn read(
    scan: &StateScan,
    partitions: impl Iterator<Item = usize>,
    rows: usize,
    show: &mut dyn FnMut(RecordBatch) -> bool,
) -> Result<usize> {
    let external = |error| DataFusionError::External(Box::new(error));
    let spec = scan.state.materialized.spec().unwrap_or(&scan.spec);
    let decoder = RecordDecoder::new(spec, &scan.projection).map_err(external)?;
    let reader = scan.state.materialized.reader().map_err(external)?;
    let (left, is_lookup) = (scan.limit.unwrap_or(usize::MAX), scan.keys.is_some());
    let mut reading = Reading { state: &scan.state, reader, decoder, left, progress: &scan.progress, is_lookup };
    let parts = |own: usize| scan.parts(&scan.state.partitions[own], rows).map(move |part| (own, part));
    let mut keys = 0;
    for (own, (place, part)) in partitions.flat_map(parts) {
        let part = part.map_err(failed)?;
        if part.keys.is_empty() {
            continue;
        }
        keys += part.keys.len();
        if !show(reading.rows(own, place, &part)?) || reading.left == 0 {
            break;
        }
    }
    Ok(keys)
}

/// An error while a state is read: that of a disk with its code, or an internal one.
fn failed(error: ArrowError) -> DataFusionError {
    match ColdError::behind(&error) {
        Some(_) => DataFusionError::External(Box::new(fault(error))),
        None => error.into(),
    }
}

/// Turns parts of a state into rows of the table.
struct Reading<'s> {
    state: &'s StateSnapshot,
    reader: MaterializedReader,
    decoder: RecordDecoder,
    /// The number of rows that are still wanted.
    left: usize,
    progress: &'s Progress,
    /// Only keys that exist are counted.
    is_lookup: bool,
}

impl Reading<'_> {
    /// The rows of the table for a part of its state: a store at its place in a partition.
    fn rows(&mut self, partition: usize, place: usize, part: &Scanned) -> Result<RecordBatch> {
        let latest = self.latest(partition, place, part)?;
        let found = Found { stores: &self.state.partitions[partition], place, keys: latest.as_ref().unwrap_or(part) };
        let raw = self.reader.records(found, Utc::now().timestamp_millis())?;
        let keys = part.keys.len() as u64;
        if self.is_lookup {
            self.progress.add_total(keys);
        }
        self.progress.add_read(keys, raw.payload_bytes, keys);
        let mut decoded = self.decoder.decode(&raw)?;
        decoded.rejects.drain(..).for_each(|reject| self.progress.add_reject(reject));
        let rows = without_tombstones(&raw, decoded)?;
        let rows = rows.slice(0, rows.num_rows().min(self.left));
        self.left -= rows.num_rows();
        Ok(rows)
    }

    /// The rows of a part without those of which another partition has a later row: a source whose records were not placed by
    /// their keys can have several. `None` if that is all of them. The later one is that of the later event time or, if they are
    /// equal, of the higher partition, as in a table that is read from its topic.
    fn latest(&self, partition: usize, place: usize, part: &Scanned) -> Result<Option<Scanned>> {
        if !self.state.materialized.may_repeat_keys() || part.keys.is_empty() {
            return Ok(None);
        }
        let mut is_latest = vec![true; part.keys.len()];
        for (number, stores) in self.state.partitions.iter().enumerate().filter(|(number, _)| *number != partition) {
            let values = stores[place].get(part.windows.value(0), &part.keys)?;
            let has_other = is_not_null(&values)?;
            if has_other.true_count() == 0 {
                continue;
            }
            let others = rows_of(&Scanned { values, ..part.clone() }, &has_other)?;
            let times = self.reader.times_ms(Found { stores, place, keys: &others })?;
            let ours = Found { stores: &self.state.partitions[partition], place, keys: &rows_of(part, &has_other)? };
            let ours = self.reader.times_ms(ours)?;
            let rows = (0..has_other.len()).filter(|row| has_other.value(*row));
            for (row, (other, our)) in rows.zip(times.values().iter().zip(ours.values())) {
                is_latest[row] &= (*other, number) < (*our, partition);
            }
        }
        let is_latest = BooleanArray::from(is_latest);
        Ok((is_latest.true_count() < is_latest.len()).then(|| rows_of(part, &is_latest)).transpose()?)
    }
}

/// Some rows of a part.
fn rows_of(part: &Scanned, rows: &BooleanArray) -> Part {
    let bytes = |column: &BinaryArray| filter(column, rows).map(|column| column.as_binary().clone());
    let windows = filter(&part.windows, rows)?.as_primitive().clone();
    Ok(Scanned { windows, keys: bytes(&part.keys)?, values: bytes(&part.values)? })
}

/// The rows of records that have a value.
fn without_tombstones(raw: &RawBatch, decoded: DecodedRows) -> Result<RecordBatch> {
    let records = (0..raw.len()).filter(|record| decoded.kept.as_ref().is_none_or(|kept| kept.value(*record)));
    let has_value: BooleanArray = records.map(|record| Some(!decoded.is_tombstone(raw, record))).collect();
    match has_value.true_count() == has_value.len() {
        true => Ok(decoded.rows),
        false => Ok(filter_record_batch(&decoded.rows, &has_value)?),
    }
}
