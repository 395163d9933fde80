//! A topic read as a table: the latest record of each key, or no row if that record is a tombstone.
//!
//! Within a partition, the record with the highest offset wins. If a key occurs in several partitions (partitioners
//! differ between clients), the partition whose latest record has the highest timestamp wins, and the highest partition
//! if they are equal. Records without a key are not rows; a record that cannot be decoded leaves the previous row of
//! its key in place.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::interleave_record_batch;
use arrow::row::{RowConverter, SortField};
use datafusion::common::HashMap;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions, SchedulingType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use headwater_formats::decode::{ColumnOrigin, DecodedRows};
use headwater_formats::record::RawBatch;

use super::reader::{Flow, ReadMetrics, open, read_to_end, spawn_reader};
use super::scan::{Scan, write_ranges};

/// Maximum number of batches that wait for the consumer.
const BATCHES_AHEAD_MAX: usize = 2;
/// Number of stored rows below which superseded rows are not removed.
const COMPACT_ROWS_MIN: usize = 65_536;
/// Estimated size of an entry of the key map, in bytes, without the key itself.
const ENTRY_BYTES: usize = 64;

/// The physical plan node of a scan for the latest record of each key.
#[derive(Debug)]
pub struct LatestPerKeyExec {
    scan: Scan,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl LatestPerKeyExec {
    /// A scan with one output partition.
    pub fn new(scan: Scan) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(scan.schema.clone()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        let properties = Arc::new(properties.with_scheduling_type(SchedulingType::Cooperative));
        Self { scan, properties, metrics: ExecutionPlanMetricsSet::new() }
    }

    /// The scan of the topic.
    pub fn scan(&self) -> &Scan {
        &self.scan
    }

    /// The scan with the key columns added after the requested columns.
    fn with_keys(&self) -> Scan {
        let keys = self.scan.spec.all_columns().into_iter().enumerate();
        let keys = keys.filter(|(_, c)| {
            matches!(c.origin, ColumnOrigin::Key(_) | ColumnOrigin::WindowStart | ColumnOrigin::WindowEnd)
        });
        let projection = self.scan.projection.iter().copied().chain(keys.map(|(i, _)| i)).collect();
        Scan { projection, limit: None, ..self.scan.clone() }
    }
}

impl DisplayAs for LatestPerKeyExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<&str> = self.scan.schema.fields().iter().map(|c| c.name().as_str()).collect();
        write!(f, "LatestPerKeyExec: topic={}, columns=[{}], ", self.scan.spec.topic, columns.join(", "))?;
        write_ranges(f, &self.scan.frozen)?;
        self.scan.why.as_ref().map_or(Ok(()), |why| write!(f, ", because {why}"))
    }
}

impl ExecutionPlan for LatestPerKeyExec {
    fn name(&self) -> &'static str {
        "LatestPerKeyExec"
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
        let scan = self.with_keys();
        scan.context.progress.add_total(scan.frozen.offsets());
        let mut decoder = scan.decoder()?;
        let (width, batch_size) = (self.scan.projection.len(), task.session_config().batch_size());
        let plan = scan.plan(scan.frozen.ranges.clone(), decoder.wanted(), batch_size);
        let metrics = ReadMetrics::new(&self.metrics, partition);
        let reservation = MemoryConsumer::new("latest record per key").register(task.memory_pool());
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.scan.schema.clone(), BATCHES_AHEAD_MAX);
        let tx = builder.tx();
        spawn_reader(&mut builder, move || {
            let mut latest = Latest::new(
                decoder.schema().fields().iter().skip(width).map(|f| f.data_type().clone()),
                width,
                reservation,
            )?;
            if !plan.ranges.is_empty() {
                let mut source = open(&scan.context, plan.clone())?;
                read_to_end(
                    source.as_mut(),
                    &plan.ranges,
                    &mut decoder,
                    &scan.context,
                    &metrics,
                    &|| !tx.is_closed(),
                    &mut |raw, decoded| {
                        scan.context.progress.add_keyless(latest.add(raw, &decoded)?);
                        Ok(Flow::More)
                    },
                )?;
            }
            latest.emit(batch_size, &mut |rows| tx.blocking_send(Ok(rows)).is_ok())
        });
        Ok(builder.build())
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// The current rows, by partition and key.
struct Latest {
    converter: RowConverter,
    width: usize,
    partitions: BTreeMap<i32, HashMap<Box<[u8]>, Entry>>,
    batches: Vec<RecordBatch>,
    rows_stored: usize,
    reservation: MemoryReservation,
}

/// The latest record of a key in one partition.
#[derive(Clone, Copy)]
struct Entry {
    timestamp_ms: i64,
    /// The position of its row; `None` for a tombstone.
    row: Option<(usize, usize)>,
}

impl Latest {
    fn new(
        key_types: impl Iterator<Item = arrow::datatypes::DataType>,
        width: usize,
        reservation: MemoryReservation,
    ) -> Result<Self> {
        let converter = RowConverter::new(key_types.map(SortField::new).collect())?;
        Ok(Self { converter, width, partitions: BTreeMap::new(), batches: Vec::new(), rows_stored: 0, reservation })
    }

    /// Adds the records of a batch. Returns how many have no key.
    fn add(&mut self, raw: &RawBatch, decoded: &DecodedRows) -> Result<u64> {
        let rows = &decoded.rows;
        let keys: Vec<ArrayRef> = rows.columns()[self.width..].to_vec();
        let encoded = self.converter.convert_columns(&keys)?;
        let columns: Vec<usize> = (0..self.width).collect();
        let stored = rows.project(&columns)?;
        let (at, mut key_bytes, mut keyless) = (self.batches.len(), 0, 0);
        let entries = self.partitions.entry(raw.origin.partition).or_default();
        for (row, record) in record_indices(raw.len(), decoded.kept.as_ref()).enumerate() {
            if keys.iter().all(|k| k.is_null(row)) {
                keyless += 1;
                continue;
            }
            let place = (!decoded.is_tombstone(raw, record)).then_some((at, row));
            let entry = Entry { timestamp_ms: raw.timestamps_ms[record], row: place };
            let key = encoded.row(row);
            match entries.get_mut(key.data()) {
                Some(standing) => *standing = entry,
                None => {
                    key_bytes += key.data().len() + ENTRY_BYTES;
                    entries.insert(key.data().into(), entry);
                }
            }
        }
        self.reservation.try_grow(key_bytes + stored.get_array_memory_size())?;
        self.rows_stored += stored.num_rows();
        self.batches.push(stored);
        self.compact_when_stale()?;
        Ok(keyless)
    }

    fn entries(&self) -> usize {
        self.partitions.values().map(HashMap::len).sum()
    }

    /// Copies the current rows together once most of the stored rows are superseded.
    fn compact_when_stale(&mut self) -> Result<()> {
        if self.rows_stored < COMPACT_ROWS_MIN || self.rows_stored < 2 * self.entries() {
            return Ok(());
        }
        let mut standing: Vec<&mut (usize, usize)> =
            self.partitions.values_mut().flat_map(|m| m.values_mut()).filter_map(|e| e.row.as_mut()).collect();
        let places: Vec<(usize, usize)> = standing.iter().map(|place| **place).collect();
        let freed: usize = self.batches.iter().map(RecordBatch::get_array_memory_size).sum();
        // In parts, because a string array holds at most 2 GiB.
        let parts = places.chunks(COMPACT_ROWS_MIN).map(|part| interleave(&self.batches, part));
        let batches: Vec<RecordBatch> = parts.filter_map(Result::transpose).collect::<Result<_>>()?;
        standing.iter_mut().enumerate().for_each(|(n, place)| **place = (n / COMPACT_ROWS_MIN, n % COMPACT_ROWS_MIN));
        self.reservation.shrink(freed.min(self.reservation.size()));
        self.reservation.try_grow(batches.iter().map(RecordBatch::get_array_memory_size).sum())?;
        self.rows_stored = places.len();
        self.batches = batches;
        Ok(())
    }

    /// Passes the current rows on in batches, ordered by partition and position, until `sink` wants no more.
    fn emit(mut self, batch_size: usize, sink: &mut dyn FnMut(RecordBatch) -> bool) -> Result<()> {
        let mut places = self.resolve();
        places.sort_unstable();
        for part in places.chunks(batch_size.max(1)) {
            let Some(rows) = interleave(&self.batches, part)? else { continue };
            if !sink(rows) {
                break;
            }
        }
        Ok(())
    }

    /// One position for each key over all partitions.
    fn resolve(&mut self) -> Vec<(usize, usize)> {
        let mut all: HashMap<Box<[u8]>, Entry> = HashMap::default();
        for (_, entries) in std::mem::take(&mut self.partitions) {
            if all.is_empty() {
                all = entries;
                continue;
            }
            for (key, entry) in entries {
                let standing = all.entry(key).or_insert(entry);
                if standing.timestamp_ms <= entry.timestamp_ms {
                    *standing = entry;
                }
            }
        }
        all.into_values().filter_map(|entry| entry.row).collect()
    }
}

/// For each row, the index of its record in the raw batch.
fn record_indices(records: usize, kept: Option<&BooleanArray>) -> impl Iterator<Item = usize> {
    (0..records).filter(move |record| kept.is_none_or(|kept| kept.value(*record)))
}

fn interleave(batches: &[RecordBatch], places: &[(usize, usize)]) -> Result<Option<RecordBatch>> {
    let Some(first) = batches.first() else { return Ok(None) };
    if first.num_columns() == 0 {
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(places.len()));
        return Ok(Some(RecordBatch::try_new_with_options(first.schema(), Vec::new(), &options)?));
    }
    let all: Vec<&RecordBatch> = batches.iter().collect();
    interleave_record_batch(&all, places).map(Some).map_err(DataFusionError::from)
}
