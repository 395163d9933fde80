//! Compaction: of records with the same key only the last one stays, at its offset.
//!
//! Separate because appends and reads go on meanwhile, and know nothing of it. What a log is to become is written beside it: to
//! segments with the number of the compaction in their names. Then the journal is told, and from that moment on the new segments
//! are the log; the old ones are removed. So a broker that is killed at any time finds either the old ones or the new ones, and knows
//! which.
//!
//! ```text
//! plan      what can be compacted: closed segments, decided records, old enough       under the lock of the log
//! latest    the latest offset of each key, of the records that were not compacted yet
//! rewrite   all segments up to there, without the records that have a later one       no lock
//! replace   the segments, once the journal knows                                      under the lock of the log
//! ```
//!
//! The rules are Kafka's. Records of aborted transactions go. A removal of a key (a record without a value) and the end of a transaction
//! of which nothing is left stay for `delete.retention.ms` after they were compacted first, so that readers in between see them. A
//! batch without records stays if it is the last one of its producer, whose sequence numbers would be forgotten otherwise, or the
//! last one that was compacted, so that readers get there.

mod compacted;
mod latest;
mod outcome;
mod plan;
mod replace;
mod rewrite;
mod rewritten;
mod thin;

pub(crate) use compacted::Compacted;
pub(crate) use outcome::{Counts, Failed, Outcome};
pub(crate) use plan::Compaction;

#[cfg(test)]
mod tests;
