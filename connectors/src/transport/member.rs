//! Consumer groups: a member, what its group tells it, and its place, under which offsets are committed.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Position, TransportError};
use crate::record::TopicPartition;

/// What a member of a consumer group wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPlan {
    /// The group's name.
    pub group: String,
    /// The topics whose partitions are shared out.
    pub topics: Vec<Arc<str>>,
}

/// A place in a consumer group: the broker says which partitions are this member's, until it says otherwise.
///
/// ```text
/// Assigned ─┬─ Revoked ─ (last commit) ─ release ─┬─ Assigned …
///           └─ Lost ──────────────────────────────┘
/// ```
///
/// Every `Assigned` is ended by a `Revoked` or a `Lost` before the next one, also when it held no partition. Dropping
/// the member leaves the group at once, which takes as long as the coordinator takes to answer, at most seconds.
pub trait Member: Send {
    /// Serves the group and gives its next event, waiting at most `timeout` for one. A member that does not call
    /// this for minutes, or whose process is gone for some seconds, loses its place. Fails only where another
    /// try will not help; a coordinator that cannot be reached is waited for.
    fn poll(&mut self, timeout: Duration) -> Result<Option<MemberEvent>, TransportError>;

    /// Says that everything revoked is given up. To be called once after each [`MemberEvent::Revoked`]: the group
    /// waits for it, so all of its members stand still meanwhile. Refused when nothing was revoked.
    fn release(&mut self) -> Result<(), TransportError>;

    /// Commits the place of each partition under this member's place in the group, outside of any transaction: for
    /// readers that promise at least once, and where nothing was written. Fails as [`TransportErrorKind::Fenced`](super::TransportErrorKind::Fenced) when
    /// the member's place is no longer the group's.
    fn commit(&mut self, offsets: &BTreeMap<TopicPartition, Position>) -> Result<(), TransportError>;

    /// The offsets committed under the group for these partitions, whoever has them, like
    /// [`Admin::committed_offsets`](super::Admin::committed_offsets), which needs a client of its own for it.
    fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<Position>>, TransportError>;

    /// Has the group look again at how many partitions its topics have, and share them out anew when there are more. To be
    /// called when that is known ([`Admin::glance`](super::Admin::glance)); without it a group learns of it some minutes later.
    fn refresh(&mut self) -> Result<(), TransportError>;

    /// This member's place as it is now, for [`Sink::commit`](super::Sink::commit): that of the latest `Assigned`, until it is released
    /// or lost. Without one it is a place that every commit refuses as [`TransportErrorKind::Fenced`](super::TransportErrorKind::Fenced).
    fn membership(&self) -> Membership;
}

/// What a group tells a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberEvent {
    /// These partitions, and no others, are this member's now; there may be none. In order.
    Assigned(Vec<TopicPartition>),
    /// All partitions are to be given up. What was done so far may still be committed, then
    /// [`Member::release`] is called; an `Assigned` follows. A group waits for minutes, not for ever: to who is
    /// later than that a commit says [`TransportErrorKind::Fenced`](super::TransportErrorKind::Fenced).
    Revoked,
    /// All partitions are someone else's already: nothing can be committed any more. An `Assigned` follows.
    Lost,
}

/// A place in a consumer group, under which offsets are committed.
#[derive(Clone)]
pub struct Membership {
    group: Arc<str>,
    /// What the transport that made it knows of the member: its id and the group's generation.
    place: Option<Arc<dyn Any + Send + Sync>>,
}

impl Membership {
    /// A group without members, whose offsets anybody may commit.
    pub fn outside(group: &str) -> Self {
        Self { group: Arc::from(group), place: None }
    }

    /// A member's place, in the terms of the transport that will be asked to commit under it.
    pub(crate) fn inside(group: &str, place: impl Any + Send + Sync) -> Self {
        Self { group: Arc::from(group), place: Some(Arc::new(place)) }
    }

    /// The group's name.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// What [`Self::inside`] was given; `None` outside. A place on another transport is refused.
    pub(crate) fn place<T: Any>(&self) -> Result<Option<&T>, TransportError> {
        let Some(place) = self.place.as_deref() else { return Ok(None) };
        let message = || format!("the place in group \"{}\" is one of another transport", self.group);
        place.downcast_ref().map(Some).ok_or_else(|| TransportError::invalid(message()))
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership").field("group", &self.group).field("inside", &self.place.is_some()).finish()
    }
}
