//! The operators, one file each.

mod explode;
mod filter;
mod project;
#[cfg(test)]
mod testing;

pub use explode::Explode;
pub use filter::Filter;
pub use project::{Column, Project};
