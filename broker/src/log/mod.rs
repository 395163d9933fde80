//! The log of a partition: raw record batches in segments, with the state that can be derived from them.
//!
//! Separate because this module knows bytes, offsets and producers, but no topics, groups or connections. Batches are
//! stored and returned as the client packed them, compressed or not; only the base offset and the leader epoch are
//! patched, which the checksum does not cover.

pub(crate) mod batch;
mod batches;
mod codec;
mod compaction;
mod damage;
mod extent;
mod handles;
mod index;
mod medium;
mod outline;
mod partition;
mod produced;
mod producer;
mod producers;
mod read;
mod record;
mod recovery;
mod retention;
mod segment;
mod slice;
mod store;
mod transactions;
mod waiters;
mod well_formed;

pub(crate) use compaction::{Compacted, Compaction, Counts, Failed, Outcome};
pub(crate) use extent::{Extent, ExtentStore};
pub(crate) use handles::Handles;
pub use medium::Flush;
pub(crate) use partition::{AppendRules, LEADER_EPOCH, Log, remove_segments};
pub(crate) use producer::Producer;
pub(crate) use producers::ProducerActivity;
pub(crate) use read::{Fetched, Isolation, TimedOffset};
pub(crate) use recovery::Opening;
pub use recovery::RecoveryError;
pub(crate) use retention::Retention;
pub(crate) use slice::{FileRange, Slice};
pub(crate) use store::{SegmentStore, make_folder};
pub(crate) use transactions::Aborted;

#[cfg(test)]
mod loss_tests;
#[cfg(test)]
mod outline_tests;
#[cfg(test)]
mod retention_tests;
#[cfg(test)]
mod tests;
