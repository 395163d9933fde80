//! Members that go on after a restart.
//!
//! Separate because the coordinator does not know the journal: it only says when there is something new to keep. Members are kept
//! when their partitions are assigned, as in Kafka; what changed since then they find out when they join again.

use super::coordinator::{Group, GroupState};
use super::member::Member;
use crate::meta::{KeptBytes, KeptMember, KeptMembers};

impl Group {
    /// The members to keep, if they have not been returned since the last change.
    pub(super) fn poll_kept(&mut self) -> Option<KeptMembers> {
        std::mem::take(&mut self.is_new).then(|| KeptMembers {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            members: self.members.values().map(Member::kept).collect(),
        })
    }

    /// The group with the members that the last broker kept. Their sessions begin now.
    pub(super) fn resumed(self, kept: KeptMembers, now_ms: i64) -> Group {
        let KeptMembers { generation, protocol_type, protocol, leader, members } = kept;
        let members = members.into_iter().map(|kept| (kept.id.clone(), Member::resumed(kept, now_ms))).collect();
        let state = GroupState::Stable;
        Group { state, generation, protocol_type, protocol, leader, members, empty_since_ms: None, ..self }
    }
}

impl Member {
    fn kept(&self) -> KeptMember {
        let protocol = |(name, metadata): &(String, bytes::Bytes)| (name.clone(), KeptBytes(metadata.clone()));
        KeptMember {
            id: self.id.clone(),
            instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            session_timeout_ms: self.session_timeout_ms,
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            protocols: self.protocols.iter().map(protocol).collect(),
            assignment: KeptBytes(self.assignment.clone()),
        }
    }

    fn resumed(kept: KeptMember, now_ms: i64) -> Member {
        let mut member = Member {
            id: kept.id,
            instance_id: kept.instance_id,
            client_id: kept.client_id,
            client_host: kept.client_host,
            assignment: kept.assignment.0,
            session_timeout_ms: kept.session_timeout_ms,
            rebalance_timeout_ms: kept.rebalance_timeout_ms,
            protocols: kept.protocols.into_iter().map(|(name, metadata)| (name, metadata.0)).collect(),
            joining: None,
            syncing: None,
            deadline_ms: 0,
        };
        member.heard_of(now_ms);
        member
    }
}
