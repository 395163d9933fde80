//! The broker's metadata: topics and their settings, committed offsets, producer ids and transactional ids.
//!
//! Separate because it must come back after a restart as one consistent whole: every change is one line of a journal,
//! and the metadata is the sum of all changes. This module knows neither the protocol nor the rules by which changes
//! are decided.

mod change;
mod image;
mod journal;
mod kept_members;

pub(crate) use change::{Change, CommittedOffset, DecidedTransaction, Membership, OpenTransaction, PartitionOffset};
pub(crate) use image::{GroupImage, Image, TopicImage, TransactionalIdImage};
pub use journal::JournalError;
pub(crate) use journal::{FORMAT, Journal};
pub(crate) use kept_members::{KeptBytes, KeptMember, KeptMembers};
