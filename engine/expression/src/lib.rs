//! Expressions of the dialect: planned, compiled, and evaluated over batches of rows.
//!
//! [`session`] creates the state in which expressions are planned; `user` adds the functions defined by statements.
//! `rewrite` turns sqlparser's tree into one that DataFusion accepts. A [`Compiler`] turns it into an [`Expression`],
//! which reports the rows that fail; an [`Evaluator`] computes the value of a constant. This crate does not know
//! statements or plans.

mod aggregate_call;
mod assignment;
mod calls;
mod compiler;
mod constant;
pub mod dialect;
pub mod errors;
mod evaluate;
mod headers;
mod rewrite;
mod session;
mod user;

pub use assignment::to_column_type;
pub use calls::rewrite as rewrite_calls;
pub use compiler::Compiler;
pub use constant::Evaluator;
pub use evaluate::{Expression, Failure};
pub use headers::from_value as headers_of;
pub use rewrite::rewrite;
pub use session::{builder, session, with_functions};
pub use user::{declared, defined, is_defined, register, with_body};
