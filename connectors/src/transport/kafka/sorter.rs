//! Messages in the order they arrive become events: batches of one partition each, cut by size,
//! and the end of each bounded range. Knows offsets, but neither queues nor clients.

use std::collections::VecDeque;

use rdkafka::types::RDKafkaErrorCode as Code;

use super::errors;
use super::native::Message;
use crate::record::{TopicPartition, Wanted};
use crate::transport::columns::{Columns, Sizes};
use crate::transport::{ReadPlan, ReadRange, SourceEvent, TransportError};

/// Makes events of the messages of one plan.
pub(super) struct Sorter {
    ranges: Vec<Range>,
    wanted: Wanted,
    batch_records_max: usize,
    events: VecDeque<Result<SourceEvent, TransportError>>,
    /// The batch that grows, and the place of its range.
    growing: Option<(usize, Columns)>,
    /// Of the latest batch: the next one is expected to be as large.
    sizes: Sizes,
    /// Places of ranges that ended since someone asked.
    ended: Vec<usize>,
}

/// A range and whether its end was reached.
struct Range {
    partition: TopicPartition,
    end: Option<i64>,
    /// The offset that is expected next.
    next: i64,
    finished: bool,
}

/// True when there is nothing in the range, whatever the partition holds.
pub(super) fn is_empty(range: &ReadRange) -> bool {
    range.end.is_some_and(|end| range.start >= end)
}

impl Sorter {
    /// For the ranges of a plan; empty ones are finished at once.
    pub(super) fn new(plan: &ReadPlan) -> Self {
        let mut sorter = Self {
            ranges: Vec::with_capacity(plan.ranges.len()),
            wanted: plan.wanted,
            batch_records_max: plan.batch_records_max.max(1),
            events: VecDeque::new(),
            growing: None,
            sizes: Sizes::default(),
            ended: Vec::new(),
        };
        for (place, range) in plan.ranges.iter().enumerate() {
            sorter.ranges.push(Range {
                partition: range.partition.clone(),
                end: range.end,
                next: range.start,
                finished: false,
            });
            if is_empty(range) {
                sorter.finish(place);
            }
        }
        sorter
    }

    /// Takes a message of the range at `place`. What lies outside the range is dropped.
    pub(super) fn sort(&mut self, place: usize, message: &Message<'_>) {
        let range = &self.ranges[place];
        if range.finished {
            return;
        }
        let reached = |next: i64| range.end.is_some_and(|end| next >= end);
        match message.error() {
            None if reached(message.offset()) => self.finish(place),
            None => {
                let last = reached(message.offset() + 1);
                self.push(place, message);
                if last {
                    self.finish(place);
                }
            }
            Some(Code::PartitionEOF) if reached(message.offset()) => self.finish(place),
            Some(Code::PartitionEOF) => {}
            Some(code) => {
                let offset = if message.offset() >= 0 { message.offset() } else { range.next };
                self.fail(place, offset, code, &message.reason());
            }
        }
    }

    /// Ends the batch that grows: nothing more has arrived.
    pub(super) fn cut(&mut self) {
        if let Some((place, columns)) = self.growing.take() {
            self.sizes = columns.sizes();
            let batch = columns.finish(self.ranges[place].partition.clone());
            self.events.push_back(Ok(SourceEvent::Batch(batch)));
        }
    }

    /// The next event.
    pub(super) fn next_event(&mut self) -> Option<Result<SourceEvent, TransportError>> {
        self.events.pop_front()
    }

    /// The places of ranges that ended since the last call.
    pub(super) fn take_ended(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.ended)
    }

    /// True when every range was read to its end.
    pub(super) fn is_finished(&self) -> bool {
        self.ranges.iter().all(|range| range.finished)
    }

    /// True when some range has an end that is not reached yet.
    pub(super) fn awaits_end(&self) -> bool {
        self.ranges.iter().any(|range| range.end.is_some() && !range.finished)
    }

    fn push(&mut self, place: usize, message: &Message<'_>) {
        let fits = |(at, columns): &(usize, Columns)| {
            *at == place && columns.len() < self.batch_records_max && !columns.is_full()
        };
        if !self.growing.as_ref().is_some_and(fits) {
            self.cut();
        }
        let (wanted, sizes) = (self.wanted, self.sizes);
        let (_, columns) = self.growing.get_or_insert_with(|| (place, Columns::new(wanted, sizes)));
        self.ranges[place].next = message.offset() + 1;
        columns.push(message.offset(), message.timestamp_ms(), message.key(), message.value());
        if let Some(headers) = columns.headers() {
            message.for_each_header(|name, value| headers.push(name, value));
            headers.end_record();
        }
    }

    fn finish(&mut self, place: usize) {
        self.cut();
        let range = &mut self.ranges[place];
        range.finished = true;
        self.ended.push(place);
        self.events.push_back(Ok(SourceEvent::Finished(range.partition.clone())));
    }

    fn fail(&mut self, place: usize, offset: i64, code: Code, reason: &str) {
        self.cut();
        let partition = &self.ranges[place].partition;
        let doing = match errors::is_damage(code) {
            true => format!("{partition} is damaged at offset {offset}"),
            false => format!("{partition} could not be read from offset {offset} on"),
        };
        let mut error = errors::failed(&doing, code);
        if !reason.is_empty() {
            error.message = format!("{} ({reason})", error.message);
        }
        self.events.push_back(Err(error));
    }
}
