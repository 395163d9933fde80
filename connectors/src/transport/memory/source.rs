//! Reading from a simulated cluster.

use std::collections::VecDeque;
use std::time::Duration;

use super::log::{Record, Seen};
use super::{Shared, cluster::Cluster};
use crate::record::{RawBatch, TopicPartition, Wanted};
use crate::transport::columns::{Columns, Sizes};
use crate::transport::{Isolation, ReadPlan, ReadRange, Source, SourceEvent, TransportError};

/// A reader of the ranges of one plan, which takes its partitions in turn.
pub(super) struct MemorySource {
    cluster: Shared,
    reading: VecDeque<Position>,
    wanted: Wanted,
    isolation: Isolation,
    batch_records_max: usize,
}

/// How far a range is read.
struct Position {
    partition: TopicPartition,
    next: i64,
    end: Option<i64>,
}

impl MemorySource {
    pub(super) fn open(cluster: Shared, plan: ReadPlan) -> Self {
        let position = |range: ReadRange| Position { partition: range.partition, next: range.start, end: range.end };
        Self {
            cluster,
            reading: plan.ranges.into_iter().map(position).collect(),
            wanted: plan.wanted,
            isolation: plan.isolation,
            batch_records_max: plan.batch_records_max.max(1),
        }
    }
}

impl Source for MemorySource {
    /// Never waits: no time passes in a simulated cluster while nobody calls it.
    fn poll(&mut self, _: Duration) -> Result<SourceEvent, TransportError> {
        let cluster = self.cluster.lock();
        for _ in 0..self.reading.len() {
            let Some(mut position) = self.reading.pop_front() else { break };
            let batch = match position.is_at_end() {
                true => return Ok(SourceEvent::Finished(position.partition)),
                false => position.read(&cluster, self.wanted, self.isolation, self.batch_records_max)?,
            };
            if batch.is_none() && position.is_at_end() {
                return Ok(SourceEvent::Finished(position.partition));
            }
            self.reading.push_back(position);
            if let Some(batch) = batch {
                return Ok(SourceEvent::Batch(batch));
            }
        }
        Ok(SourceEvent::Idle)
    }
}

impl Position {
    fn is_at_end(&self) -> bool {
        self.end.is_some_and(|end| self.next >= end)
    }

    /// The next records of the range, or `None` when there is none yet.
    fn read(
        &mut self,
        cluster: &Cluster,
        wanted: Wanted,
        isolation: Isolation,
        records_max: usize,
    ) -> Result<Option<RawBatch>, TransportError> {
        let log = cluster.log(&self.partition)?;
        let mut columns = Columns::new(wanted, Sizes::default());
        while columns.len() < records_max && !columns.is_full() && !self.is_at_end() {
            match log.next(self.next, isolation) {
                Seen::Record(offset, record) => {
                    self.next = offset;
                    if !self.is_at_end() {
                        push(&mut columns, offset, record);
                        self.next = offset + 1;
                    }
                }
                Seen::End(offset) => {
                    self.next = offset;
                    break;
                }
            }
        }
        Ok((columns.len() > 0).then(|| columns.finish(self.partition.clone())))
    }
}

fn push(columns: &mut Columns, offset: i64, record: &Record) {
    columns.push(offset, record.timestamp_ms, record.key.as_deref(), record.value.as_deref());
    if let Some(headers) = columns.headers() {
        for (name, value) in &record.headers {
            headers.push(name.as_bytes(), value.as_deref());
        }
        headers.end_record();
    }
}
