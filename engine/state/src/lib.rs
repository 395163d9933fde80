//! The state of continuous queries: values by window and key, and how their changes become records of a changelog topic.
//!
//! A store is read and written in batches of keys, and does not know what the values mean. The runtime restores it from its
//! changelog topic, seals it at each commit, and writes the changes in the same transaction as the output. Readers in other
//! threads see the values of the last commit, whole.

mod bytes;
mod cold;
mod cold_keys;
mod cold_memory;
mod collected;
#[cfg(test)]
mod contract;
mod fetched;
mod hash;
mod memory;
mod order;
mod overlay;
mod recent;
mod record_key;
mod removal;
mod scan;
mod sealed;
mod storage;
mod store;
mod table;
mod tier;
mod view;
mod warm;
mod window;

pub use cold::{Cold, ColdError, ColdSnapshot, Disk, Piece, Run};
pub use cold_memory::MemoryDisk;
pub use memory::MemoryStore;
pub use record_key::NOTE_KEY;
pub use scan::{Scan, Scanned};
pub use storage::Storage;
pub use store::{Changes, Store};
pub use view::{Snapshot, View};
