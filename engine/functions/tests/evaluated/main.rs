//! The functions as expressions call them: every example of their documentation, and calls at random. Apart from the crate's
//! own tests because expressions are planned above it; the aggregates' examples, which are queries, are run above that, in
//! `engine/planner/tests`.

#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types, reason = "a test moves")]

mod fuzz;
mod scalars;
mod shown;
