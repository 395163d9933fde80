//! The DataFusion plan node that reads the result of a persistent query from its state.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, BinaryArray, BooleanArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{filter_record_batch, take};
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
use headwater_dataflow::MaterializedReader;
use headwater_formats::decode::{DecodedRows, RecordDecoder, TopicSpec};
use headwater_formats::record::RawBatch;
use headwater_state::{Scanned, Snapshot};

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
    /// The number of keys of a partition's state that a scan without lookups reads.
    fn keys_in(&self, snapshot: &Snapshot) -> u64 {
        let is_read = |start: &i64| self.windows.as_ref().is_none_or(|windows| windows.contains(start));
        snapshot.windows().filter(|(start, _)| is_read(start)).map(|(_, keys)| keys as u64).sum()
    }

    /// The parts of a partition's state that are read.
    fn parts<'s>(&'s self, snapshot: &'s Snapshot, rows: usize) -> Box<dyn Iterator<Item = Part> + 's> {
        match (&self.keys, &self.windows) {
            (Some(keys), windows) => {
                let is_read = move |start: &i64| windows.as_ref().is_none_or(|windows| windows.contains(start));
                let starts = snapshot.windows().map(|(start, _)| start).filter(is_read);
                Box::new(starts.map(|start| found(snapshot, start, keys)))
            }
            (None, Some(windows)) => Box::new(windows.iter().flat_map(move |start| snapshot.scan(start..=start, rows))),
            (None, None) => Box::new(snapshot.scan(.., rows)),
        }
    }
}

/// Some keys of a state with their values.
type Part = std::result::Result<Scanned, ArrowError>;

/// Those of some keys that exist in a window.
fn found(snapshot: &Snapshot, start: i64, keys: &BinaryArray) -> Part {
    let values = snapshot.get(start, keys)?;
    let found: UInt32Array =
        (0..).zip(values.iter()).filter_map(|(row, value)| value.map(|_| row)).collect::<Vec<_>>().into();
    let taken = |column: &BinaryArray| take(column, &found, None).map(|column| BinaryArray::from(column.to_data()));
    Ok(Scanned { windows: Int64Array::from(vec![start; found.len()]), keys: taken(keys)?, values: taken(&values)? })
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
        let external = |error| DataFusionError::External(Box::new(error));
        let decoder = RecordDecoder::new(&scan.spec, &scan.projection).map_err(external)?;
        let reader = scan.state.materialized.reader().map_err(external)?;
        let outputs = self.properties.output_partitioning().partition_count();
        let read = MetricBuilder::new(&self.metrics).counter("keys_read", partition);
        let snapshots: Vec<_> = scan.state.partitions.iter().skip(partition).step_by(outputs).cloned().collect();
        if scan.keys.is_none() {
            scan.progress.add_total(snapshots.iter().map(|snapshot| scan.keys_in(snapshot)).sum());
        }
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.scan.schema.clone(), BATCHES_AHEAD_MAX);
        let tx = builder.tx();
        spawn_reader(&mut builder, move || {
            let (left, is_lookup) = (scan.limit.unwrap_or(usize::MAX), scan.keys.is_some());
            let mut reading = Reading { reader, decoder, left, progress: &scan.progress, is_lookup };
            for part in snapshots.iter().flat_map(|snapshot| scan.parts(snapshot, rows)) {
                let part = part?;
                read.add(part.keys.len());
                let batch = reading.rows(&part)?;
                let is_sent = batch.num_rows() == 0 || tx.blocking_send(Ok(batch)).is_ok();
                // Nobody receives after the query was cancelled.
                if !is_sent || tx.is_closed() || reading.left == 0 {
                    break;
                }
            }
            Ok(())
        });
        Ok(builder.build())
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// Turns parts of a state into rows of the table.
struct Reading<'s> {
    reader: MaterializedReader,
    decoder: RecordDecoder,
    /// The number of rows that are still wanted.
    left: usize,
    progress: &'s Progress,
    /// Only keys that exist are counted.
    is_lookup: bool,
}

impl Reading<'_> {
    /// The rows of the table for a part of its state.
    fn rows(&mut self, part: &Scanned) -> Result<RecordBatch> {
        let raw = self.reader.records(part, Utc::now().timestamp_millis())?;
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
