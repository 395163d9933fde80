//! Topics: where records come from and go to, and topics as tables of DataFusion.
//!
//! * [`transport`]: sources, sinks and what else a cluster is asked, in batches both ways;
//! * [`table`]: a topic as a DataFusion table.
//!
//! Nothing here knows SQL. What records are, and what is in them, is `headwater_formats`.

pub mod table;
pub mod transport;
