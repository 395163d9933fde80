//! The operators of a topology, one file each.

#[allow(dead_code, reason = "`lower` makes one once a topology can have one")]
mod aggregate;
mod explode;
mod filter;
mod project;
#[cfg(test)]
mod testing;

#[allow(unused_imports, reason = "as above")]
pub use aggregate::Aggregate;
pub use explode::Explode;
pub use filter::Filter;
pub use project::{Column, Project};
