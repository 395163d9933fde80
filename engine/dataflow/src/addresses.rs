//! The records that rows came from, for complaints about them.

use std::sync::Arc;

use arrow::array::{Int32Array, Int64Array};
use headwater_formats::record::TopicPartition;

use super::chunk::{Chunk, Origins};

/// The addresses of the records that the rows of a chunk came from: those in the input of the task and, where that is an
/// exchange, those in the input of the query.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// The partition that the task reads.
    pub input: TopicPartition,
    /// The offset of each record in it or, of a group, that of the record that changed it last.
    pub offsets: Int64Array,
    /// The topics of the query's sources.
    topics: Arc<[Arc<str>]>,
    /// The records of that topic, where `input` is an exchange.
    origins: Option<Origins>,
}

impl Addresses {
    /// The addresses of a chunk of a task that reads `input`, in a query over `topics`.
    pub(super) fn of(chunk: &Chunk, input: &TopicPartition, topics: &Arc<[Arc<str>]>) -> Self {
        let (offsets, origins) = (chunk.offsets.clone(), chunk.origins.clone());
        Self { input: input.clone(), offsets, topics: topics.clone(), origins }
    }

    /// The record of the query's input that a row came from.
    pub fn record(&self, row: usize) -> (TopicPartition, i64) {
        match &self.origins {
            Some(Origins { sources, partitions, offsets }) => {
                let topic = usize::try_from(sources.value(row)).ok().and_then(|source| self.topics.get(source));
                let topic = topic.unwrap_or(&self.input.topic).clone();
                (TopicPartition::new(topic, partitions.value(row)), offsets.value(row))
            }
            None => (self.input.clone(), self.offsets.value(row)),
        }
    }

    /// Those of the rows for which `keep` is true.
    #[must_use]
    pub fn filter(self, keep: impl Fn(usize) -> bool) -> Self {
        let rows: Vec<usize> = (0..self.offsets.len()).filter(|row| keep(*row)).collect();
        let offsets = |offsets: Int64Array| -> Int64Array { rows.iter().map(|row| offsets.value(*row)).collect() };
        let small = |column: Int32Array| -> Int32Array { rows.iter().map(|row| column.value(*row)).collect() };
        let origins = self.origins.map(|Origins { sources, partitions, offsets: of_input }| Origins {
            sources: small(sources),
            partitions: small(partitions),
            offsets: offsets(of_input),
        });
        Self { offsets: offsets(self.offsets), origins, ..self }
    }
}
