//! What the integration tests and the benchmarks share.
//!
//! * [`bare`]: the reader that is the limit of every bounded read;
//! * [`binary`]: where the built programs are;
//! * [`load`]: writes them to a topic;
//! * [`nexmark`]: generated bids and auctions, without anything that moves;
//! * [`readme`]: the commands of a Markdown page and whether they still do what it says;
//! * [`transport_contract`]: what every transport must do, run over each of them;
//! * [`usage`]: what a command costs.

pub mod bare;
pub mod binary;
pub mod load;
pub mod nexmark;
pub mod readme;
pub mod transport_contract;
pub mod usage;
