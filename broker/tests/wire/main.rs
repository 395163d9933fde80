//! The broker over TCP with a raw client: every API in every supported version, and invalid input.
//!
//! Separate from the unit tests because this is the boundary that clients see: messages are encoded and decoded in each
//! version, so a field that a version lacks fails here.

mod absent;
mod admin;
mod client;
mod consumer_groups;
mod coverage;
mod damage;
mod groups;
mod records;
mod restarts;
mod strangers;
mod transactions;
