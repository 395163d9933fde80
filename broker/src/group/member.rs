//! A member of a group.
//!
//! Separate because a member is more than an id: it has protocols, an assignment, waiting requests and a session that
//! expires.

use bytes::Bytes;

use super::request::{Join, JoinedMember, Token};

/// A member of a group.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) assignment: Bytes,
    pub(super) session_timeout_ms: i32,
    pub(super) rebalance_timeout_ms: i32,
    pub(super) protocols: Vec<(String, Bytes)>,
    /// The JoinGroup request that waits for the other members.
    pub(super) joining: Option<Token>,
    /// The SyncGroup request that waits for the leader.
    pub(super) syncing: Option<Token>,
    /// When the session expires, unless one of the member's requests is waiting.
    pub(super) deadline_ms: i64,
}

impl Member {
    pub(super) fn new(id: String, join: &Join, now_ms: i64) -> Member {
        let mut member = Member {
            id,
            instance_id: join.instance_id.clone(),
            client_id: String::new(),
            client_host: String::new(),
            assignment: Bytes::new(),
            session_timeout_ms: 0,
            rebalance_timeout_ms: 0,
            protocols: Vec::new(),
            joining: None,
            syncing: None,
            deadline_ms: 0,
        };
        member.update(join, now_ms);
        member
    }

    /// Updates the member from a join request.
    pub(super) fn update(&mut self, join: &Join, now_ms: i64) {
        self.client_id.clone_from(&join.client_id);
        self.client_host.clone_from(&join.client_host);
        self.session_timeout_ms = join.session_timeout_ms;
        self.rebalance_timeout_ms = join.rebalance_timeout_ms;
        self.protocols.clone_from(&join.protocols);
        self.heard_of(now_ms);
    }

    pub(super) fn heard_of(&mut self, now_ms: i64) {
        self.deadline_ms = now_ms + i64::from(self.session_timeout_ms);
    }

    /// When the session expires; `None` while one of the member's requests is waiting.
    pub(super) fn deadline_ms(&self) -> Option<i64> {
        (self.joining.is_none() && self.syncing.is_none()).then_some(self.deadline_ms)
    }

    pub(super) fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|(name, _)| name == protocol)
    }

    /// The member's metadata for a protocol.
    pub(crate) fn metadata(&self, protocol: Option<&str>) -> Bytes {
        let said = self.protocols.iter().find(|(name, _)| Some(name.as_str()) == protocol);
        said.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    pub(super) fn seen_by_leader(&self, protocol: Option<&str>) -> JoinedMember {
        JoinedMember {
            member_id: self.id.clone(),
            instance_id: self.instance_id.clone(),
            metadata: self.metadata(protocol),
        }
    }
}
