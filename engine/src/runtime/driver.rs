//! Runs one persistent query in this process: reads its share of the input, and writes output and offsets, with one
//! transaction per commit.
//!
//! ```text
//! step: group → intake → tasks → outbox … → commit, once the interval is over
//! ```
//!
//! A step never waits longer than the caller allows, takes the time as an argument, and leaves the cluster in a state
//! from which any process can continue: what is not committed never happened. A driver that failed is thrown away; the
//! next one starts at the last commit that the cluster has. So a thread can drive it as well as a simulation with its
//! own clock and faults.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use headwater_connectors::transport::{
    Admin, Glance, GroupPlan, LossCause, Lost, Member, MemberEvent, Transport, TransportError,
};
use headwater_formats::record::TopicPartition;

use super::goal::Goal;
use super::inputs::Inputs;
use super::job::Job;
use super::lookout::Seen;
use super::opening::Opening;
use super::outbox::Work;
use super::own_topics;
use super::purge::Purge;
#[cfg(test)]
use super::query_status::StatusSnapshot;
use super::query_status::{QueryStatus, State};
use super::refusals::Refusals;
pub use super::share::StepOutcome;
use super::share::{Committing, Share};
use super::snapshots::{Marks, Snapshots};
use super::states::States;
use crate::answer::StateFacts;
use crate::failure;
use headwater_dataflow::Epoch;
use headwater_language::catalog::QueryDef;
use headwater_language::diagnostic::Diagnostic;

/// How long a query that has read everything waits for its commits before it checks them again.
const LOOK: Duration = Duration::from_millis(20);

/// One query in this process.
pub struct Driver {
    transport: Arc<dyn Transport>,
    job: Job,
    status: Arc<QueryStatus>,
    refusals: Arc<Refusals>,
    member: Box<dyn Member>,
    share: Option<Share>,
    epoch: Epoch,
    /// What must be committed, of a job that runs until idle.
    goal: Option<Goal>,
    inputs: Inputs,
    /// Partitions that had a committed position when they were last assigned. If it is missing later, it was lost.
    positioned: BTreeSet<TopicPartition>,
    /// Where readers find its state.
    states: Arc<States>,
    /// The records of its exchanges that are no longer needed.
    purge: Purge,
    /// The local snapshots of its state.
    snapshots: Arc<Snapshots>,
}

impl Driver {
    /// A driver of a query, with its own counters. Fails if the query cannot be compiled or the cluster fails.
    pub fn of(query: Arc<QueryDef>, service_id: &str, transport: Arc<dyn Transport>) -> Result<Self, Vec<Diagnostic>> {
        let job = Job { in_threads: false, ..Job::new(query, service_id, false)? };
        Self::new(transport, job, Arc::default(), Arc::default()).map_err(|error| vec![failure::transport(&error)])
    }

    /// The same driver with its own threads for reading ahead and writing, as in production. Call it before the first
    /// step.
    #[must_use]
    pub fn in_threads(mut self) -> Self {
        self.job.in_threads = true;
        self
    }

    /// The same driver with its state kept in the storage of `states`, and shown to their readers. Call it before the first step.
    #[must_use]
    pub fn shown_in(mut self, states: &Arc<States>) -> Self {
        self.states = states.clone();
        self
    }

    /// The same driver with its state kept in local snapshots. Call it before the first step.
    #[must_use]
    pub fn kept_in(mut self, snapshots: &Arc<Snapshots>) -> Self {
        self.snapshots = snapshots.clone();
        self
    }

    /// Joins the query's group. Nothing is read before the group assigns partitions to this process. `refusals` is what
    /// earlier drivers of the query have learned.
    pub fn new(
        transport: Arc<dyn Transport>,
        job: Job,
        status: Arc<QueryStatus>,
        refusals: Arc<Refusals>,
    ) -> Result<Self, TransportError> {
        own_topics::ensure(transport.admin(), &job.query, &job.service_id)?;
        let goal = match job.until_idle {
            true => Some(Goal::now(transport.as_ref(), &job.compiled.inputs())?),
            false => None,
        };
        let inputs = Inputs::of(&job.compiled);
        let member = transport.join_group(GroupPlan { group: job.group(), topics: inputs.topics() })?;
        let (positioned, epoch, share, purge) = (BTreeSet::new(), Epoch::default(), None, Purge::default());
        let (states, snapshots) = (Arc::default(), Arc::default());
        Ok(Self {
            transport,
            job,
            status,
            refusals,
            member,
            share,
            epoch,
            goal,
            inputs,
            positioned,
            states,
            purge,
            snapshots,
        })
    }

    /// Handles one event of the group or the source. `now_ms` is the current time, `wait` the longest time to wait.
    /// After an error the driver must be dropped.
    pub fn step(&mut self, now_ms: i64, wait: Duration) -> Result<StepOutcome, TransportError> {
        let for_group = match &self.share {
            Some(share) if share.is_finished(&self.job) => wait.min(LOOK),
            Some(_) => Duration::ZERO,
            None => wait,
        };
        if let Some(event) = self.member.poll(for_group)? {
            self.regroup(event, now_ms)?;
            return Ok(StepOutcome::Worked);
        }
        self.look(now_ms)?;
        let step = match &mut self.share {
            Some(share) if share.is_restoring() => {
                if share.restore(&self.job, &self.status, now_ms, wait)? {
                    share.lose_gaps(&self.job, &self.status, now_ms)?;
                    share.show(&self.states);
                    self.status.set_state(State::Running);
                    share
                        .facts(&self.job, &self.inputs, now_ms)
                        .into_iter()
                        .for_each(|facts| self.status.set_facts(facts));
                }
                return Ok(StepOutcome::Worked);
            }
            Some(share) => {
                // Whoever waits for a commit waits for its reply, too.
                let wait = if share.is_committing() { wait.min(LOOK) } else { wait };
                let step = share.read(self.transport.admin(), &self.inputs, &self.job, &self.status, now_ms, wait)?;
                if step == StepOutcome::Idle {
                    share.tasks.yield_memory()?;
                }
                step
            }
            None => StepOutcome::Idle,
        };
        if let Some((.., error)) = self.share.as_mut().and_then(|share| share.stopped.take()) {
            // Everything before the record that stops the query is committed first.
            self.settle(now_ms)?;
            return Err(error);
        }
        self.reap(now_ms)?;
        if self.share.as_ref().is_some_and(|share| share.is_due(&self.job, now_ms)) {
            self.commit(now_ms)?;
            return Ok(StepOutcome::Worked);
        }
        Ok(if self.is_done(now_ms)? { StepOutcome::Done } else { step })
    }

    /// Checks whether a topic was recreated, and has the group assign partitions that were added.
    fn look(&mut self, now_ms: i64) -> Result<(), TransportError> {
        let Some((topic, seen)) = self.inputs.look(self.transport.admin(), now_ms) else { return Ok(()) };
        let reads = self.share.as_ref().and_then(|share| share.notes.keys().find(|p| p.topic == topic));
        match (seen, reads) {
            (Seen::Other, Some(partition)) => Err(recreated(partition).into()),
            // This process has read nothing from the former topic.
            (Seen::Same | Seen::Other, _) => Ok(()),
            // The group reports this once it has refreshed its metadata.
            (Seen::Grown | Seen::Missing, _) => {
                // If the coordinator is unavailable, the next look asks again.
                match self.member.refresh() {
                    Ok(()) => self.inputs.refreshed(),
                    Err(error) => tracing::debug!(%error, "could not refresh the group's view of the topic"),
                }
                Ok(())
            }
        }
    }

    /// Commits what is done, and dumps the state if there is a folder for it. The driver must be dropped afterwards, which leaves
    /// the group and aborts what could not be committed, so that readers of the output need not wait until it times out.
    pub fn finish(&mut self, now_ms: i64) -> Result<(), TransportError> {
        let marks = match &mut self.share {
            Some(share) if !self.status.is_dropped() => share.begin_last_dump(now_ms)?,
            _ => None,
        };
        self.settle(now_ms)?;
        self.pass();
        marks.map_or(Ok(()), |marks| self.dump(&marks))
    }

    /// Dumps the state, if its partitions still belong to this process.
    fn dump(&mut self, marks: &Marks) -> Result<(), TransportError> {
        let Some(share) = &mut self.share else { return Ok(()) };
        let positions = share.positions(share.positioned.clone());
        match self.member.commit(&positions) {
            Ok(()) => share.dump_last(marks),
            Err(error) => {
                tracing::debug!(%error, "could not commit the position of a snapshot; going on without it");
                Ok(())
            }
        }
    }

    /// Commits the offsets after transaction markers. Reading from before a marker is equivalent, but once the marker is
    /// deleted it looks as if something were lost. So a failure here is not worth an error.
    fn pass(&mut self) {
        let Some(share) = self.share.as_mut().filter(|share| !share.passed.is_empty() && !share.is_open()) else {
            return;
        };
        let passed = std::mem::take(&mut share.passed);
        let positions = share.positions(passed);
        match self.member.commit(&positions) {
            Ok(()) => share.passed_markers(&positions),
            Err(error) => tracing::debug!(%error, "could not commit offsets after transaction markers"),
        }
    }

    /// Its status.
    #[cfg(test)]
    pub(super) fn status(&self) -> StatusSnapshot {
        self.status.snapshot()
    }

    /// True when nothing has happened since the last commit.
    pub fn is_settled(&self) -> bool {
        self.share.as_ref().is_none_or(|share| !share.is_open())
    }

    /// Whether everything that existed at the start is committed, here and in other processes.
    fn is_done(&mut self, now_ms: i64) -> Result<bool, TransportError> {
        let Some(goal) = &mut self.goal else { return Ok(false) };
        let is_busy = |share: &Share| !share.unfinished.is_empty() || share.is_open() || !share.current.is_empty();
        let busy = self.share.as_ref().is_some_and(is_busy);
        if busy { Ok(false) } else { goal.is_reached(self.transport.as_ref(), self.member.as_ref(), now_ms) }
    }

    fn regroup(&mut self, event: MemberEvent, now_ms: i64) -> Result<(), TransportError> {
        match event {
            MemberEvent::Assigned(partitions) => self.take(&partitions, now_ms),
            MemberEvent::Revoked => {
                self.settle(now_ms)?;
                self.pass();
                self.give_up();
                self.member.release()
            }
            MemberEvent::Lost => {
                self.give_up();
                Ok(())
            }
        }
    }

    fn give_up(&mut self) {
        self.share = None;
        self.status.set_facts(StateFacts::default());
        self.status.set_share([].iter(), false);
    }

    fn take(&mut self, partitions: &[TopicPartition], now_ms: i64) -> Result<(), TransportError> {
        // Whatever a former share left uncommitted never happened.
        self.share = None;
        self.inputs.forget_partitions();
        self.share = match partitions {
            [] => None,
            partitions => Some(self.open(&self.job.by_stage(partitions), now_ms)?),
        };
        let of_input = partitions.iter().filter(|partition| !self.inputs.is_exchange(&partition.topic));
        self.status.set_share(of_input, self.share.as_ref().is_some_and(Share::is_restoring));
        Ok(())
    }

    fn open(&mut self, partitions: &[TopicPartition], now_ms: i64) -> Result<Share, TransportError> {
        let storage = self.states.storage();
        let opening = Opening {
            transport: &self.transport,
            job: &self.job,
            member: self.member.as_ref(),
            goal: self.goal.as_ref(),
            inputs: &self.inputs,
            positioned: &self.positioned,
            refusals: &self.refusals,
            status: &self.status,
            snapshots: &self.snapshots,
            storage: &storage,
        };
        let (mut share, start) = Share::open(&opening, partitions, now_ms)?;
        for (topic, partitions) in &start.partitions {
            let known = Glance { id: start.ids.get(topic).copied(), partitions: *partitions };
            self.inputs.learn(topic, known);
        }
        if !start.first.is_empty() {
            self.member.commit(&start.first)?;
        }
        self.status.set_lost(start.notes.values().map(|note| note.lost).sum());
        if !share.is_restoring() {
            share.lose_gaps(&self.job, &self.status, now_ms)?;
            share.show(&self.states);
        }
        self.status.found_position();
        self.positioned.extend(partitions.iter().cloned());
        Ok(share)
    }

    /// Commits what is done, and waits for the commit.
    fn settle(&mut self, now_ms: i64) -> Result<(), TransportError> {
        if let Some(share) = &mut self.share {
            while share.mid_record {
                share.go_on(&self.status, now_ms)?;
            }
        }
        self.commit(now_ms)?;
        if let Some(share) = &mut self.share {
            share.outbox.settle()?;
        }
        self.reap(now_ms)
    }

    /// Ends the epoch: tasks reach the barrier, and all of their output is committed with the offsets. At most one commit
    /// is in progress at a time.
    fn commit(&mut self, now_ms: i64) -> Result<(), TransportError> {
        let Some(share) = self.share.as_mut().filter(|share| share.open_since_ms.is_some()) else { return Ok(()) };
        debug_assert!(!share.mid_record, "the output of a record is committed as a whole");
        share.outbox.settle()?;
        self.reap(now_ms)?;
        let Some(share) = &mut self.share else { return Ok(()) };
        self.epoch = Epoch(self.epoch.0 + 1);
        share.barrier(self.epoch, self.transport.admin(), &self.job, &self.status, now_ms)?;
        share.sealed(self.epoch);
        share.log_complaints(self.transport.admin(), &self.status, now_ms)?;
        check_topics(&mut self.inputs, share, self.transport.admin())?;
        let mut moved = std::mem::take(&mut share.passed);
        moved.append(&mut share.moved);
        let offsets = share.positions(moved);
        let tally = std::mem::take(&mut share.tally);
        let ending = share.begin_commit(Committing { epoch: self.epoch, offsets: offsets.clone(), tally });
        share.outbox.put(match self.job.is_exactly_once() {
            true => Work::Commit(self.member.membership(), offsets, ending),
            false => Work::Flush(ending),
        })?;
        (share.open_since_ms, share.epoch_bytes) = (None, 0);
        self.reap(now_ms)
    }

    /// Records the commits that have finished.
    fn reap(&mut self, now_ms: i64) -> Result<(), TransportError> {
        let Some(share) = &mut self.share else { return Ok(()) };
        let done = share.outbox.commits()?;
        while share.committed < done
            && let Some(Committing { epoch, offsets, tally }) = share.committing.pop_front()
        {
            share.committed += 1;
            share.busy_at_ms = now_ms;
            if !self.job.is_exactly_once() {
                self.member.commit(&offsets)?;
            }
            share.apply(epoch, &offsets)?;
            self.purge.committed(&offsets, |topic| self.inputs.is_exchange(topic), now_ms);
            share.keep(epoch, now_ms)?;
            if let Some(facts) = share.facts(&self.job, &self.inputs, now_ms) {
                self.status.set_facts(facts);
            }
            self.refusals.committed(&offsets);
            self.status.committed(tally, now_ms);
        }
        self.purge.step(&self.job.query.id, &self.transport, now_ms, self.job.in_threads);
        let suspended = share.suspend(&self.job, now_ms)?;
        if suspended {
            self.pass();
        }
        Ok(())
    }
}

/// Makes sure that everything read so far came from the expected topics. That is so if each topic still has the same id,
/// since a deleted topic never returns. Does not wait for a cluster that does not respond.
fn check_topics(inputs: &mut Inputs, share: &Share, admin: &dyn Admin) -> Result<(), TransportError> {
    let read = share.moved.keys().map(|partition| &partition.topic);
    let Some((topic, _)) = inputs.look_now(admin, read) else { return Ok(()) };
    let partition = share.moved.keys().find(|partition| partition.topic == topic);
    partition.map_or(Ok(()), |partition| Err(recreated(partition).into()))
}

/// The loss that is reported when the topic of a partition was recreated.
fn recreated(partition: &TopicPartition) -> Lost {
    Lost { partition: partition.clone(), cause: LossCause::Recreated, from: 0, to: 0 }
}
