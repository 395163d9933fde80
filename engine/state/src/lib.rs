//! The state of continuous queries: values by window and key, and how their changes become records of a changelog topic.
//!
//! A store is asked for batches of keys and knows nothing of what the values mean. The runtime restores it from its
//! changelog topic, seals it at each commit and writes what changed in the same transaction as the output.

mod memory;
mod store;

pub use memory::MemoryStore;
pub use store::{Changes, Store};
