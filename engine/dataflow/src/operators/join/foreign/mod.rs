//! The join of two tables in which a column of the left one refers to the key of the right one, in three steps, each in the
//! partitions of another key:
//!
//! ```text
//! left table, by its key        Subscribe     requests: numbered, one for each change of a left row
//! both, by the right key        JoinForeign   answers to requests, and to each change of a right row
//! answers, by the left key      Latest        changes of the joined rows
//! ```
//!
//! When a left row refers to another right row, the old and the new one are in different partitions. So an answer to an older
//! request can arrive after that to a newer one. The numbers of the requests tell them apart.

mod answers;
mod latest;
mod request;
mod subscribe;
#[cfg(test)]
mod tests;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use headwater_language::diagnostic::Diagnostic;

use crate::operators::internal;

pub use answers::JoinForeign;
pub use latest::Latest;
pub use subscribe::Subscribe;

/// The index of a column.
fn index(name: &str, schema: &SchemaRef) -> Result<usize, Vec<Diagnostic>> {
    schema.index_of(name).map_err(|_| internal(format!("column \"{name}\" does not exist")))
}

/// The rows of columns at some indices.
fn take_all(columns: &[ArrayRef], rows: &UInt32Array) -> Result<Vec<ArrayRef>, ArrowError> {
    columns.iter().map(|column| take(column, rows, None)).collect()
}
