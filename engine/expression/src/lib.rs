//! Expressions of the dialect: planned, compiled, and evaluated over batches of rows.
//!
//! [`session`] is what they are planned in, `user` adds the functions that statements defined. `rewrite` makes
//! sqlparser's tree what DataFusion takes; a [`Compiler`] makes an [`Expression`] of it, which says for which rows it has
//! no value, and an [`Evaluator`] the value of a constant. Statements and plans are not known here.

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
