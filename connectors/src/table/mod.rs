//! A topic as a DataFusion table: partitions become record-batch streams that end.

mod progress;

pub use progress::{Progress, REJECTS_KEPT_MAX, Snapshot};
