//! Kafka topics: reading and writing their records, and topics as DataFusion tables.
//!
//! * [`transport`]: sources, sinks and administration of a cluster, in batches both ways;
//! * [`schemas`]: the schemas of their records, in a registry;
//! * [`table`]: a topic as a DataFusion table, for the engine and, as [`table::KafkaTable`], for any program.
//!
//! Nothing here knows SQL. Records and their formats are in `headwater_formats`.

/// The version of DataFusion that [`table`] is built for, which includes its Arrow: the types of other versions differ.
pub use datafusion;
/// Records and their contents: formats by name, addresses, the reasons why a record could not be decoded.
pub use headwater_formats as formats;

pub mod schemas;
pub mod table;
pub mod transport;
