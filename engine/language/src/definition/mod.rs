//! What statements define, as plain data: streams and tables with their columns, formats and topics, and functions.
//!
//! The catalog keeps definitions by name, and a topology carries those that it was planned with, so they are below
//! both. How they are written in a statement, and what may replace what, is not known here.

mod function;
mod source;
pub mod type_text;

pub use function::{ArgumentDef, FunctionDef};
pub use source::{ColumnDef, ColumnRole, EventTimeDef, SideDef, SourceDef, SourceKind, WindowDef};
