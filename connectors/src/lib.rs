//! Topics as record batches.
//!
//! * [`record`]: raw records with an address, as columns;
//! * [`format`](mod@format): bytes to Arrow columns and back, one file a format;
//! * [`transport`]: where records come from and go to, in batches both ways;
//! * [`table`]: a topic as a DataFusion table; any program's, by [`table::KafkaTable`];
//! * [`java_time`], [`panic`](mod@panic): small things that every room needs.
//!
//! Nothing here knows SQL. Formats know no transport and transports no format: what travels
//! between them is a [`record::RawBatch`].

/// The DataFusion that [`table`] is for, and within it its Arrow: those of another version have other types.
pub use datafusion;

pub mod format;
pub mod java_time;
pub mod panic;
pub mod record;
pub mod table;
pub mod transport;
