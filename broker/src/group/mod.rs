//! Consumer groups: members, assignments and committed offsets, with the classic protocol and with that of KIP-848 (`consumer`).
//!
//! Separate because groups know neither logs nor sockets. `registry` holds the requests that wait for replies and
//! writes to the journal; the others do no I/O: requests and the time go in, replies come out, possibly later.

mod consumer;
mod coordinator;
mod expiry;
mod joining;
mod kept;
mod member;
mod members;
mod offsets;
mod rebalance;
mod registry;
mod request;
mod subscription;

pub(crate) use consumer::{Catalog, ConsumerGroup, Heartbeat, Partitions, Refusal, TopicShape};
pub(crate) use coordinator::{Group, GroupState};
pub(crate) use member::Member;
pub(crate) use members::Members;
pub(crate) use offsets::Offsets;
pub(crate) use registry::{GroupView, Groups, Timeouts};
pub(crate) use request::{Caller, Join, JoinReply, JoinedMember, Leaver, Sync, SyncReply, UNKNOWN_GENERATION};
