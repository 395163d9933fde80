//! What a group is asked and what it says.
//!
//! Apart because it is the boundary between the still coordinator and those who talk to it.

use bytes::Bytes;
use kafka_protocol::ResponseError;

/// The generation of one who is no member.
pub(crate) const UNKNOWN_GENERATION: i32 = -1;

/// Names a request that waits for its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Token(pub(crate) u64);

/// A wish to be in the group.
#[derive(Clone, Debug)]
pub(crate) struct Join {
    /// Empty for one who is new.
    pub(crate) member_id: String,
    /// The id a member gets if it needs one; ids are made by the caller, who has the randomness.
    pub(crate) fresh_member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) session_timeout_ms: i32,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) protocol_type: String,
    /// Ways to assign with the member's metadata, the preferred one first.
    pub(crate) protocols: Vec<(String, Bytes)>,
    /// A new member has to come back with the id it is given (from JoinGroup 4 on).
    pub(crate) id_required: bool,
    /// The client knows that a leader may be told to skip the assignment (from JoinGroup 9 on).
    pub(crate) can_skip_assignment: bool,
}

/// Who speaks, and of which generation.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) generation: i32,
}

/// A wish to know one's assignment; the leader brings everyone's.
#[derive(Clone, Debug)]
pub(crate) struct Sync {
    pub(crate) caller: Caller,
    /// Checked when they are given (from SyncGroup 5 on).
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) assignments: Vec<(String, Bytes)>,
}

/// One who goes; a static member may be named by its instance alone.
#[derive(Clone, Debug)]
pub(crate) struct Leaver {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
}

/// What a request is told, now or later.
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
    /// Everyone, for the leader only.
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
