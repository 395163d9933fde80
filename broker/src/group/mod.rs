//! Consumer groups with the classic protocol: members, assignments and committed offsets.
//!
//! Separate because groups know neither logs nor sockets. `registry` holds the requests that wait for replies and
//! writes to the journal; the others do no I/O: requests and the time go in, replies come out, possibly later.

mod coordinator;
mod expiry;
mod joining;
mod member;
mod offsets;
mod rebalance;
mod registry;
mod request;
mod subscription;

pub(crate) use coordinator::{Group, GroupState};
pub(crate) use member::Member;
pub(crate) use offsets::Offsets;
pub(crate) use registry::{GroupView, Groups};
pub(crate) use request::{Caller, Join, JoinReply, JoinedMember, Leaver, Sync, SyncReply, UNKNOWN_GENERATION};
pub(crate) use subscription::subscribed_topics;
