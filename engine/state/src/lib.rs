//! The state of continuous queries: values by window and key, and how their changes become records of a changelog topic.
//!
//! A store is read and written in batches of keys, and does not know what the values mean. The runtime restores it from its
//! changelog topic, seals it at each commit, and writes the changes in the same transaction as the output.

mod bytes;
#[cfg(test)]
mod contract;
mod memory;
mod record_key;
mod store;
mod table;

pub use memory::MemoryStore;
pub use record_key::NOTE_KEY;
pub use store::{Changes, Store};
