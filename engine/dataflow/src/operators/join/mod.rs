//! Joins, one file for each form: what is joined decides what is kept and what is emitted.

mod side;
mod stream_table;
mod tables;
#[cfg(test)]
mod tests;

pub use stream_table::JoinStreamTable;
pub use tables::JoinTables;
