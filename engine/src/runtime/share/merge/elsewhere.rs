//! What a join waits for while several processes share a query, by what is known of the sources behind its exchanges
//! ([`Elsewhere`]): a batch of a stream waits until all rows of all partitions of the table are there, up to its stream time or up to
//! the ends that were asked for, whichever process reads them. No process waits for one that is gone: its partitions are assigned to
//! others, which continue to write.

use headwater_connectors::transport::{Admin, SourceEvent, TransportError};
use headwater_dataflow::{SourcePartition, TaskId};
use headwater_formats::record::TopicPartition;

use super::super::super::tasks::Tasks;
use super::super::elsewhere::{Elsewhere, Ends};
use super::{Input, Merge};

impl Merge {
    /// What is known of the sources behind exchanges.
    pub(in super::super) fn elsewhere(&self) -> &Elsewhere {
        &self.elsewhere
    }

    /// The offset up to which the records of an input are processed; `None` if there is no such input.
    pub(in super::super::super) fn processed(&self, partition: &TopicPartition, tasks: &Tasks) -> Option<i64> {
        self.inputs.get(partition).map(|input| input.processed(tasks))
    }

    /// Whether rows of an input come from sources that other processes read, too.
    pub(super) fn comes_from_elsewhere(&self, partition: &TopicPartition) -> bool {
        self.elsewhere.has(&partition.topic)
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
            if !self.comes_from_elsewhere(partition) {
                continue;
            }
            passed_ms = passed_ms.min(self.elsewhere.passed(&partition.topic, task, input.port));
        }
        Ok(passed_ms)
    }

    /// Asks for the ends of the sources of all groups that wait for them.
    pub(super) fn ask_elsewhere(&mut self, admin: &dyn Admin) -> Result<(), TransportError> {
        if self.elsewhere.is_empty() || !self.reads_tables_ahead {
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
    fn processed(&self, tasks: &Tasks) -> i64 {
        let head = tasks.look(self.id).and_then(|task| task.head(self.port));
        match self.waiting.front() {
            Some(SourceEvent::Batch(_)) if self.is_handled => head.map_or(self.next, |(_, offset)| offset),
            Some(SourceEvent::Batch(batch)) => batch.offsets.first().copied().unwrap_or(self.next),
            _ => self.next,
        }
    }
}
