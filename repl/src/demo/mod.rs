//! `headwater demo`: two topics with live data, and a tour of queries over them.
//!
//! * [`feed`]: generates the records from a seed and a time;
//! * [`feeder`]: writes them, many at first and then a few per second;
//! * [`tour`]: the statements that are shown.

pub mod feed;
pub mod feeder;
pub mod tour;
