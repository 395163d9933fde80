//! Joins, one file or folder for each form.

mod streams;

#[allow(unused_imports, reason = "topologies with joins are not lowered yet")]
pub use streams::JoinStreams;
