//! Reading from a simulated cluster.

use std::collections::VecDeque;
use std::time::Duration;

use headwater_formats::record::{RawBatch, TopicPartition, Wanted};

use super::log::{Log, Record, Seen};
use super::{Shared, cluster::Cluster};
use crate::transport::columns::{Columns, Sizes};
use crate::transport::{
    Isolation, LossCause, Lost, ReadPlan, ReadRange, Source, SourceEvent, TopicId, TransportError, Watermarks,
};

/// A reader of the ranges of one plan, which reads its partitions in turn.
pub(super) struct MemorySource {
    cluster: Shared,
    reading: VecDeque<Position>,
    wanted: Wanted,
    isolation: Isolation,
    batch_records_max: usize,
}

/// How far a range has been read.
struct Position {
    partition: TopicPartition,
    /// The id of the topic to read.
    id: Option<TopicId>,
    next: i64,
    end: Option<i64>,
}

impl MemorySource {
    pub(super) fn open(cluster: Shared, plan: ReadPlan) -> Self {
        let ids = plan.ids;
        let position = |range: ReadRange| {
            let topic = &range.partition.topic;
            let id = ids.get(topic).copied().or_else(|| cluster.lock().topic_id(topic).ok());
            Position { partition: range.partition, id, next: range.start, end: range.end }
        };
        let reading = plan.ranges.into_iter().map(position).collect();
        Self {
            cluster,
            reading,
            wanted: plan.wanted,
            isolation: plan.isolation,
            batch_records_max: plan.batch_records_max.max(1),
        }
    }
}

impl Source for MemorySource {
    /// Never blocks: in a simulated cluster no time passes during a call.
    fn poll(&mut self, _: Duration) -> Result<SourceEvent, TransportError> {
        let cluster = self.cluster.lock();
        for _ in 0..self.reading.len() {
            let Some(mut position) = self.reading.pop_front() else { break };
            let event = match position.is_at_end() {
                true => None,
                false => position.next_event(&cluster, self.wanted, self.isolation, self.batch_records_max)?,
            };
            if event.is_none() && position.is_at_end() {
                return Ok(SourceEvent::Finished(position.partition));
            }
            if !matches!(&event, Some(SourceEvent::Lost(lost)) if lost.ends_range()) {
                self.reading.push_back(position);
            }
            if let Some(event) = event {
                return Ok(event);
            }
        }
        Ok(SourceEvent::Idle)
    }
}

impl Position {
    fn is_at_end(&self) -> bool {
        self.end.is_some_and(|end| self.next >= end)
    }

    /// The lost offsets or the next records of the range; `None` if there are none yet.
    fn next_event(
        &mut self,
        cluster: &Cluster,
        wanted: Wanted,
        isolation: Isolation,
        records_max: usize,
    ) -> Result<Option<SourceEvent>, TransportError> {
        let log = cluster.log(&self.partition)?;
        let Watermarks { start, end } = log.watermarks(Isolation::ReadUncommitted);
        if self.id.is_some_and(|id| cluster.topic_id(&self.partition.topic) != Ok(id)) {
            return Ok(Some(self.lost(LossCause::Recreated, self.next, self.end.unwrap_or(self.next))));
        }
        if self.next < start {
            let from = std::mem::replace(&mut self.next, self.end.unwrap_or(start).min(start));
            return Ok(Some(self.lost(LossCause::Deleted, from, self.next)));
        }
        let before = self.next;
        if let Some(batch) = self.read(log, wanted, isolation, records_max) {
            return Ok(Some(SourceEvent::Batch(batch)));
        }
        let must_reach = self.end.unwrap_or(self.next);
        if end < must_reach {
            return Ok(Some(self.lost(LossCause::Truncated, end, must_reach)));
        }
        let passed = self.end.is_none() && self.next > before;
        Ok(passed.then(|| SourceEvent::Passed(self.partition.clone(), self.next)))
    }

    fn lost(&self, cause: LossCause, from: i64, to: i64) -> SourceEvent {
        SourceEvent::Lost(Lost { partition: self.partition.clone(), cause, from, to })
    }

    /// The next records of the range; `None` if there are none yet.
    fn read(&mut self, log: &Log, wanted: Wanted, isolation: Isolation, records_max: usize) -> Option<RawBatch> {
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
                // If the log was truncated, its end may be before the position.
                Seen::End(offset) if offset <= self.next => break,
                Seen::End(_) if columns.len() > 0 => break,
                Seen::End(offset) => {
                    self.next = offset;
                    break;
                }
            }
        }
        (columns.len() > 0).then(|| columns.finish(self.partition.clone()))
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
