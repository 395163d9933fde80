//! A member, and how it gets from the partitions that it has to those of its target.
//!
//! Separate because this is where a partition must never have two readers: a member gets one only when no other has it, and has one until
//! it has said that it does not own it any more.

use kafka_protocol::ResponseError;

use super::assignor::Assignor;
use super::heartbeat::{AWAY, Heartbeat, Parsed, Partition, Partitions, Refusal};
use super::subscription::Subscription;

/// What a member still has to do to reach its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing.
    Stable,
    /// It must give up partitions, until this time.
    Revoking { deadline_ms: i64 },
    /// Partitions of its target still belong to others.
    Waiting,
}

/// A member of a group.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) rack_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) epoch: i32,
    pub(crate) subscription: Subscription,
    /// What the member may read.
    pub(crate) assigned: Partitions,
    /// The epoch before this one: the reply with this one may have been lost.
    pub(super) former_epoch: i32,
    pub(super) assignor: Option<Assignor>,
    pub(super) progress: Progress,
    /// What it must give up.
    pub(super) revoking: Partitions,
    pub(super) rebalance_timeout_ms: i32,
    /// When it is given up, unless it is heard of.
    pub(super) session_deadline_ms: i64,
}

impl Member {
    pub(super) fn new(beat: &Heartbeat) -> Member {
        Member {
            id: beat.member_id.clone(),
            instance_id: beat.instance_id.clone(),
            rack_id: None,
            client_id: String::new(),
            client_host: String::new(),
            epoch: 0,
            subscription: Subscription::default(),
            assigned: Partitions::new(),
            former_epoch: 0,
            assignor: None,
            progress: Progress::Stable,
            revoking: Partitions::new(),
            rebalance_timeout_ms: 0,
            session_deadline_ms: i64::MAX,
        }
    }

    /// A member that joins again owns nothing.
    pub(super) fn begin_again(&mut self) {
        (self.epoch, self.former_epoch, self.progress) = (0, 0, Progress::Stable);
        self.assigned.clear();
        self.revoking.clear();
    }

    /// A static member that will come back reads nothing, but keeps its partitions until its session expires.
    pub(super) fn go_away(&mut self, session_deadline_ms: i64) {
        (self.epoch, self.progress, self.session_deadline_ms) = (AWAY, Progress::Stable, session_deadline_ms);
        self.revoking.clear();
    }

    /// Takes over what has changed. Returns whether the group needs a new assignment for it.
    pub(super) fn update(&mut self, beat: &Heartbeat, parsed: Parsed) -> bool {
        let former = (self.subscription.clone(), self.assignor);
        self.client_id.clone_from(&beat.client_id);
        self.client_host.clone_from(&beat.client_host);
        self.rack_id = beat.rack_id.clone().or(self.rack_id.take());
        self.assignor = parsed.assignor.or(self.assignor);
        self.rebalance_timeout_ms = beat.rebalance_timeout_ms.unwrap_or(self.rebalance_timeout_ms);
        if let Some(topics) = &beat.topics {
            self.subscription.topics.clone_from(topics);
        }
        if let Some(pattern) = parsed.pattern {
            self.subscription.pattern = pattern;
        }
        former != (self.subscription.clone(), self.assignor)
    }

    /// Checks the epoch of a heartbeat. The former one is good if the reply with the present one may have been lost.
    pub(super) fn check_epoch(&self, beat: &Heartbeat) -> Result<(), Refusal> {
        let owned_is_known = beat.owned.as_ref().is_some_and(|owned| owned.is_subset(&self.assigned));
        if beat.epoch == self.epoch || (beat.epoch == self.former_epoch && owned_is_known) {
            return Ok(());
        }
        let message = format!(
            "The consumer group member has the epoch {}, but the coordinator knows {}. The member must abandon all its \
             partitions and rejoin.",
            beat.epoch, self.epoch
        );
        Err(Refusal::new(ResponseError::FencedMemberEpoch, message))
    }

    /// Whether the member has a partition, even if it is about to give it up.
    pub(super) fn has(&self, partition: &Partition) -> bool {
        self.assigned.contains(partition) || self.revoking.contains(partition)
    }

    pub(super) fn has_reached(&self, epoch: i32) -> bool {
        self.progress == Progress::Stable && self.epoch == epoch
    }

    pub(super) fn deadline_ms(&self) -> i64 {
        match self.progress {
            Progress::Revoking { deadline_ms } => deadline_ms.min(self.session_deadline_ms),
            Progress::Stable | Progress::Waiting => self.session_deadline_ms,
        }
    }

    /// Comes as close to a target as it can. `owned` is what the member has just said that it owns, if it has said so.
    pub(super) fn advance(
        &mut self,
        (target, epoch): (&Partitions, i32),
        owned: Option<&Partitions>,
        is_free: impl Fn(&Partition) -> bool,
        now_ms: i64,
    ) {
        let may_own = |partitions: &Partitions| owned.is_none_or(|owned| !owned.is_disjoint(partitions));
        let must_wait = matches!(self.progress, Progress::Revoking { .. }) && may_own(&self.revoking);
        if must_wait || self.has_reached(epoch) {
            return;
        }
        let revoked: Partitions = self.assigned.difference(target).copied().collect();
        let mut next: Partitions = self.assigned.intersection(target).copied().collect();
        if !revoked.is_empty() && may_own(&revoked) {
            let deadline_ms = now_ms + i64::from(self.rebalance_timeout_ms);
            (self.assigned, self.revoking, self.progress) = (next, revoked, Progress::Revoking { deadline_ms });
            return;
        }
        next.extend(target.iter().copied().filter(is_free));
        self.progress = if next.len() < target.len() { Progress::Waiting } else { Progress::Stable };
        self.assigned = next;
        self.revoking.clear();
        if self.epoch != epoch {
            (self.former_epoch, self.epoch) = (self.epoch, epoch);
        }
    }
}
