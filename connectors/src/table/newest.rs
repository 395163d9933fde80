//! Newest first: reading partitions backwards for `ORDER BY ROWTIME|ROWOFFSET DESC LIMIT n`.
//!
//! The sort above the scan stays, so rows may arrive in any order; what this saves is reading. The scan reads the end
//! of every partition in one round, passes it to the Top-K above, and then evaluates the dynamic predicate in which the
//! Top-K says what could still enter its heap. For ROWOFFSET this is a bound on offsets. For ROWTIME the cluster is
//! asked for the first offset whose record is at least that recent: every record before it is older, so the range can
//! start there. Rounds grow, so if a bound never comes the cost is at most slightly more than a forward scan.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{ExecutionPlan, replace_children_if_necessary};
use headwater_formats::decode::{ROWOFFSET, ROWTIME};
use headwater_formats::record::TopicPartition;

use super::ranges::{bounds, range_len};
use super::reader::{Flow, ReadMetrics, external, open, read_to_end, spawn_reader};
use super::scan::{Scan, TopicScanExec};
use crate::transport::{Isolation, LossCause, Lost, ReadRange, TransportError};

/// Minimum number of offsets of each partition in the first round.
const FIRST_ROUND_OFFSETS: i64 = 256;
/// Factor by which each round is longer than the one before.
const ROUND_GROWTH: i64 = 4;

/// The column that determines which records are newest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewestFirst {
    column: &'static str,
    rows: usize,
}

impl fmt::Display for NewestFirst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.column)
    }
}

/// Turns the scan under a Top-K by ROWTIME or ROWOFFSET DESC into one that reads the newest records first.
#[derive(Debug)]
pub struct NewestFirstRule;

impl PhysicalOptimizerRule for NewestFirstRule {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let turned = |node: Arc<dyn ExecutionPlan>| {
            let Some(sort) = node.downcast_ref::<SortExec>() else { return Ok(Transformed::no(node)) };
            match turn(sort) {
                Some(input) => Ok(Transformed::yes(replace_children_if_necessary(node.clone(), vec![input])?)),
                None => Ok(Transformed::no(node)),
            }
        };
        plan.transform_down(turned).data()
    }

    fn name(&self) -> &'static str {
        "newest_first"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn turn(sort: &SortExec) -> Option<Arc<dyn ExecutionPlan>> {
    let (rows, first) = (sort.fetch()?, sort.expr().first());
    let column = first.expr.downcast_ref::<Column>().filter(|_| first.options.descending)?;
    rebuild(sort.input(), column.index(), rows)
}

/// The same plan over a newest-first scan, if column `index` of `plan` is an address column.
fn rebuild(plan: &Arc<dyn ExecutionPlan>, index: usize, rows: usize) -> Option<Arc<dyn ExecutionPlan>> {
    if let Some(scan) = plan.downcast_ref::<TopicScanExec>() {
        let newest = newest_by(scan.scan(), index, rows)?;
        return Some(Arc::new(scan.newest_first(newest)));
    }
    let index = input_column(plan, index)?;
    let [child] = plan.children()[..] else { return None };
    replace_children_if_necessary(plan.clone(), vec![rebuild(child, index, rows)?]).ok()
}

/// The input column that becomes column `index` of `plan`, if `plan` passes each row on unchanged or drops it.
fn input_column(plan: &Arc<dyn ExecutionPlan>, index: usize) -> Option<usize> {
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        return Some(projection.expr().get(index)?.expr.downcast_ref::<Column>()?.index());
    }
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        return filter.projection().as_ref().map_or(Some(index), |columns| columns.get(index).copied());
    }
    let transparent =
        plan.is::<CooperativeExec>() || plan.is::<CoalescePartitionsExec>() || plan.is::<RepartitionExec>();
    transparent.then_some(index)
}

fn newest_by(scan: &Scan, index: usize, rows: usize) -> Option<NewestFirst> {
    let column = match scan.schema.field(index).name().as_str() {
        // The cluster finds offsets by time among committed records only.
        ROWTIME if scan.spec.event_time.is_none() && scan.context.isolation == Isolation::ReadCommitted => ROWTIME,
        ROWOFFSET => ROWOFFSET,
        _ => return None,
    };
    Some(NewestFirst { column, rows })
}

/// Starts the thread that reads backward and fills `builder`.
pub fn read_newest_first(
    scan: &Scan,
    newest: &NewestFirst,
    dynamic: &[Arc<dyn PhysicalExpr>],
    metrics: ReadMetrics,
    batch_size: usize,
    builder: &mut RecordBatchReceiverStreamBuilder,
) -> Result<()> {
    let mut decoder = scan.decoder()?;
    let wanted = decoder.wanted();
    let (scan, dynamic, tx) = (scan.clone(), dynamic.to_vec(), builder.tx());
    let mut rounds = Rounds::new(newest, &scan.frozen.ranges);
    spawn_reader(builder, move || {
        while let Some(ranges) = rounds.next(&scan, &dynamic)? {
            let mut source = open(&scan.context, scan.plan(ranges.clone(), wanted, batch_size))?;
            let mut gone = false;
            read_to_end(
                source.as_mut(),
                &ranges,
                &mut decoder,
                &scan.context,
                &metrics,
                &|| !tx.is_closed(),
                &mut |_, decoded| {
                    gone = decoded.rows.num_rows() > 0 && tx.blocking_send(Ok(decoded.rows)).is_err();
                    Ok(if gone { Flow::Stop } else { Flow::More })
                },
            )?;
            if gone || tx.is_closed() {
                break;
            }
            wait_until_taken(&tx);
        }
        Ok(())
    });
    Ok(())
}

/// Waits until the consumer has received what was sent, so that its predicate takes it into account.
fn wait_until_taken<T>(tx: &tokio::sync::mpsc::Sender<T>) {
    while tx.capacity() < tx.max_capacity() && !tx.is_closed() {
        std::thread::sleep(std::time::Duration::from_micros(200));
    }
}

/// The offsets that remain to be read, from the ends backward.
struct Rounds {
    column: &'static str,
    left: BTreeMap<TopicPartition, (i64, i64)>,
    step: i64,
    first: bool,
}

impl Rounds {
    fn new(newest: &NewestFirst, ranges: &[ReadRange]) -> Self {
        let bounds = |r: &ReadRange| (r.partition.clone(), (r.start, r.end.unwrap_or(r.start)));
        let step = i64::try_from(newest.rows).unwrap_or(i64::MAX).clamp(FIRST_ROUND_OFFSETS, i64::MAX / ROUND_GROWTH);
        Self { column: newest.column, left: ranges.iter().map(bounds).collect(), step, first: true }
    }

    /// The ranges of the next round; `None` when none of the remaining offsets can matter.
    fn next(&mut self, scan: &Scan, dynamic: &[Arc<dyn PhysicalExpr>]) -> Result<Option<Vec<ReadRange>>> {
        if !std::mem::take(&mut self.first) {
            self.narrow(scan, dynamic)?;
            self.step = self.step.saturating_mul(ROUND_GROWTH);
        }
        self.left.retain(|_, (start, end)| start < end);
        let round: Vec<ReadRange> =
            self.left.iter_mut().map(|(partition, left)| take_end(partition, left, self.step)).collect();
        Ok((!round.is_empty()).then_some(round))
    }

    /// Drops the offsets that the dynamic predicates rule out; they count as done.
    fn narrow(&mut self, scan: &Scan, dynamic: &[Arc<dyn PhysicalExpr>]) -> Result<()> {
        let starts = self.starts(scan, dynamic)?;
        for (partition, least) in starts {
            let Some((start, end)) = self.left.get_mut(&partition) else { continue };
            let given_up = least.clamp(*start, *end) - *start;
            scan.context.progress.add_read(0, 0, u64::try_from(given_up).unwrap_or(0));
            *start += given_up;
        }
        Ok(())
    }

    /// For each partition, the first offset that may still matter.
    fn starts(&mut self, scan: &Scan, dynamic: &[Arc<dyn PhysicalExpr>]) -> Result<BTreeMap<TopicPartition, i64>> {
        let least = |p: &TopicPartition| (p.clone(), bounds(dynamic, self.column, p.partition).min);
        let bounded: BTreeMap<_, _> = self.left.keys().map(least).filter(|(_, min)| *min > 0).collect();
        if self.column == ROWOFFSET || bounded.is_empty() {
            return Ok(bounded);
        }
        let admin = scan.context.transport.admin();
        let firsts = admin.offsets_for_times(&bounded).map_err(external)?;
        self.check_starts(scan).map_err(external)?;
        Ok(firsts.into_iter().map(|(partition, first)| (partition, first.unwrap_or(i64::MAX))).collect())
    }

    /// Fails if the log now starts after an offset that remains to be read. The cluster finds offsets by time among the
    /// existing records only, so whether a deleted record would have mattered is unknown.
    fn check_starts(&mut self, scan: &Scan) -> Result<(), TransportError> {
        let marks = scan.context.transport.admin().watermarks(&scan.spec.topic, scan.context.isolation)?;
        for (partition, (start, end)) in &mut self.left {
            let mark = usize::try_from(partition.partition).ok().and_then(|at| marks.get(at));
            let Some(first) = mark.map(|mark| mark.start.min(*end)).filter(|first| first > start) else { continue };
            let lost = Lost { partition: partition.clone(), cause: LossCause::Deleted, from: *start, to: first };
            *start = first;
            scan.context.progress.add_read(0, 0, lost.count());
            scan.context.lose(lost)?;
        }
        Ok(())
    }
}

/// Takes the last `step` offsets from what remains of a partition.
fn take_end(partition: &TopicPartition, left: &mut (i64, i64), step: i64) -> ReadRange {
    let (start, end) = *left;
    let cut = end.saturating_sub(step).max(start);
    *left = (start, cut);
    let range = ReadRange { partition: partition.clone(), start: cut, end: Some(end) };
    debug_assert!(range_len(&range) > 0, "a round reads something of each remaining partition");
    range
}
