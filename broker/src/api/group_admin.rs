//! ListGroups, DescribeGroups and DeleteGroups: administration of groups.
//!
//! Separate from membership because none of these changes who is a member.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse, GroupId,
    ListGroupsRequest, ListGroupsResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{Call, code, once, text};
use crate::group::{Group, GroupState, Member, Members};

/// Lists all groups, or those in the given states and of the given types.
pub(crate) fn list(call: &Call, request: ListGroupsRequest) -> ListGroupsResponse {
    let wanted = |filter: &[StrBytes], value: &str| {
        filter.is_empty() || filter.iter().any(|one| one.eq_ignore_ascii_case(value))
    };
    let listed = |id: String| {
        let (state, group_type, protocol_type) = call.core.groups.inspect(&id, |view| {
            (view.members.state_name(), view.members.type_name(), view.members.protocol_type().to_owned())
        })?;
        let shown = wanted(&request.states_filter, state) && wanted(&request.types_filter, group_type);
        let group = ListedGroup::default().with_group_id(GroupId(text(id))).with_protocol_type(text(protocol_type));
        let group = if call.version >= 4 { group.with_group_state(text(state)) } else { group };
        let group = if call.version >= 5 { group.with_group_type(text(group_type)) } else { group };
        shown.then_some(group)
    };
    ListGroupsResponse::default().with_groups(call.core.groups.ids().into_iter().filter_map(listed).collect())
}

/// Describes classic groups with their members and assignments.
pub(crate) fn describe(call: &Call, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    let describe_one = |id: GroupId| {
        let described = call.core.groups.inspect(&id, |view| match view.members {
            Members::Classic(group) => described(call.version, group),
            Members::Consumer(_) => dead(call.version, format!("Group {} is not a classic group.", id.as_str())),
        });
        let unknown = || dead(call.version, format!("Group {} not found.", id.as_str()));
        described.unwrap_or_else(unknown).with_group_id(id)
    };
    let groups = once(request.groups, GroupId::clone);
    DescribeGroupsResponse::default().with_groups(groups.into_iter().map(describe_one).collect())
}

fn described(version: i16, group: &Group) -> DescribedGroup {
    let protocol = group.protocol().filter(|_| group.state() == GroupState::Stable);
    let member = |member: &Member| {
        let instance = member.instance_id.clone().map(text).filter(|_| version >= 4);
        DescribedGroupMember::default()
            .with_member_id(text(&member.id))
            .with_group_instance_id(instance)
            .with_client_id(text(&member.client_id))
            .with_client_host(text(&member.client_host))
            .with_member_metadata(member.metadata(protocol))
            .with_member_assignment(member.assignment.clone())
    };
    DescribedGroup::default()
        .with_group_state(text(group.state().name()))
        .with_protocol_type(text(group.protocol_type()))
        .with_protocol_data(text(protocol.unwrap_or_default()))
        .with_members(group.members().map(member).collect())
}

/// A classic group that does not exist: an error since version 6, the state "Dead" before.
fn dead(version: i16, message: String) -> DescribedGroup {
    let dead = DescribedGroup::default().with_group_state(text("Dead"));
    if version < 6 {
        return dead;
    }
    dead.with_error_code(ResponseError::GroupIdNotFound.code()).with_error_message(Some(text(message)))
}

/// Deletes groups without members, together with their offsets.
pub(crate) fn delete(call: &Call, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let delete_one = |id: GroupId| {
        let deleted = call.core.groups.delete(&id);
        DeletableGroupResult::default().with_error_code(code(&deleted)).with_group_id(id)
    };
    DeleteGroupsResponse::default().with_results(request.groups_names.into_iter().map(delete_one).collect())
}
