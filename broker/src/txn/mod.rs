//! Transactions: who owns a transactional id, what a transaction touches, and how it ends.
//!
//! Apart because the rules are subtle and still: `transaction` decides, `registry` does what was decided
//! in the journal, the logs and the groups, and `recovery` finishes what was left at the last end. It is the classic protocol, in which the epoch grows when a
//! producer initializes and not with every transaction.

mod producer_ids;
mod recovery;
mod registry;
mod transaction;

pub(crate) use registry::Transactions;
pub(crate) use transaction::{Phase, Transaction};
