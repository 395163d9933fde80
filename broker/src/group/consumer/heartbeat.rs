//! The heartbeat: the only request with which a member joins, takes over partitions, and leaves.
//!
//! Separate because it is the interface of the coordinator.

use std::collections::BTreeSet;

use kafka_protocol::ResponseError;
use uuid::Uuid;

use super::assignor::Assignor;
use super::subscription::Pattern;

/// The epoch of a member that joins, or begins again after it was fenced.
const JOINING: i32 = 0;
/// The epoch of a member that leaves for good.
pub(super) const LEAVING: i32 = -1;
/// The epoch of a static member that leaves and will come back.
pub(super) const AWAY: i32 = -2;

/// A partition, by the id of its topic: a new topic of the same name is another one.
pub(crate) type Partition = (Uuid, i32);
/// A set of partitions.
pub(crate) type Partitions = BTreeSet<Partition>;

/// The id of a topic, and how many partitions it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TopicShape {
    pub(crate) id: Uuid,
    pub(crate) partitions: i32,
}

/// The topics that there are.
pub(crate) trait Catalog {
    /// The shape of a topic, if it exists.
    fn shape(&self, topic: &str) -> Option<TopicShape>;
    /// The names of all topics.
    fn names(&self) -> Vec<String>;
}

/// What a member says. After it has joined, it leaves out what has not changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heartbeat {
    pub(crate) member_id: String,
    pub(crate) epoch: i32,
    pub(crate) instance_id: Option<String>,
    pub(crate) rack_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) rebalance_timeout_ms: Option<i32>,
    pub(crate) topics: Option<BTreeSet<String>>,
    /// A regular expression that the names of topics match; empty for none.
    pub(crate) pattern: Option<String>,
    pub(crate) assignor: Option<String>,
    pub(crate) owned: Option<Partitions>,
}

/// What a member is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HeartbeatReply {
    pub(crate) member_id: String,
    pub(crate) epoch: i32,
    /// What the member may read from now on; `None` if it has not changed.
    pub(crate) assignment: Option<Partitions>,
}

/// Why a heartbeat was refused.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) error: ResponseError,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(error: ResponseError, message: impl Into<String>) -> Refusal {
        Refusal { error, message: message.into() }
    }

    pub(in crate::group) fn unknown_member(id: &str) -> Refusal {
        Refusal::new(ResponseError::UnknownMemberId, format!("Member {id} is not a member of the group."))
    }
}

/// The parts of a heartbeat that are more than text.
pub(super) struct Parsed {
    pub(super) pattern: Option<Option<Pattern>>,
    pub(super) assignor: Option<Assignor>,
}

impl Heartbeat {
    pub(crate) fn joins(&self) -> bool {
        self.epoch == JOINING
    }

    /// Whether the member repeats everything, as if the last reply was lost.
    pub(super) fn is_full(&self) -> bool {
        let subscribes = self.topics.is_some() || self.pattern.is_some();
        self.joins() || (subscribes && self.rebalance_timeout_ms.is_some() && self.owned.is_some())
    }

    /// Checks what can be checked without the group.
    pub(super) fn parse(&self) -> Result<Parsed, Refusal> {
        if let Some(message) = self.flaw() {
            return Err(Refusal::new(ResponseError::InvalidRequest, message));
        }
        let assignor = self.assignor.as_deref().map(Assignor::parse).transpose()?;
        Ok(Parsed { pattern: self.pattern.as_deref().map(Pattern::parse).transpose()?, assignor })
    }

    fn flaw(&self) -> Option<&'static str> {
        let is_empty = |text: &Option<String>| text.as_ref().is_some_and(String::is_empty);
        let subscribes = self.topics.as_ref().is_some_and(|topics| !topics.is_empty()) || self.has_pattern();
        match self.epoch {
            _ if self.member_id.is_empty() => Some("MemberId can't be empty."),
            _ if is_empty(&self.instance_id) => Some("InstanceId can't be empty."),
            _ if is_empty(&self.rack_id) => Some("RackId can't be empty."),
            JOINING if self.rebalance_timeout_ms.is_none() => {
                Some("RebalanceTimeoutMs must be provided in first request.")
            }
            JOINING if self.owned.as_ref().is_none_or(|owned| !owned.is_empty()) => {
                Some("TopicPartitions must be empty when (re-)joining.")
            }
            JOINING if !subscribes => {
                Some("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.")
            }
            AWAY if self.instance_id.is_none() => Some("InstanceId can't be null."),
            epoch if epoch < AWAY => Some("MemberEpoch is invalid."),
            _ => None,
        }
    }

    fn has_pattern(&self) -> bool {
        self.pattern.as_ref().is_some_and(|pattern| !pattern.is_empty())
    }
}
