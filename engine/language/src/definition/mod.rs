//! What statements define, as plain data: streams and tables with their columns, formats and topics, and functions.
//!
//! The catalog stores definitions by name, and a topology contains those with which it was planned, so this module is
//! below both. It does not know how definitions are written in a statement, or what may replace what.

mod envelope_text;
mod function;
mod presence_text;
mod schema_text;
mod source;
pub mod type_text;

pub use function::{ArgumentDef, FunctionDef};
pub use source::{ColumnDef, ColumnRole, EventTimeDef, SideDef, SourceDef, SourceKind, WindowDef};
