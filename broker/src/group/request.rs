//! The requests and replies of a group.
//!
//! Separate because they are the interface of the coordinator.

use bytes::Bytes;
use kafka_protocol::ResponseError;

/// The generation of a caller that is not a member.
pub(crate) const UNKNOWN_GENERATION: i32 = -1;

/// Identifies a request that waits for its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Token(pub(crate) u64);

/// A request to join the group.
#[derive(Clone, Debug)]
pub(crate) struct Join {
    /// Empty for a new member.
    pub(crate) member_id: String,
    /// The id for a new member. The caller generates it, because the coordinator has no randomness of its own.
    pub(crate) fresh_member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) session_timeout_ms: i32,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) protocol_type: String,
    /// The assignment protocols with the member's metadata, in order of preference.
    pub(crate) protocols: Vec<(String, Bytes)>,
    /// Whether a new member must join again with the id it is given (since JoinGroup 4).
    pub(crate) id_required: bool,
    /// Whether the client knows that a leader can be told to skip the assignment (since JoinGroup 9).
    pub(crate) can_skip_assignment: bool,
}

/// The member that sends a request, and its generation.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) generation: i32,
}

/// A request for a member's assignment; the leader sends those of all members with it.
#[derive(Clone, Debug)]
pub(crate) struct Sync {
    pub(crate) caller: Caller,
    /// Checked if given (since SyncGroup 5).
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) assignments: Vec<(String, Bytes)>,
}

/// A member that leaves; a static member can be identified by its instance id alone.
#[derive(Clone, Debug)]
pub(crate) struct Leaver {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
}

/// The reply to a request, immediately or later.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    Join(JoinReply),
    Sync(SyncReply),
}

/// The group as one member sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JoinReply {
    pub(crate) error: Option<ResponseError>,
    pub(crate) generation: i32,
    pub(crate) protocol_type: String,
    pub(crate) protocol: Option<String>,
    pub(crate) leader: String,
    pub(crate) skip_assignment: bool,
    pub(crate) member_id: String,
    /// All members; filled only for the leader.
    pub(crate) members: Vec<JoinedMember>,
}

/// A member as the leader sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JoinedMember {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) metadata: Bytes,
}

/// A member's assignment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SyncReply {
    pub(crate) error: Option<ResponseError>,
    pub(crate) protocol_type: String,
    pub(crate) protocol: Option<String>,
    pub(crate) assignment: Bytes,
}

impl JoinReply {
    pub(crate) fn refused(error: ResponseError, member_id: &str) -> JoinReply {
        JoinReply {
            error: Some(error),
            generation: UNKNOWN_GENERATION,
            protocol_type: String::new(),
            protocol: None,
            leader: String::new(),
            skip_assignment: false,
            member_id: member_id.to_owned(),
            members: Vec::new(),
        }
    }
}

impl SyncReply {
    pub(crate) fn refused(error: ResponseError) -> SyncReply {
        SyncReply { error: Some(error), protocol_type: String::new(), protocol: None, assignment: Bytes::new() }
    }
}
