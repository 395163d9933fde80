//! `headwater demo`: two topics that are alive, and a tour of queries over them.
//!
//! * [`feed`]: the records, from a seed and a time; it writes nothing itself;
//! * [`feeder`]: writes them, a load at first and then a few a second;
//! * [`tour`]: the statements that are shown.

pub mod feed;
pub mod feeder;
pub mod tour;
