//! The inputs of a query: one intake for everything or, for a query that merges its topics, one for each of them, so that a topic
//! that is ahead is not read while another one is waited for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use headwater_connectors::transport::{ReadPlan, SourceEvent, Transport, TransportError};

use super::intake::Intake;

/// The intakes of one share of a query.
pub(super) struct Intakes {
    transport: Arc<dyn Transport>,
    ahead_from: Option<usize>,
    is_by_topic: bool,
    /// The intakes, each with its topics.
    intakes: Vec<(BTreeSet<Arc<str>>, Intake)>,
}

impl Intakes {
    /// Opens the inputs of a plan; see [`Intake::open`].
    pub(super) fn open(
        transport: &Arc<dyn Transport>,
        plan: ReadPlan,
        ahead_from: Option<usize>,
        is_by_topic: bool,
    ) -> Result<Self, TransportError> {
        let mut intakes = Self { transport: transport.clone(), ahead_from, is_by_topic, intakes: Vec::new() };
        intakes.read(plan)?;
        Ok(intakes)
    }

    /// Reads another plan from now on.
    pub(super) fn read(&mut self, plan: ReadPlan) -> Result<(), TransportError> {
        self.intakes.clear();
        for plan in if self.is_by_topic { by_topic(&plan) } else { vec![plan] } {
            let topics = plan.ranges.iter().map(|range| range.partition.topic.clone()).collect();
            self.intakes.push((topics, Intake::open(self.transport.clone(), plan, self.ahead_from)?));
        }
        Ok(())
    }

    /// Waits at most `timeout` for the next event of one of these topics, or of any if there are none. Must not be called while
    /// suspended.
    pub(super) fn poll(
        &mut self,
        topics: &BTreeSet<Arc<str>>,
        timeout: Duration,
    ) -> Result<SourceEvent, TransportError> {
        let mut wanted: Vec<&mut Intake> = self
            .intakes
            .iter_mut()
            .filter(|(own, _)| topics.is_empty() || own.iter().any(|topic| topics.contains(topic)))
            .map(|(_, intake)| intake)
            .collect();
        let wait = timeout / u32::try_from(wanted.len()).unwrap_or(u32::MAX).max(1);
        for intake in &mut wanted {
            match intake.poll(wait)? {
                SourceEvent::Idle => {}
                event => {
                    // The others come first next time.
                    self.intakes.rotate_left(1);
                    return Ok(event);
                }
            }
        }
        Ok(SourceEvent::Idle)
    }

    /// Replaces all sources with doorbells, or none while a thread has one of them; see [`Intake::suspend`].
    pub(super) fn suspend(&mut self) -> Result<(), TransportError> {
        if self.intakes.iter().any(|(_, intake)| intake.is_read_ahead()) {
            return Ok(());
        }
        self.intakes.iter_mut().try_for_each(|(_, intake)| intake.suspend())
    }

    /// True while doorbells replace all sources.
    pub(super) fn is_suspended(&self) -> bool {
        self.intakes.iter().all(|(_, intake)| intake.is_suspended())
    }

    /// Waits at most `timeout` for a doorbell, and opens the sources again. Returns false when none rang.
    pub(super) fn wake(&mut self, timeout: Duration) -> Result<bool, TransportError> {
        let wait = timeout / u32::try_from(self.intakes.len()).unwrap_or(u32::MAX).max(1);
        if !self.intakes.iter_mut().any(|(_, intake)| intake.rings(wait)) {
            return Ok(false);
        }
        self.intakes.iter_mut().try_for_each(|(_, intake)| intake.resume()).map(|()| true)
    }
}

/// The parts of a plan, one for each topic.
fn by_topic(plan: &ReadPlan) -> Vec<ReadPlan> {
    let topics: BTreeSet<&Arc<str>> = plan.ranges.iter().map(|range| &range.partition.topic).collect();
    let of = |topic: &Arc<str>| {
        let ranges = plan.ranges.iter().filter(|range| range.partition.topic == *topic).cloned().collect();
        ReadPlan { ranges, ..plan.clone() }
    };
    topics.into_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use headwater_connectors::transport::{Isolation, NewTopic, ReadRange, SinkOptions, TopicIds};
    use headwater_formats::record::{TopicPartition, Wanted};

    use super::super::for_tests::{cluster_with, record_of};
    use super::*;

    /// Goal: a topic that is idle can be read on while another one is read ahead. Method: a record of one of two topics starts a
    /// thread that reads it, which has not ended when the inputs are suspended.
    #[test]
    fn nothing_is_suspended_while_a_thread_reads() -> Result<(), TransportError> {
        let cluster = cluster_with("busy");
        let idle = NewTopic { name: "idle".to_owned(), partitions: 1, replicas: None, settings: Default::default() };
        cluster.admin().create_topic(&idle)?;
        cluster.open_sink(SinkOptions::default())?.write(&record_of("busy"))?;
        let range = |topic| ReadRange { partition: TopicPartition::new(topic, 0), start: 0, end: None };
        let (ranges, isolation) = (["busy", "idle"].map(range).into(), Isolation::ReadCommitted);
        let plan = ReadPlan { ranges, wanted: Wanted::ALL, isolation, batch_records_max: 10, ids: TopicIds::new() };
        let transport: Arc<dyn Transport> = Arc::new(cluster);
        let mut intakes = Intakes::open(&transport, plan, Some(1), true)?;
        while !matches!(intakes.poll(&BTreeSet::new(), Duration::from_millis(10))?, SourceEvent::Batch(_)) {}
        intakes.suspend()?;
        assert!(!intakes.is_suspended());
        intakes.poll(&["idle".into()].into(), Duration::from_millis(10))?;
        Ok(())
    }
}
