//! What each kind of statement does, one file a kind.

mod apply;
pub(crate) mod assert;
mod continuous;
pub(crate) mod copy;
mod create_function;
pub(crate) mod describe;
pub(crate) mod describe_function;
mod drop_source;
pub(crate) mod insert_values;
pub(crate) mod print;
pub(crate) mod show;

pub use apply::check as check_for_run;
