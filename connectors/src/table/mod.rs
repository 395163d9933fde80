//! A topic as a DataFusion table: partitions become record-batch streams that end.
//!
//! A scan is planned with its offsets frozen: the ends of the log when the query first looked at it (`frozen`), less what
//! the predicate rules out (`prune`, `ranges`). It runs forward in several output partitions
//! (`scan`), backwards under a Top-K by time or offset (`newest`), or to the end for the latest
//! record of each key (`latest`). All three poll and decode in one place (`reader`), and `headwater_formats::decode` makes rows.
//!
//! The engine plans its scans over a [`TopicTable`], whose context is its own. Any other program that uses DataFusion
//! registers a [`KafkaTable`] (`kafka_table`), which needs nothing but a `SessionContext`; see there.

mod context;
mod frozen;
mod kafka_table;
mod latest;
mod newest;
mod progress;
mod provider;
mod prune;
mod ranges;
mod reader;
mod scan;
mod session;

pub use context::{OnLoss, ScanContext};
pub use frozen::FrozenLogs;
pub use kafka_table::{KafkaTable, KafkaTableBuilder, TableError};
pub use newest::NewestFirstRule;
pub use progress::{Progress, REJECTS_KEPT_MAX, Snapshot};
pub use provider::TopicTable;
pub use reader::spawn_reader;
pub use scan::offsets_below;
pub use session::{optimizer_rules, register_optimizer, with_optimizer};
