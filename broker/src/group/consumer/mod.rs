//! Consumer groups with the protocol of KIP-848: the coordinator assigns, and members learn their partitions from heartbeats.
//!
//! Separate from the classic protocol because the two share nothing but committed offsets: here nobody waits for others. Every request is
//! answered at once, and a partition goes to its next member as soon as the former one has said that it no longer owns it. Like the
//! classic coordinator, nothing here does I/O, and members do not survive the broker: they are told that they are unknown, and join again.
//!
//! ```text
//! group epoch    grows when members, subscriptions or partitions change; then the target of every member is computed
//! member epoch   becomes the group's once a member owns nothing any more that is not in its target
//!
//! Stable ──▶ Revoking (in its epoch, until it owns no partition of others) ──▶ Waiting (for what others still own) ──▶ Stable
//! ```

mod assignor;
mod group;
mod heartbeat;
mod member;
mod subscription;

pub(crate) use group::ConsumerGroup;
pub(crate) use heartbeat::{Catalog, Heartbeat, HeartbeatReply, Partitions, Refusal, TopicShape};
