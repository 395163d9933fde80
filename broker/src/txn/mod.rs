//! Transactions: the owner of a transactional id, the contents of a transaction, and how it ends.
//!
//! Separate because the rules are subtle. `transaction` decides and does no I/O; `registry` carries decisions out in
//! the journal, the logs and the groups; `recovery` finishes what the last broker left unfinished. This is the classic
//! protocol, in which the epoch grows when a producer initializes and not with every transaction.

mod producer_ids;
mod recovery;
mod registry;
mod transaction;

pub(crate) use registry::Transactions;
pub(crate) use transaction::{Phase, Transaction};
