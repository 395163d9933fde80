//! How a share is opened: where its output goes, which records the topics accept, and which transactions a former owner
//! of the partitions left open.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headwater_connectors::transport::{Isolation, Member, SinkOptions, Transport, TransportError, TransportErrorKind};
use headwater_dataflow::Placement;
use headwater_formats::record::{RecordLimits, TopicPartition};
use headwater_state::Storage;

use super::complaints::{ComplaintLimits, processing_log_topic};
use super::goal::Goal;
use super::inputs::Inputs;
use super::job::Job;
use super::outbox::Outbox;
use super::query_status::QueryStatus;
use super::refusals::Refusals;
use super::snapshots::{Shelf, Snapshots};
use super::start::{Start, StartContext};
use super::topics::partitions_of;

/// The largest batch in bytes that all topics accept; `None` if none has a limit.
pub(super) fn batch_bytes_max(placements: &BTreeMap<String, Placement>, limits: &ComplaintLimits) -> Option<usize> {
    let topics = placements.values().map(|placement| placement.limits).chain([limits.log, limits.dead]);
    topics.filter_map(|limits| limits.batch_bytes_max).min()
}

/// What a share is opened with.
pub(super) struct Opening<'a> {
    pub(super) transport: &'a Arc<dyn Transport>,
    pub(super) job: &'a Job,
    pub(super) member: &'a dyn Member,
    /// What must be committed, of a job that runs until idle.
    pub(super) goal: Option<&'a Goal>,
    /// The topics that the query reads, with their ids as far as they are known.
    pub(super) inputs: &'a Inputs,
    /// Partitions that had a committed position when they were last assigned.
    pub(super) positioned: &'a BTreeSet<TopicPartition>,
    pub(super) refusals: &'a Arc<Refusals>,
    /// The status of the query in this process.
    pub(super) status: &'a Arc<QueryStatus>,
    /// The local snapshots of its state.
    pub(super) snapshots: &'a Snapshots,
    /// Where its state is.
    pub(super) storage: &'a Storage,
}

impl Opening<'_> {
    /// The outbox for the owner of these partitions. Ends the transactions that former owners left open.
    pub(super) fn outbox(
        &self,
        partitions: &[TopicPartition],
        batch_bytes_max: Option<usize>,
    ) -> Result<Outbox, TransportError> {
        let Self { transport, job, refusals, status, .. } = *self;
        let options = |partition| SinkOptions {
            transactional_id: job.is_exactly_once().then(|| job.transactional_id(partition)),
            nearest_time: true,
            batch_bytes_max,
            topic: job.query.topology.sink().map(|sink| sink.topic.as_str().into()),
        };
        let mut outbox = Outbox::new(transport.clone(), options(&partitions[0]), refusals.clone(), job.in_threads);
        if job.is_exactly_once() && self.has_open_transactions()? {
            // A process that had one of the partitions as its first may have died with an open transaction.
            outbox.open()?;
            for partition in &partitions[1..] {
                status.go_on()?;
                drop(transport.open_sink(options(partition))?);
            }
        }
        Ok(outbox)
    }

    /// Where the query continues.
    pub(super) fn start(&self, partitions: &[TopicPartition]) -> Result<Start, TransportError> {
        let Self { transport, job, goal, member, inputs, positioned, .. } = *self;
        let admin = transport.admin();
        Start::find(&StartContext { admin, member, query: &job.query, inputs, goal, positioned }, partitions)
    }

    /// The local snapshots of the query; `None` if it has no state, or if there is no folder for them.
    pub(super) fn shelf(&self) -> Option<Shelf> {
        let has_state = self.job.compiled.has_state();
        if has_state { self.snapshots.of(self.transport.admin(), &self.job.query) } else { None }
    }

    /// The topics that the query writes: its output, exchanges and changelogs.
    fn written(&self) -> impl Iterator<Item = &str> {
        let compiled = &self.job.compiled;
        let changelogs = (0..compiled.stages()).flat_map(|stage| compiled.changelogs(stage)).map(AsRef::as_ref);
        compiled.outputs().chain(changelogs)
    }

    /// Whether readers of what the query writes are waiting for a transaction to end.
    fn has_open_transactions(&self) -> Result<bool, TransportError> {
        for topic in self.written() {
            let ends = |isolation| -> Result<i64, TransportError> {
                Ok(self.transport.admin().watermarks(topic, isolation)?.iter().map(|marks| marks.end).sum())
            };
            // The stable end is read first: records written in between are at worst mistaken for an open transaction.
            let stable = ends(Isolation::ReadCommitted)?;
            if stable < ends(Isolation::ReadUncommitted)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The record limits of the topics that receive complaints, and whether that of the processing log is missing.
    pub(super) fn complaint_limits(&self) -> Result<(ComplaintLimits, bool), TransportError> {
        let (admin, job) = (self.transport.admin(), self.job);
        let dead = job.query.dlq_topic.as_deref();
        let dead = dead.map_or(Ok(RecordLimits::default()), |topic| admin.record_limits(topic))?;
        match admin.record_limits(&processing_log_topic(&job.service_id)) {
            Ok(log) => Ok((ComplaintLimits { log, dead }, false)),
            Err(error) if error.kind == TransportErrorKind::UnknownTopic => {
                Ok((ComplaintLimits { log: RecordLimits::default(), dead }, true))
            }
            Err(error) => Err(error),
        }
    }

    /// Where output and changes of state go, and the record limits of each topic.
    pub(super) fn placements(&self) -> Result<BTreeMap<String, Placement>, TransportError> {
        let admin = self.transport.admin();
        let placement = |topic: &str| {
            let partitions = partitions_of(admin, topic)?;
            Ok((topic.to_owned(), Placement { partitions, limits: admin.record_limits(topic)? }))
        };
        self.written().map(placement).collect()
    }
}
