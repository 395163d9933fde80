//! Requests about consumer groups of the newer protocol.

use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::{ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, GroupId};

use super::{Added, Requests, text, topic};

/// Another group than that of the classic protocol, because a group has one protocol.
const GROUP: &str = "newer";
const MEMBER: &str = "member-2";

fn group() -> GroupId {
    GroupId(text(GROUP))
}

/// Of a member that joins, by names and if possible by a pattern, and of one that leaves.
pub(super) fn heartbeat(to: &mut Requests) -> Added {
    let request = ConsumerGroupHeartbeatRequest::default().with_group_id(group()).with_member_id(text(MEMBER));
    let joining = request.clone().with_member_epoch(0).with_rebalance_timeout_ms(1_000);
    let owned = TopicPartitions::default().with_partitions(vec![0, 1]);
    let by_name =
        joining.clone().with_subscribed_topic_names(Some(vec![topic()])).with_topic_partitions(Some(vec![owned]));
    to.add(&by_name.with_server_assignor(Some(text("uniform"))))?;
    to.add(&request.with_member_epoch(-1))?;
    match to.version {
        1.. => to.add(&joining.with_subscribed_topic_regex(Some(text("tar.*|a+(b|c)*")))),
        _ => Ok(()),
    }
}

pub(super) fn describe(to: &mut Requests) -> Added {
    to.add(&ConsumerGroupDescribeRequest::default().with_group_ids(vec![group(), group()]))
}
