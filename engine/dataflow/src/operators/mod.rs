//! The operators of a topology, one file each.

mod aggregate;
mod encoding;
mod explode;
mod filter;
#[cfg(test)]
pub mod for_tests;
mod grouping;
mod join;
mod project;
mod table;
#[cfg(test)]
mod table_tests;

use headwater_language::diagnostic::{Diagnostic, INTERNAL};

pub use aggregate::Aggregate;
pub use explode::Explode;
pub use filter::Filter;
pub use join::{JoinForeign, JoinStreamTable, JoinStreams, JoinTables, Latest, Subscribe};
pub use project::{Column, Project};
pub use table::Table;

/// An error that planning has ruled out.
fn internal(what: impl ToString) -> Vec<Diagnostic> {
    vec![Diagnostic::new(INTERNAL, what.to_string())]
}
