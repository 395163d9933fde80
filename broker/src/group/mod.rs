//! Consumer groups by the classic protocol: who is in, who reads what, and how far a group has read.
//!
//! Apart because groups know neither logs nor sockets. `coordinator`, `joining`, `rebalance` and `member` are still: requests and
//! the time go in, replies come out, perhaps later; `registry` holds the requests that wait for them.

mod coordinator;
mod joining;
mod member;
mod offsets;
mod rebalance;
mod registry;
mod request;

pub(crate) use coordinator::{Group, GroupState};
pub(crate) use member::Member;
pub(crate) use offsets::Offsets;
pub(crate) use registry::{GroupView, Groups};
pub(crate) use request::{Caller, Join, JoinReply, JoinedMember, Leaver, Sync, SyncReply, UNKNOWN_GENERATION};
