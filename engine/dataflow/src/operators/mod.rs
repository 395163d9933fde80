//! The operators of a topology, one file each.

mod explode;
mod filter;
mod project;

pub use explode::Explode;
pub use filter::Filter;
pub use project::{Column, Project};
