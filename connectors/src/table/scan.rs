//! The forward scan: each output partition reads its share of the ranges in offset order.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Statistics, stats::Precision};
use datafusion::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions, SchedulingType};
use datafusion::physical_plan::filter_pushdown::{ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use headwater_formats::decode::{RecordDecoder, TopicSpec};
use parking_lot::Mutex;

use super::context::ScanContext;
use super::latest::LatestPerKeyExec;
use super::newest::{NewestFirst, read_newest_first};
use super::ranges::{FrozenRanges, range_len};
use super::reader::{Flow, ReadMetrics, external, open, read_to_end, spawn_reader};
use crate::transport::{ReadPlan, ReadRange, Source, TransportError};

/// Maximum number of decoded batches that wait for the consumer of one output partition.
const BATCHES_AHEAD_MAX: usize = 4;
/// Number of records in the first batches of a scan that needs only a few rows.
const FEW_RECORDS: usize = 512;

/// What a scan of a topic reads.
#[derive(Clone, Debug)]
pub struct Scan {
    /// The topic and its columns.
    pub spec: Arc<TopicSpec>,
    /// The columns returned, as indices into [`TopicSpec::all_columns`].
    pub projection: Vec<usize>,
    /// The schema of these columns.
    pub schema: SchemaRef,
    /// The context of the query.
    pub context: ScanContext,
    /// The offsets that are read.
    pub frozen: FrozenRanges,
    /// Number of rows after which each output partition may stop.
    pub limit: Option<usize>,
    /// Records are only counted: see [`RecordDecoder::counting`].
    pub counts: bool,
    /// Why the topic is read, for EXPLAIN, if there is another source of the same rows.
    pub why: Option<Arc<str>>,
}

impl Scan {
    /// A source plan over some of the ranges.
    pub fn plan(
        &self,
        ranges: Vec<ReadRange>,
        wanted: headwater_formats::record::Wanted,
        batch_size: usize,
    ) -> ReadPlan {
        let few = self.limit.is_some_and(|limit| limit <= FEW_RECORDS);
        let batch_records_max = if few { FEW_RECORDS } else { batch_size };
        let ids = self.frozen.id.map(|id| (self.spec.topic.clone(), id)).into_iter().collect();
        ReadPlan { ranges, wanted, isolation: self.context.isolation, batch_records_max, ids }
    }

    /// The decoder of this scan's columns.
    pub fn decoder(&self) -> Result<RecordDecoder> {
        if self.counts {
            return Ok(RecordDecoder::counting());
        }
        RecordDecoder::new(&self.spec, &self.projection).map_err(external)
    }
}

/// The physical plan node of a scan over all records of a topic.
#[derive(Debug)]
pub struct TopicScanExec {
    scan: Scan,
    /// The ranges of each output partition.
    splits: Vec<Vec<ReadRange>>,
    /// Set if the newest records are read first.
    newest: Option<NewestFirst>,
    /// Predicates that tighten while the query runs.
    dynamic: Vec<Arc<dyn PhysicalExpr>>,
    /// Sources that share one client, opened by the output partition that runs first.
    opened: Arc<Mutex<Option<Opened>>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

/// The sources that output partitions have not taken yet, or why they could not be opened.
type Opened = std::result::Result<Vec<Option<Box<dyn Source>>>, TransportError>;

impl fmt::Debug for dyn Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

impl TopicScanExec {
    /// A scan whose ranges are distributed over at most `partitions` output partitions.
    pub fn new(scan: Scan, partitions: usize) -> Self {
        let splits = split(&scan.frozen.ranges, partitions);
        Self::with_splits(scan, splits, None, Vec::new())
    }

    fn with_splits(
        scan: Scan,
        splits: Vec<Vec<ReadRange>>,
        newest: Option<NewestFirst>,
        dynamic: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(scan.schema.clone()),
            Partitioning::UnknownPartitioning(splits.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let properties = Arc::new(properties.with_scheduling_type(SchedulingType::Cooperative));
        Self {
            scan,
            splits,
            newest,
            dynamic,
            opened: Arc::default(),
            properties,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    /// What is read.
    pub fn scan(&self) -> &Scan {
        &self.scan
    }

    /// The same scan in one output partition that reads the newest records first.
    pub fn newest_first(&self, newest: NewestFirst) -> Self {
        Self::with_splits(self.scan.clone(), vec![self.scan.frozen.ranges.clone()], Some(newest), self.dynamic.clone())
    }

    /// Takes the source of an output partition; the first call opens all of them on one client. If the cluster does not
    /// answer, the other partitions do not ask it again.
    fn take_source(
        opened: &Mutex<Option<Opened>>,
        context: &ScanContext,
        plans: Vec<ReadPlan>,
        partition: usize,
    ) -> Result<Box<dyn Source>> {
        let mut opened = opened.lock();
        let open_all = || Ok(context.transport.open_sources(plans.clone())?.into_iter().map(Some).collect());
        match opened.get_or_insert_with(open_all) {
            Err(error) => Err(external(error.clone())),
            Ok(sources) => match sources.get_mut(partition).and_then(Option::take) {
                Some(source) => Ok(source),
                None => open(context, plans[partition].clone()),
            },
        }
    }

    fn read_forward(
        &self,
        partition: usize,
        batch_size: usize,
        builder: &mut RecordBatchReceiverStreamBuilder,
    ) -> Result<()> {
        let mut decoder = self.scan.decoder()?;
        let wanted = decoder.wanted();
        let plans: Vec<ReadPlan> = self.splits.iter().map(|r| self.scan.plan(r.clone(), wanted, batch_size)).collect();
        let (context, opened, tx) = (self.scan.context.clone(), self.opened.clone(), builder.tx());
        let metrics = ReadMetrics::new(&self.metrics, partition);
        let mut left = self.scan.limit.unwrap_or(usize::MAX);
        spawn_reader(builder, move || {
            let ranges = plans[partition].ranges.clone();
            if ranges.is_empty() {
                return Ok(());
            }
            let mut source = Self::take_source(&opened, &context, plans, partition)?;
            read_to_end(
                source.as_mut(),
                &ranges,
                &mut decoder,
                &context,
                &metrics,
                &|| !tx.is_closed(),
                &mut |_, decoded| {
                    let rows = decoded.rows.slice(0, decoded.rows.num_rows().min(left));
                    left -= rows.num_rows();
                    let gone = rows.num_rows() > 0 && tx.blocking_send(Ok(rows)).is_err();
                    Ok(if gone || left == 0 { Flow::Stop } else { Flow::More })
                },
            )
        });
        Ok(())
    }
}

impl DisplayAs for TopicScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<&str> = self.scan.schema.fields().iter().map(|c| c.name().as_str()).collect();
        write!(f, "TopicScanExec: topic={}, columns=[{}], ", self.scan.spec.topic, columns.join(", "))?;
        write_ranges(f, &self.scan.frozen)?;
        if let Some(newest) = &self.newest {
            write!(f, ", newest first by {newest}")?;
        }
        self.scan.limit.map_or(Ok(()), |limit| write!(f, ", limit={limit}"))
    }
}

/// Writes the ranges that are read and the number of skipped offsets.
pub fn write_ranges(f: &mut fmt::Formatter<'_>, frozen: &FrozenRanges) -> fmt::Result {
    let range = |r: &ReadRange| format!("{}: {}..{}", r.partition.partition, r.start, r.end.unwrap_or(i64::MAX));
    let ranges: Vec<String> = frozen.ranges.iter().map(range).collect();
    let (read, skipped) = (frozen.offsets(), frozen.skipped);
    write!(f, "partitions={}/{}, offsets=[{}], ", frozen.ranges.len(), frozen.partitions, ranges.join(", "))?;
    write!(f, "offsets_read={read}, offsets_skipped={skipped}")
}

impl ExecutionPlan for TopicScanExec {
    fn name(&self) -> &'static str {
        "TopicScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.dynamic.iter().try_fold(TreeNodeRecursion::Continue, |_, expr| f(expr))
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        leaf(self, &children)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        leaf(self, &children)
    }

    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        filters: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let found: Vec<_> = filters.parent_filters.iter().map(|f| f.filter.clone()).collect();
        let result = FilterPushdownPropagation::all_unsupported(filters);
        if phase == FilterPushdownPhase::Pre || found.is_empty() {
            return Ok(result);
        }
        let dynamic = self.dynamic.iter().cloned().chain(found).collect();
        let node = Self::with_splits(self.scan.clone(), self.splits.clone(), self.newest.clone(), dynamic);
        Ok(result.with_updated_node(Arc::new(node)))
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let offsets = self.splits[partition].iter().map(range_len).sum();
        self.scan.context.progress.add_total(offsets);
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.scan.schema.clone(), BATCHES_AHEAD_MAX);
        let batch_size = task.session_config().batch_size();
        match &self.newest {
            Some(newest) => {
                let metrics = ReadMetrics::new(&self.metrics, partition);
                read_newest_first(&self.scan, newest, &self.dynamic, metrics, batch_size, &mut builder)?;
            }
            None => self.read_forward(partition, batch_size, &mut builder)?,
        }
        Ok(builder.build())
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        let offsets: u64 = match partition {
            Some(partition) => self.splits[partition].iter().map(range_len).sum(),
            None => self.scan.frozen.offsets(),
        };
        let mut statistics = Statistics::new_unknown(&self.scan.schema);
        statistics.num_rows = Precision::Inexact(usize::try_from(offsets).unwrap_or(usize::MAX));
        Ok(Arc::new(statistics))
    }
}

fn leaf(node: Arc<TopicScanExec>, children: &[Arc<dyn ExecutionPlan>]) -> Result<Arc<dyn ExecutionPlan>> {
    if children.is_empty() { Ok(node) } else { Err(DataFusionError::Internal("a scan has no children".to_owned())) }
}

/// Distributes ranges over at most `partitions` parts of similar length.
fn split(ranges: &[ReadRange], partitions: usize) -> Vec<Vec<ReadRange>> {
    let parts = partitions.clamp(1, ranges.len().max(1));
    let mut splits: Vec<(u64, Vec<ReadRange>)> = vec![(0, Vec::new()); parts];
    let mut longest_first: Vec<&ReadRange> = ranges.iter().collect();
    longest_first.sort_by_key(|r| std::cmp::Reverse(range_len(r)));
    for range in longest_first {
        if let Some((len, part)) = splits.iter_mut().min_by_key(|(len, _)| *len) {
            *len += range_len(range);
            part.push(range.clone());
        }
    }
    splits.into_iter().map(|(_, part)| part).collect()
}

/// Number of offsets that all scans below a plan node read.
pub fn offsets_below(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    let here = match plan.downcast_ref::<TopicScanExec>() {
        Some(scan) => scan.scan.frozen.offsets(),
        None => plan.downcast_ref::<LatestPerKeyExec>().map_or(0, |latest| latest.scan().frozen.offsets()),
    };
    here + plan.children().into_iter().map(offsets_below).sum::<u64>()
}
