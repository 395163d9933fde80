//! Topics: where records come from and go to, and topics as tables of DataFusion.
//!
//! * [`transport`]: sources, sinks and what else a cluster is asked, in batches both ways;
//! * [`table`]: a topic as a DataFusion table; any program's, by [`table::KafkaTable`].
//!
//! Nothing here knows SQL. What records are, and what is in them, is `headwater_formats`.

/// The DataFusion that [`table`] is for, and within it its Arrow: those of another version have other types.
pub use datafusion;
/// What is in records: formats by name, addresses, what a record could not be read for.
pub use headwater_formats as formats;

pub mod table;
pub mod transport;
