//! Consumer groups: a member, the events it receives, and its membership, with which offsets are committed.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use headwater_formats::record::TopicPartition;

use super::{Position, TransportError};

/// The group and the topics that a member joins for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPlan {
    /// The group's name.
    pub group: String,
    /// The topics whose partitions are assigned.
    pub topics: Vec<Arc<str>>,
}

/// A member of a consumer group: the broker assigns partitions to it, and revokes them again.
///
/// ```text
/// Assigned ─┬─ Revoked ─ (last commit) ─ release ─┬─ Assigned …
///           └─ Lost ──────────────────────────────┘
/// ```
///
/// Every `Assigned` is ended by a `Revoked` or a `Lost` before the next one, even if it had no partitions. Dropping the
/// member leaves the group immediately; this takes as long as the coordinator takes to answer, at most seconds.
///
/// ```
/// use std::time::Duration;
///
/// use headwater_connectors::transport::memory::MemoryTransport;
/// use headwater_connectors::transport::{GroupPlan, MemberEvent, NewTopic, Transport};
///
/// let cluster = MemoryTransport::new();
/// let orders = NewTopic { name: "orders".into(), partitions: 4, replicas: None, settings: Default::default() };
/// cluster.admin().create_topic(&orders)?;
/// let plan = GroupPlan { group: "readers".into(), topics: vec!["orders".into()] };
///
/// let mut first = cluster.join_group(plan.clone())?;
/// assert!(matches!(first.poll(Duration::ZERO)?, Some(MemberEvent::Assigned(all)) if all.len() == 4));
///
/// // Another member joins: the first releases everything, and then each gets half of the partitions.
/// let mut second = cluster.join_group(plan)?;
/// assert_eq!(second.poll(Duration::ZERO)?, None);
/// assert_eq!(first.poll(Duration::ZERO)?, Some(MemberEvent::Revoked));
/// first.release()?;
/// assert!(matches!(first.poll(Duration::ZERO)?, Some(MemberEvent::Assigned(half)) if half.len() == 2));
/// assert!(matches!(second.poll(Duration::ZERO)?, Some(MemberEvent::Assigned(half)) if half.len() == 2));
/// # Ok::<(), headwater_connectors::transport::TransportError>(())
/// ```
pub trait Member: Send {
    /// Serves the group and returns its next event, waiting at most `timeout` for one. A member that does not call
    /// this for minutes, or whose process is gone for some seconds, is removed from the group. Fails only where trying
    /// again will not help; it waits for a coordinator that cannot be reached.
    fn poll(&mut self, timeout: Duration) -> Result<Option<MemberEvent>, TransportError>;

    /// Confirms that the revoked partitions are released. Must be called once after each [`MemberEvent::Revoked`]: the
    /// group waits for it, and no member makes progress meanwhile. An error when nothing was revoked.
    fn release(&mut self) -> Result<(), TransportError>;

    /// Commits a position for each partition as this member of the group, outside of any transaction: for at-least-once
    /// readers, and when nothing was written. Fails with
    /// [`TransportErrorKind::Fenced`](super::TransportErrorKind::Fenced) when the member no longer belongs to the
    /// group's current generation.
    fn commit(&mut self, offsets: &BTreeMap<TopicPartition, Position>) -> Result<(), TransportError>;

    /// The offsets committed under the group for these partitions, whichever member they are assigned to.
    /// [`Admin::committed_offsets`](super::Admin::committed_offsets) does the same with a separate client.
    fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<Position>>, TransportError>;

    /// Makes the group check how many partitions its topics have, and rebalance when there are more. Call it when more
    /// are known to exist ([`Admin::glance`](super::Admin::glance)); otherwise a group notices some minutes later.
    fn refresh(&mut self) -> Result<(), TransportError>;

    /// The current membership, for [`Sink::commit`](super::Sink::commit): that of the latest `Assigned`, until it is
    /// released or lost. Without an assignment, every commit with it fails with
    /// [`TransportErrorKind::Fenced`](super::TransportErrorKind::Fenced).
    fn membership(&self) -> Membership;
}

/// What happens to a member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberEvent {
    /// This member now has these partitions and no others, in order; there may be none.
    Assigned(Vec<TopicPartition>),
    /// All partitions are being revoked. Work done so far may still be committed; then call [`Member::release`], after
    /// which an `Assigned` follows. The group waits for minutes, not forever: a later commit fails with
    /// [`TransportErrorKind::Fenced`](super::TransportErrorKind::Fenced).
    Revoked,
    /// All partitions already belong to other members: nothing can be committed any more. An `Assigned` follows.
    Lost,
}

/// A membership of a consumer group, with which offsets are committed.
#[derive(Clone)]
pub struct Membership {
    group: Arc<str>,
    /// What the transport that created it knows about the member: its id and the group's generation.
    member: Option<Arc<dyn Any + Send + Sync>>,
}

impl Membership {
    /// A group without members, for which anyone may commit offsets.
    pub fn outside(group: &str) -> Self {
        Self { group: Arc::from(group), member: None }
    }

    /// The membership of one member, in the types of the transport that will commit with it.
    pub(crate) fn of_member(group: &str, member: impl Any + Send + Sync) -> Self {
        Self { group: Arc::from(group), member: Some(Arc::new(member)) }
    }

    /// The group's name.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// What [`Self::of_member`] was given; `None` for [`Self::outside`]. Fails for a membership of another transport.
    pub(crate) fn member<T: Any>(&self) -> Result<Option<&T>, TransportError> {
        let Some(member) = self.member.as_deref() else { return Ok(None) };
        let message = || format!("the membership of group \"{}\" belongs to another transport", self.group);
        member.downcast_ref().map(Some).ok_or_else(|| TransportError::invalid(message()))
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership").field("group", &self.group).field("inside", &self.member.is_some()).finish()
    }
}
