//! Joins, one file or folder for each form: what is joined decides what is kept and what is emitted.

mod foreign;
mod side;
mod stream_table;
mod streams;
mod tables;
#[cfg(test)]
mod tests;
mod versions;

pub use foreign::{JoinForeign, Latest, Subscribe};
pub use stream_table::JoinStreamTable;
pub use streams::JoinStreams;
pub use tables::JoinTables;
