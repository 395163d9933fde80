//! Turns messages, in order of arrival, into events: batches of one partition each, limited in size, and the end of
//! each bounded range. Knows offsets, but neither queues nor clients.

use std::collections::VecDeque;

use headwater_formats::record::{TopicPartition, Wanted};
use rdkafka::types::RDKafkaErrorCode as Code;

use super::errors;
use super::inquiry::{Halt, Halted};
use super::native::Message;
use crate::transport::columns::{Columns, Sizes};
use crate::transport::{Lost, ReadPlan, ReadRange, SourceEvent, TopicId, TransportError};

/// Turns the messages of one plan into events.
pub(super) struct Sorter {
    ranges: Vec<Range>,
    wanted: Wanted,
    batch_records_max: usize,
    events: VecDeque<Result<SourceEvent, TransportError>>,
    /// The growing batch, and the index of its range.
    growing: Option<(usize, Columns)>,
    /// The size of the latest batch; the next one is expected to be as large.
    sizes: Sizes,
    /// Indices of ranges that ended since [`Self::take_ended`] was last called.
    ended: Vec<usize>,
    /// Indices of ranges that cannot continue by themselves, and why, since [`Self::take_halted`] was last called.
    halted: Vec<(usize, Halt)>,
}

/// A range and whether its end was reached.
struct Range {
    partition: TopicPartition,
    /// The id of the topic to read, if it is known.
    id: Option<TopicId>,
    end: Option<i64>,
    /// The next expected offset.
    next: i64,
    finished: bool,
}

/// librdkafka's text for a log whose records differ from those that were read, by the epochs of its leaders.
const DIVERGED: &str = "log truncation detected";

impl Range {
    /// Whether a read that continues at this offset is complete.
    fn reached(&self, next: i64) -> bool {
        self.end.is_some_and(|end| next >= end)
    }
}

/// Whether the range is empty, whatever the partition contains.
pub(super) fn is_empty(range: &ReadRange) -> bool {
    range.end.is_some_and(|end| range.start >= end)
}

impl Sorter {
    /// A sorter for the ranges of a plan; empty ones are finished at once.
    pub(super) fn new(plan: &ReadPlan) -> Self {
        let mut sorter = Self {
            ranges: Vec::with_capacity(plan.ranges.len()),
            wanted: plan.wanted,
            batch_records_max: plan.batch_records_max.max(1),
            events: VecDeque::new(),
            growing: None,
            sizes: Sizes::default(),
            ended: Vec::new(),
            halted: Vec::new(),
        };
        for (index, range) in plan.ranges.iter().enumerate() {
            sorter.ranges.push(Range {
                partition: range.partition.clone(),
                id: plan.ids.get(&range.partition.topic).copied(),
                end: range.end,
                next: range.start,
                finished: false,
            });
            if is_empty(range) {
                sorter.finish(index);
            }
        }
        sorter
    }

    /// Handles a message of the range at `index`. Messages outside the range or already read are dropped.
    pub(super) fn sort(&mut self, index: usize, message: &Message<'_>) {
        let range = &self.ranges[index];
        if range.finished {
            return;
        }
        match message.error() {
            None if message.offset() < range.next => {}
            None if range.reached(message.offset()) => self.finish(index),
            None => {
                let last = range.reached(message.offset() + 1);
                self.push(index, message);
                if last {
                    self.finish(index);
                }
            }
            Some(Code::PartitionEOF) => self.end_of_log(index, message.offset()),
            Some(Code::AutoOffsetReset) => self.halt(index, message),
            Some(code) => {
                let offset = if message.offset() >= 0 { message.offset() } else { range.next };
                self.fail(index, offset, code, &message.reason());
            }
        }
    }

    /// The log currently ends here. If a bounded range ends later, the caller must find out why.
    fn end_of_log(&mut self, index: usize, offset: i64) {
        let range = &mut self.ranges[index];
        if range.reached(offset) {
            self.finish(index);
        } else if range.end.is_some() {
            range.next = range.next.max(offset);
            self.halted.push((index, Halt::Short));
        } else if offset > range.next {
            range.next = offset;
            let passed = SourceEvent::Passed(range.partition.clone(), offset);
            self.cut();
            self.events.push_back(Ok(passed));
        }
    }

    /// librdkafka stops reading this range because it does not know where to continue.
    fn halt(&mut self, index: usize, message: &Message<'_>) {
        let range = &mut self.ranges[index];
        range.next = range.next.max(message.offset());
        let diverged = message.reason().contains(DIVERGED);
        self.halted.push((index, if diverged { Halt::Diverged } else { Halt::OutOfRange }));
    }

    /// The ranges that stopped since the last call.
    pub(super) fn take_halted(&mut self) -> Vec<(usize, Halted)> {
        let halted = std::mem::take(&mut self.halted).into_iter().filter(|(index, _)| !self.ranges[*index].finished);
        let described = |(index, halt): (usize, Halt)| {
            let Range { partition, id, end, next, .. } = &self.ranges[index];
            (index, Halted { partition: partition.clone(), id: *id, next: *next, end: *end, halt })
        };
        halted.map(described).collect()
    }

    /// Records that offsets of a range are lost. Returns the offset at which it continues, if it does.
    pub(super) fn lose(&mut self, index: usize, lost: Lost) -> Option<i64> {
        let range = &mut self.ranges[index];
        range.next = lost.to;
        let (is_over, ends) = (range.reached(lost.to), lost.ends_range());
        self.cut();
        self.events.push_back(Ok(SourceEvent::Lost(lost)));
        if ends {
            self.close(index);
        } else if is_over {
            self.finish(index);
        }
        let range = &self.ranges[index];
        (!range.finished).then_some(range.next)
    }

    /// Ends the growing batch: nothing more has arrived.
    pub(super) fn cut(&mut self) {
        if let Some((index, columns)) = self.growing.take() {
            self.sizes = columns.sizes();
            let batch = columns.finish(self.ranges[index].partition.clone());
            self.events.push_back(Ok(SourceEvent::Batch(batch)));
        }
    }

    /// The next event.
    pub(super) fn next_event(&mut self) -> Option<Result<SourceEvent, TransportError>> {
        self.events.pop_front()
    }

    /// The indices of ranges that ended since the last call.
    pub(super) fn take_ended(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.ended)
    }

    /// Whether every range was read to its end.
    pub(super) fn is_finished(&self) -> bool {
        self.ranges.iter().all(|range| range.finished)
    }

    /// Whether some bounded range has not reached its end yet.
    pub(super) fn awaits_end(&self) -> bool {
        self.ranges.iter().any(|range| range.end.is_some() && !range.finished)
    }

    fn push(&mut self, index: usize, message: &Message<'_>) {
        let fits = |(at, columns): &(usize, Columns)| {
            *at == index && columns.len() < self.batch_records_max && !columns.is_full()
        };
        if !self.growing.as_ref().is_some_and(fits) {
            self.cut();
        }
        let (wanted, sizes) = (self.wanted, self.sizes);
        let (_, columns) = self.growing.get_or_insert_with(|| (index, Columns::new(wanted, sizes)));
        self.ranges[index].next = message.offset() + 1;
        columns.push(message.offset(), message.timestamp_ms(), message.key(), message.value());
        if let Some(headers) = columns.headers() {
            message.for_each_header(|name, value| headers.push(name, value));
            headers.end_record();
        }
    }

    fn finish(&mut self, index: usize) {
        self.cut();
        self.close(index);
        let partition = self.ranges[index].partition.clone();
        self.events.push_back(Ok(SourceEvent::Finished(partition)));
    }

    fn close(&mut self, index: usize) {
        self.ranges[index].finished = true;
        self.ended.push(index);
    }

    fn fail(&mut self, index: usize, offset: i64, code: Code, reason: &str) {
        self.cut();
        let partition = &self.ranges[index].partition;
        let doing = match errors::is_damage(code) {
            true => format!("{partition} is corrupted at offset {offset}"),
            false => format!("{partition} could not be read from offset {offset} on"),
        };
        let mut error = errors::failed(&doing, code);
        if !reason.is_empty() {
            error.message = format!("{} ({reason})", error.message);
        }
        self.events.push_back(Err(error));
    }
}
