//! A topic as a DataFusion table: partitions become streams of record batches that end.
//!
//! The offsets of a scan are frozen when it is planned: they end where the log ended when the query first looked at it
//! (`frozen`), and exclude what the predicates rule out (`prune`, `ranges`). A scan runs forward in several output
//! partitions (`scan`), backward under a Top-K by time or offset (`newest`), or to the end for the latest record of
//! each key (`latest`). All three poll and decode in one place (`reader`), with the decoder of
//! `headwater_formats::decode`.
//!
//! The engine plans its scans over a [`TopicTable`] and provides the context. Any other program that uses DataFusion
//! registers a [`KafkaTable`] (`kafka_table`), which needs only a `SessionContext`.

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
