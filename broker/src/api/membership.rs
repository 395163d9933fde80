//! JoinGroup, SyncGroup, Heartbeat and LeaveGroup: group membership.
//!
//! Separate from the other group requests because two of these wait for other members.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::{Call, code, text};
use crate::clock::now_ms;
use crate::config::MEMBER_BYTES_MAX;
use crate::group::{Caller, Join, JoinReply, Leaver, Sync, SyncReply};

/// Joins the group and waits for the next generation.
pub(crate) async fn join(call: &Call, request: JoinGroupRequest) -> JoinGroupResponse {
    let group = request.group_id.to_string();
    let metadata_bytes = request.protocols.iter().map(|one| one.metadata.len()).sum();
    let reply = if group.is_empty() {
        JoinReply::refused(ResponseError::InvalidGroupId, &request.member_id)
    } else if is_too_large(&group, metadata_bytes) {
        JoinReply::refused(ResponseError::InvalidRequest, &request.member_id)
    } else {
        call.core.groups.join(&group, join_of(call, request), now_ms()).await
    };
    join_answer(call.version, reply)
}

/// Metadata and assignments stay in memory for as long as the member stays in the group, so their size is limited.
pub(super) fn is_too_large(group: &str, bytes: usize) -> bool {
    let too_large = bytes > MEMBER_BYTES_MAX;
    if too_large {
        tracing::warn!(group, bytes, limit = MEMBER_BYTES_MAX, "refused a member's metadata or assignments: too large");
    }
    too_large
}

/// Copies the bytes: a slice would keep the whole request in memory.
fn copied(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn join_of(call: &Call, request: JoinGroupRequest) -> Join {
    let prefix = request.group_instance_id.as_ref().map_or(call.client_id.as_str(), |instance| instance.as_str());
    // Version 0 uses the session timeout as the rebalance timeout.
    let rebalance_timeout_ms =
        if call.version >= 1 { request.rebalance_timeout_ms } else { request.session_timeout_ms };
    Join {
        member_id: request.member_id.to_string(),
        fresh_member_id: format!("{prefix}-{}", Uuid::new_v4()),
        instance_id: request.group_instance_id.as_ref().map(StrBytes::to_string),
        client_id: call.client_id.clone(),
        client_host: format!("/{}", call.peer.ip()),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms,
        protocol_type: request.protocol_type.to_string(),
        protocols: request.protocols.into_iter().map(|one| (one.name.to_string(), copied(&one.metadata))).collect(),
        id_required: call.version >= 4,
        can_skip_assignment: call.version >= 9,
    }
}

fn join_answer(version: i16, reply: JoinReply) -> JoinGroupResponse {
    let member = |member: crate::group::JoinedMember| {
        JoinGroupResponseMember::default()
            .with_member_id(text(member.member_id))
            .with_group_instance_id(member.instance_id.map(text).filter(|_| version >= 5))
            .with_metadata(member.metadata)
    };
    JoinGroupResponse::default()
        .with_error_code(reply.error.map_or(0, |error| error.code()))
        .with_generation_id(reply.generation)
        .with_protocol_type(Some(text(reply.protocol_type)).filter(|_| version >= 7))
        .with_protocol_name(protocol_name(version, reply.protocol))
        .with_leader(text(reply.leader))
        .with_skip_assignment(reply.skip_assignment)
        .with_member_id(text(reply.member_id))
        .with_members(reply.members.into_iter().map(member).collect())
}

/// Before version 7 the protocol name cannot be null.
fn protocol_name(version: i16, name: Option<String>) -> Option<StrBytes> {
    name.map(text).or_else(|| (version < 7).then(StrBytes::default))
}

/// Returns the member's assignment; waits until the leader has sent it.
pub(crate) async fn sync(call: &Call, request: SyncGroupRequest) -> SyncGroupResponse {
    let group = request.group_id.to_string();
    let assignment_bytes = request.assignments.iter().map(|one| one.assignment.len()).sum();
    let reply = if group.is_empty() {
        SyncReply::refused(ResponseError::InvalidGroupId)
    } else if is_too_large(&group, assignment_bytes) {
        SyncReply::refused(ResponseError::InvalidRequest)
    } else {
        call.core.groups.sync(&group, sync_of(request), now_ms()).await
    };
    SyncGroupResponse::default()
        .with_error_code(reply.error.map_or(0, |error| error.code()))
        .with_protocol_type(Some(text(reply.protocol_type)).filter(|_| call.version >= 5))
        .with_protocol_name(reply.protocol.map(text).filter(|_| call.version >= 5))
        .with_assignment(reply.assignment)
}

fn sync_of(request: SyncGroupRequest) -> Sync {
    let assignments = request.assignments.into_iter();
    Sync {
        caller: Caller {
            member_id: request.member_id.to_string(),
            instance_id: request.group_instance_id.as_ref().map(StrBytes::to_string),
            generation: request.generation_id,
        },
        protocol_type: request.protocol_type.as_ref().map(StrBytes::to_string),
        protocol: request.protocol_name.as_ref().map(StrBytes::to_string),
        assignments: assignments.map(|one| (one.member_id.to_string(), copied(&one.assignment))).collect(),
    }
}

/// Extends the member's session.
pub(crate) fn heartbeat(call: &Call, request: HeartbeatRequest) -> HeartbeatResponse {
    let caller = Caller {
        member_id: request.member_id.to_string(),
        instance_id: request.group_instance_id.as_ref().map(StrBytes::to_string),
        generation: request.generation_id,
    };
    let heard = call.core.groups.heartbeat(&request.group_id, &caller, now_ms());
    HeartbeatResponse::default().with_error_code(code(&heard))
}

/// Removes members from the group; before version 3 a request names one member.
pub(crate) fn leave(call: &Call, request: LeaveGroupRequest) -> LeaveGroupResponse {
    let leave_one = |leaver: &Leaver| code(&call.core.groups.leave(&request.group_id, leaver, now_ms()));
    if call.version < 3 {
        let leaver = Leaver { member_id: request.member_id.to_string(), instance_id: None };
        return LeaveGroupResponse::default().with_error_code(leave_one(&leaver));
    }
    let leave_named = |member: &MemberIdentity| {
        let leaver = Leaver {
            member_id: member.member_id.to_string(),
            instance_id: member.group_instance_id.as_ref().map(StrBytes::to_string),
        };
        MemberResponse::default()
            .with_member_id(member.member_id.clone())
            .with_group_instance_id(member.group_instance_id.clone())
            .with_error_code(leave_one(&leaver))
    };
    LeaveGroupResponse::default().with_members(request.members.iter().map(leave_named).collect())
}
