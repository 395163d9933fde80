//! The sources behind the exchanges of a query that several processes share: each reads only some of their partitions, and the rows
//! of the others come through the topics of the exchanges.
//!
//! The tasks that read sources write how far they have come into the exchanges, behind the rows, and tasks between two exchanges pass on
//! what they have been told. So a task that reads an exchange knows up to which stream time it has all rows of each partition of a
//! source, and whether it has those that existed when the cluster was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headwater_connectors::transport::{Admin, Isolation, TransportError};
use headwater_dataflow::{Compiled, Port, SourcePartition, Task};

use super::super::tasks::Tasks;

/// The ends of the partitions of topics, by number.
pub(super) type Ends = BTreeMap<Arc<str>, Vec<i64>>;

/// What is known of the sources behind exchanges.
#[derive(Default)]
pub(super) struct Elsewhere {
    /// The sources behind each exchange, by index and topic; none if this process has all rows.
    sources: BTreeMap<Arc<str>, Vec<(i32, Arc<str>)>>,
    /// The ends that they had when they were asked for.
    pub(super) ends: Ends,
    /// Whether nothing has arrived since.
    pub(super) are_ends_new: bool,
}

impl Elsewhere {
    /// The sources behind the exchanges of a query; none if this process has all rows, or nobody waits for them.
    pub(super) fn of(compiled: &Compiled, tasks: &Tasks) -> Self {
        if tasks.is_whole() || !compiled.marks_progress() {
            return Self::default();
        }
        let exchanges = compiled.inputs().into_iter().filter(|input| input.is_exchange);
        let sources = exchanges.map(|input| (input.topic.clone(), compiled.sources_of(input.topic)));
        Self { sources: sources.collect(), ends: Ends::new(), are_ends_new: false }
    }

    /// Rows have arrived, so that more may follow.
    pub(super) fn forget_ends(&mut self) {
        self.are_ends_new = false;
    }

    /// Asks for the ends of the sources.
    pub(super) fn ask(&mut self, admin: &dyn Admin) -> Result<(), TransportError> {
        self.are_ends_new = false;
        let topics: BTreeSet<&Arc<str>> = self.sources.values().flatten().map(|(_, topic)| topic).collect();
        for topic in topics {
            let marks = admin.watermarks(topic, Isolation::ReadCommitted)?;
            self.ends.insert(topic.clone(), marks.iter().map(|marks| marks.end).collect());
        }
        self.are_ends_new = true;
        Ok(())
    }

    /// The partitions of the sources of an exchange, with their ends among these; `None` if it is not known how many there are.
    pub(super) fn partitions(&self, exchange: &str, ends: &Ends) -> Option<Vec<(SourcePartition, i64)>> {
        let mut partitions = Vec::new();
        for (source, topic) in self.sources.get(exchange)? {
            let numbered = (0..).zip(ends.get(topic)?);
            partitions.extend(numbered.map(|(partition, end)| (SourcePartition { source: *source, partition }, *end)));
        }
        Some(partitions)
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Whether it knows of an exchange.
    pub(super) fn has(&self, exchange: &str) -> bool {
        self.sources.contains_key(exchange)
    }

    /// The stream time that the sources of an exchange have passed as far as a task knows that reads it, except those that are known
    /// to be at their ends: `i64::MAX` if all are, `i64::MIN` if nothing is known of one.
    pub(super) fn passed(&self, exchange: &str, task: &Task, port: Port) -> i64 {
        let Some(sources) = self.partitions(exchange, &self.ends) else { return i64::MIN };
        let passed = |(source, end): (SourcePartition, i64)| match task.heard(port, source) {
            None => i64::MIN,
            Some(heard) if self.are_ends_new && heard.next >= end => i64::MAX,
            Some(heard) => heard.clock_ms,
        };
        sources.into_iter().map(passed).min().unwrap_or(i64::MAX)
    }

    /// Whether the sources of an exchange have one partition alone, which is not behind others.
    pub(super) fn is_alone(&self, exchange: &str) -> bool {
        self.partitions(exchange, &self.ends).is_some_and(|partitions| partitions.len() < 2)
    }
}
