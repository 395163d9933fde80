//! What a share reads, and in which order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headwater_connectors::transport::{Admin, Isolation, ReadPlan, ReadRange, TransportError};
use headwater_formats::record::TopicPartition;

use super::super::inputs::Inputs;
use super::super::intake::BATCH_RECORDS_MAX;
use super::super::job::Job;
use super::super::opening::Opening;
use super::super::start::{Start, mark};
use super::super::tasks::Tasks;
use super::merge::Merge;

/// How the input is read from where the query continues.
fn plan(job: &Job, start: &Start) -> Result<ReadPlan, TransportError> {
    Ok(ReadPlan {
        ranges: start.ranges.clone(),
        wanted: job.wanted()?,
        isolation: Isolation::ReadCommitted,
        batch_records_max: BATCH_RECORDS_MAX,
        ids: start.ids.clone(),
    })
}

/// The merge of the inputs of a plan; `None` if the query does not merge them.
pub(super) fn merge(
    job: &Job,
    plan: &ReadPlan,
    inputs: &Inputs,
    tasks: &mut Tasks,
) -> Result<Option<Merge>, TransportError> {
    job.compiled.merges().then(|| Merge::of(plan, inputs, tasks, &job.compiled)).transpose()
}

/// Whether a share has all partitions of all inputs, so that rows can pass exchanges in memory.
fn is_whole(inputs: &Inputs, partitions: &[TopicPartition], start: &Start) -> bool {
    let has_all = |topic: &Arc<str>| {
        let owned = partitions.iter().filter(|partition| partition.topic == *topic).count();
        start.partitions.get(topic).is_some_and(|all| usize::try_from(*all).is_ok_and(|all| all == owned))
    };
    inputs.topics().iter().all(has_all)
}

/// What a share reads whose rows pass exchanges in memory, the first plan last: the records that are left in the exchanges, those
/// of later stages first, and then the sources. If tables are read ahead, what is left of streams is read with the sources: it waits
/// for the tables.
fn phases(admin: &dyn Admin, job: &Job, inputs: &Inputs, whole: ReadPlan) -> Result<Vec<ReadPlan>, TransportError> {
    let (left, sources): (Vec<_>, Vec<_>) =
        whole.ranges.iter().cloned().partition(|range| inputs.is_exchange(&range.partition.topic));
    let (mut phases, mut of_streams) = (Vec::new(), Vec::new());
    let is_ahead = job.compiled.reads_tables_ahead();
    for stage in 0..job.compiled.stages() {
        let mut ranges = Vec::new();
        for exchange in job.compiled.inputs().into_iter().filter(|input| input.is_exchange && input.stage == stage) {
            let marks = admin.watermarks(exchange.topic, Isolation::ReadUncommitted)?;
            let ranges = if is_ahead && !exchange.is_table { &mut of_streams } else { &mut ranges };
            for range in left.iter().filter(|range| range.partition.topic == *exchange.topic) {
                let end = mark(&marks, &range.partition)?.end;
                ranges.extend((range.start < end).then(|| ReadRange { end: Some(end), ..range.clone() }));
            }
        }
        if !ranges.is_empty() {
            phases.push(ReadPlan { ranges, ..whole.clone() });
        }
    }
    let ranges = of_streams.into_iter().chain(sources).collect();
    phases.insert(0, ReadPlan { ranges, ..whole });
    Ok(phases)
}

/// What a share reads first, and what it reads after that, the next one last. Has its tasks exchange rows in memory if it has all
/// partitions.
pub(super) fn plans(
    opening: &Opening<'_>,
    partitions: &[TopicPartition],
    start: &Start,
    tasks: &mut Tasks,
) -> Result<(ReadPlan, Vec<ReadPlan>), TransportError> {
    let Opening { transport, job, inputs, .. } = *opening;
    let whole = plan(job, start)?;
    if !is_whole(inputs, partitions, start) {
        return Ok((whole, Vec::new()));
    }
    tasks.exchange_in_memory(inputs.exchanges());
    let mut later = phases(transport.admin(), job, inputs, whole)?;
    let first = later.pop().ok_or_else(|| TransportError::internal("a share reads nothing"))?;
    Ok((first, later))
}

/// Where the partitions end that have an end.
pub(super) fn ends<'p>(plans: impl Iterator<Item = &'p ReadPlan>) -> BTreeMap<TopicPartition, i64> {
    let end = |range: &ReadRange| range.end.map(|end| (range.partition.clone(), end));
    plans.flat_map(|plan| &plan.ranges).filter_map(end).collect()
}

/// The partitions of a plan.
pub(super) fn partitions_of(plan: &ReadPlan) -> BTreeSet<TopicPartition> {
    plan.ranges.iter().map(|range| range.partition.clone()).collect()
}
