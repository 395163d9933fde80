//! What the integration tests and the benchmarks share.
//!
//! * [`load`]: writes them to a topic;
//! * [`nexmark`]: generated bids and auctions, without anything that moves;

pub mod load;
pub mod nexmark;
