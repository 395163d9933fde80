//! What other processes read, while several share a query: rows reach a join through the topics of its exchanges, and each process
//! reads only some partitions of the sources.
//!
//! The tasks that read sources write how far they have come into the exchanges, behind the rows. So a join knows up to which stream
//! time it has all rows of each partition of a source, and whether it has those that existed when the cluster was asked. A batch of a
//! stream waits until that is so for all partitions of the table, whichever process reads them. No process waits for one that is
//! gone: its partitions are assigned to others, which continue to write.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_connectors::transport::{Admin, Isolation, SourceEvent, TransportError};
use headwater_dataflow::{Compiled, SourcePartition, TaskId};
use headwater_formats::record::TopicPartition;

use super::super::super::tasks::Tasks;
use super::{Input, Merge};

/// The ends of the partitions of topics, by number.
pub(super) type Ends = BTreeMap<Arc<str>, Vec<i64>>;

/// What is known of the sources behind exchanges.
#[derive(Default)]
pub(super) struct Elsewhere {
    /// The sources, by index and topic, of each exchange that gets rows from sources alone; none if this process has all rows.
    sources: BTreeMap<Arc<str>, Vec<(i32, Arc<str>)>>,
    /// The ends that they had when they were asked for.
    ends: Ends,
    /// Whether nothing has arrived since.
    are_ends_new: bool,
}

impl Elsewhere {
    /// The sources behind the exchanges of a query.
    pub(super) fn of(compiled: &Compiled) -> Self {
        let exchanges = compiled.inputs().into_iter().filter(|input| input.is_exchange);
        let sources = exchanges.filter_map(|input| Some((input.topic.clone(), compiled.sources_of(input.topic)?)));
        Self { sources: sources.collect(), ends: Ends::new(), are_ends_new: false }
    }

    /// Rows have arrived, so that more may follow.
    pub(super) fn forget_ends(&mut self) {
        self.are_ends_new = false;
    }

    /// Asks for the ends of the sources.
    fn ask(&mut self, admin: &dyn Admin) -> Result<(), TransportError> {
        self.are_ends_new = false;
        for (_, topic) in self.sources.values().flatten() {
            let marks = admin.watermarks(topic, Isolation::ReadCommitted)?;
            self.ends.insert(topic.clone(), marks.iter().map(|marks| marks.end).collect());
        }
        self.are_ends_new = true;
        Ok(())
    }

    /// The partitions of the sources of an exchange, with their ends among these; `None` if it is not known how many there are.
    fn partitions(&self, exchange: &str, ends: &Ends) -> Option<Vec<(SourcePartition, i64)>> {
        let mut partitions = Vec::new();
        for (source, topic) in self.sources.get(exchange)? {
            let numbered = (0..).zip(ends.get(topic)?);
            partitions.extend(numbered.map(|(partition, end)| (SourcePartition { source: *source, partition }, *end)));
        }
        Some(partitions)
    }
}

impl Merge {
    /// Whether rows of an input come from sources that other processes read, too.
    pub(super) fn comes_from_elsewhere(&self, partition: &TopicPartition) -> bool {
        self.elsewhere.sources.contains_key(&partition.topic)
    }

    /// Whether all rows of an exchange up to a stream time were released, or at least all that its sources had when the cluster was
    /// asked.
    pub(super) fn has_passed(
        &self,
        partition: &TopicPartition,
        clock_ms: i64,
        asked: Option<&Ends>,
        tasks: &mut Tasks,
    ) -> Result<bool, TransportError> {
        let known = self.elsewhere.partitions(&partition.topic, asked.unwrap_or(&self.elsewhere.ends));
        let Some(sources) = known else { return Ok(false) };
        let input = &self.inputs[partition];
        let task = tasks.get(input.id)?;
        let has_passed = |(source, end): (SourcePartition, i64)| {
            let heard = task.heard(input.port, source);
            heard.is_some_and(|heard| heard.clock_ms > clock_ms || (asked.is_some() && heard.next >= end))
        };
        Ok(sources.into_iter().all(has_passed))
    }

    /// The stream time that the sources of a task's streams have passed, except those that are known to be at their ends.
    pub(super) fn passed_elsewhere(&self, id: TaskId, tasks: &mut Tasks) -> Result<i64, TransportError> {
        let mut passed_ms = i64::MAX;
        let task = tasks.get(id)?;
        for (partition, input) in self.inputs.iter().filter(|(_, input)| input.id == id && input.is_stream) {
            // Nothing is known of rows that pass other stages.
            if !self.comes_from_elsewhere(partition) {
                continue;
            }
            let sources = self.elsewhere.partitions(&partition.topic, &self.elsewhere.ends);
            let Some(sources) = sources else { return Ok(i64::MIN) };
            for (source, end) in sources {
                let heard = task.heard(input.port, source);
                passed_ms = passed_ms.min(match heard {
                    None => i64::MIN,
                    Some(heard) if self.elsewhere.are_ends_new && heard.next >= end => i64::MAX,
                    Some(heard) => heard.clock_ms,
                });
            }
        }
        Ok(passed_ms)
    }

    /// Asks for the ends of the sources of all groups that wait for them.
    pub(super) fn ask_elsewhere(&mut self, admin: &dyn Admin) -> Result<(), TransportError> {
        if self.elsewhere.sources.is_empty() || !self.reads_tables_ahead {
            return Ok(());
        }
        let waits = |partition: &TopicPartition| !self.inputs[partition].waiting.is_empty();
        let lacks = |partition: &TopicPartition| self.comes_from_elsewhere(partition);
        let mut asking = Vec::new();
        for (at, group) in self.groups.iter().enumerate().filter(|(_, group)| group.asked.is_none()) {
            if group.partitions.iter().any(waits) && group.partitions.iter().any(lacks) {
                asking.push(at);
            }
        }
        if !asking.is_empty() || !self.elsewhere.are_ends_new {
            self.elsewhere.ask(admin)?;
        }
        for at in asking {
            self.groups[at].asked = Some(self.elsewhere.ends.clone());
        }
        Ok(())
    }

    /// Before the end of an epoch: see [`Self::pass_all`].
    pub(super) fn pass_elsewhere(
        &mut self,
        admin: &dyn Admin,
        current: Option<(&TopicPartition, i64)>,
        tasks: &mut Tasks,
    ) -> Result<(), TransportError> {
        // What is known suffices if the cluster does not answer.
        if let Err(error) = self.elsewhere.ask(admin) {
            tracing::debug!(%error, "could not ask for the ends of the sources of a join");
        }
        for (partition, input) in &self.inputs {
            let next = current.filter(|(origin, _)| *origin == partition).map(|(_, next)| next);
            match input.is_exchange {
                true => {
                    let passed_ms = self.passed_elsewhere(input.id, tasks)?;
                    tasks.get(input.id)?.pass(passed_ms);
                }
                false => {
                    let next = next.unwrap_or_else(|| input.processed(tasks));
                    tasks.get(input.id)?.read_to(next);
                }
            }
        }
        Ok(())
    }
}

impl Input {
    /// The offset up to which its records are processed.
    fn processed(&self, tasks: &mut Tasks) -> i64 {
        let head = tasks.get(self.id).ok().and_then(|task| task.head(self.port));
        match self.waiting.front() {
            Some(SourceEvent::Batch(_)) if self.is_handled => head.map_or(self.next, |(_, offset)| offset),
            Some(SourceEvent::Batch(batch)) => batch.offsets.first().copied().unwrap_or(self.next),
            _ => self.next,
        }
    }
}
