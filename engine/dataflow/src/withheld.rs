//! Complaints about records that have not come out entirely.
//!
//! They are withheld until then: a commit before that must not know of them, as the record will be read again.

use std::sync::Arc;

use arrow::array::Int64Array;
use headwater_formats::record::TopicPartition;

use super::chunk::{Chunk, Origins};
use super::complaint::{Complaint, ComplaintKind, Wrong};
use super::position::TaskPosition;

/// The complaints that a task withholds, each with the offset of its record in the input.
#[derive(Debug, Default)]
pub struct Withheld(Vec<(i64, Complaint)>);

/// The records that the rows of a chunk came from.
pub struct Addresses {
    /// The offsets in the input of the task.
    pub offsets: Int64Array,
    /// The records of the query's input, where that of the task is an exchange.
    origins: Option<Origins>,
}

impl Addresses {
    /// Those of a chunk.
    pub fn of(chunk: &Chunk) -> Self {
        Self { offsets: chunk.offsets.clone(), origins: chunk.origins.clone() }
    }

    /// The record of a row. `input` is the partition that the task reads, `topic` the input of the query.
    fn record(&self, row: usize, input: &TopicPartition, topic: &Arc<str>) -> (TopicPartition, i64) {
        match &self.origins {
            Some(Origins { partitions, offsets }) => {
                (TopicPartition::new(topic.clone(), partitions.value(row)), offsets.value(row))
            }
            None => (input.clone(), self.offsets.value(row)),
        }
    }
}

/// What a task complains about rows with.
pub struct Complaining<'a> {
    /// The partition that the task reads.
    pub input: &'a TopicPartition,
    /// The topic of the query's input.
    pub topic: &'a Arc<str>,
    /// The records of the rows.
    pub addresses: &'a Addresses,
}

impl Withheld {
    /// True when nothing is withheld.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Withholds a complaint about the record at an offset of the input.
    pub fn add(&mut self, offset: i64, complaint: Complaint) {
        self.0.push((offset, complaint));
    }

    /// Withholds a complaint about a row.
    pub fn add_row(&mut self, of: &Complaining<'_>, kind: ComplaintKind, row: usize, wrong: Wrong, reason: String) {
        let address = of.addresses.record(row, of.input, of.topic);
        self.add(of.addresses.offsets.value(row), Complaint::new(kind, address, wrong, reason));
    }

    /// Takes out the complaints about records that have come out entirely, in their order.
    pub fn release(&mut self, position: TaskPosition) -> impl Iterator<Item = Complaint> {
        self.0.sort_by_key(|(offset, _)| *offset);
        let ready = match position {
            TaskPosition::Done => self.0.len(),
            TaskPosition::Before(offset) | TaskPosition::Within(offset) => {
                self.0.partition_point(|(withheld, _)| *withheld < offset)
            }
        };
        self.0.drain(..ready).map(|(_, complaint)| complaint)
    }
}
