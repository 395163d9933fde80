//! What the broker knows besides records: topics and their settings, committed offsets, producer ids and
//! transactional ids.
//!
//! Apart because it must come back after a restart as one consistent whole: every change is one line of
//! a journal, and all that is known is the sum of the changes. This room knows neither the wire nor
//! the rules by which changes are decided.

mod change;
mod image;
mod journal;

pub(crate) use change::{Change, CommittedOffset, DecidedTransaction, PartitionOffset};
pub(crate) use image::{Image, TopicImage, TransactionalIdImage};
pub use journal::JournalError;
pub(crate) use journal::{FORMAT, Journal};
