//! The broker over TCP by a raw client: every API in every version that is offered, and what strangers send.
//!
//! Apart from the tests beside the code because this is the boundary that clients see: messages are encoded and
//! decoded at each version, so a field that a version lacks shows here.

mod admin;
mod client;
mod coverage;
mod groups;
mod records;
mod restarts;
mod strangers;
mod transactions;
