//! What a driver knows about the topics that its query reads: its sources and its exchanges.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headwater_connectors::transport::{Admin, Glance, TopicId};
use headwater_dataflow::{Compiled, InputTopic, Port, TaskId};
use headwater_formats::record::TopicPartition;

use super::lookout::{Lookout, Seen};

/// The topics that a query reads.
pub(super) struct Inputs(BTreeMap<Arc<str>, Input>);

struct Input {
    stage: usize,
    port: Port,
    is_exchange: bool,
    is_table: bool,
    lookout: Lookout,
}

impl Inputs {
    /// The inputs of a compiled query, before any of them was looked up.
    pub(super) fn of(compiled: &Compiled) -> Self {
        let input = |InputTopic { topic, stage, port, is_exchange, is_table }: InputTopic<'_>| {
            (topic.clone(), Input { stage, port, is_exchange, is_table, lookout: Lookout::new(topic) })
        };
        Self(compiled.inputs().into_iter().map(input).collect())
    }

    /// Their names.
    pub(super) fn topics(&self) -> Vec<Arc<str>> {
        self.0.keys().cloned().collect()
    }

    /// The task that reads a partition, and at which port.
    pub(super) fn reader(&self, partition: &TopicPartition) -> Option<(TaskId, Port)> {
        let input = self.0.get(&partition.topic)?;
        Some((TaskId { stage: input.stage, partition: partition.partition }, input.port))
    }

    /// The exchanges, which the query also writes.
    pub(super) fn exchanges(&self) -> BTreeSet<Arc<str>> {
        self.0.iter().filter(|(_, input)| input.is_exchange).map(|(topic, _)| topic.clone()).collect()
    }

    /// Whether a topic is an exchange, which the query also writes.
    pub(super) fn is_exchange(&self, topic: &str) -> bool {
        self.0.get(topic).is_some_and(|input| input.is_exchange)
    }

    /// Whether the records of a topic are the changes of a table.
    pub(super) fn is_table(&self, topic: &str) -> bool {
        self.0.get(topic).is_some_and(|input| input.is_table)
    }

    /// The id of a topic when it was first seen.
    pub(super) fn id(&self, topic: &str) -> Option<TopicId> {
        self.0.get(topic)?.lookout.id()
    }

    /// Remembers what is known about a topic.
    pub(super) fn learn(&mut self, topic: &str, known: Glance) -> Seen {
        self.0.get_mut(topic).map_or(Seen::Same, |input| input.lookout.learn(known))
    }

    /// Records that the group has checked how many partitions there are.
    pub(super) fn refreshed(&mut self) {
        self.0.values_mut().for_each(|input| input.lookout.refreshed());
    }

    /// Forgets how many partitions there are, because they are being reassigned.
    pub(super) fn forget_partitions(&mut self) {
        self.0.values_mut().for_each(|input| input.lookout.forget_partitions());
    }

    /// Checks the topics that are due. Returns one that has changed, and how; a recreated one first.
    pub(super) fn look(&mut self, admin: &dyn Admin, now_ms: i64) -> Option<(Arc<str>, Seen)> {
        let mut changed = None;
        for (topic, input) in &mut self.0 {
            match input.lookout.look(admin, now_ms) {
                Seen::Same => {}
                Seen::Other => return Some((topic.clone(), Seen::Other)),
                seen => changed = changed.or_else(|| Some((topic.clone(), seen))),
            }
        }
        changed
    }

    /// Checks these topics now. Returns the first one that was recreated.
    pub(super) fn look_now<'t>(
        &mut self,
        admin: &dyn Admin,
        topics: impl Iterator<Item = &'t Arc<str>>,
    ) -> Option<(Arc<str>, Seen)> {
        let topics: Vec<&Arc<str>> = topics.collect();
        let inputs = self.0.iter_mut().filter(|(topic, _)| topics.contains(topic));
        let mut seen = inputs.map(|(topic, input)| (topic.clone(), input.lookout.look_now(admin)));
        seen.find(|(_, seen)| *seen == Seen::Other)
    }
}
