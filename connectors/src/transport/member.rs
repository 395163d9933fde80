//! Consumer groups: a member, the events it receives, and its membership, under which offsets are committed.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use headwater_formats::record::TopicPartition;

use super::{Position, TransportError};

/// What a member of a consumer group wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPlan {
    /// The group's name.
    pub group: String,
    /// The topics whose partitions are assigned.
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
/// // Another member joins: the first gives everything up, and then each has a half.
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

    /// Confirms that the revoked partitions are released. To be called once after each [`MemberEvent::Revoked`]: the group
    /// waits for it, and no member makes progress meanwhile. Refused when nothing was revoked.
    fn release(&mut self) -> Result<(), TransportError>;

    /// Commits the place of each partition under this member's place in the group, outside of any transaction: for
    /// readers that promise at least once, and where nothing was written. Fails as [`TransportErrorKind::Fenced`](super::TransportErrorKind::Fenced) when
    /// the member's place is no longer the group's.
    fn commit(&mut self, offsets: &BTreeMap<TopicPartition, Position>) -> Result<(), TransportError>;

    /// The offsets committed under the group for these partitions, whichever member they are assigned to, like
    /// [`Admin::committed_offsets`](super::Admin::committed_offsets), which needs a client of its own for it.
    fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Option<Position>>, TransportError>;

    /// Makes the group check how many partitions its topics have, and rebalance when there are more. To be
    /// called when more are known to exist ([`Admin::glance`](super::Admin::glance)); without it a group learns of it some minutes later.
    fn refresh(&mut self) -> Result<(), TransportError>;

    /// This member's place as it is now, for [`Sink::commit`](super::Sink::commit): that of the latest `Assigned`, until it is released
    /// or lost. Without one it is a place that every commit refuses as [`TransportErrorKind::Fenced`](super::TransportErrorKind::Fenced).
    fn membership(&self) -> Membership;
}

/// What happens to a member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberEvent {
    /// This member now has these partitions and no others; there may be none. In order.
    Assigned(Vec<TopicPartition>),
    /// All partitions are being revoked. Work done so far may still be committed; then
    /// [`Member::release`] is called, and an `Assigned` follows. A group waits for minutes, not forever: a commit that
    /// comes later fails as [`TransportErrorKind::Fenced`](super::TransportErrorKind::Fenced).
    Revoked,
    /// All partitions already belong to other members: nothing can be committed any more. An `Assigned` follows.
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
        let message = || format!("the place in group \"{}\" belongs to another transport", self.group);
        place.downcast_ref().map(Some).ok_or_else(|| TransportError::invalid(message()))
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership").field("group", &self.group).field("inside", &self.place.is_some()).finish()
    }
}
