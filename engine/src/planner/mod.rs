//! From a statement and a catalog to a plan. Still: it knows no threads and no cluster.

mod aggregate;
pub(crate) mod alter;
mod around;
pub(crate) mod bounded;
mod calls;
mod clause;
mod columns;
pub(crate) mod constant;
pub(crate) mod continuous;
mod counting;
pub(crate) mod define;
mod extremes;
mod foreign;
mod forms;
pub(crate) mod function;
mod lambdas;
mod naming;
pub(crate) mod optimizer;
mod parameters;
mod patterns;
pub(crate) mod pinpoint;
mod placement;
pub(crate) mod plan_errors;
mod properties;
mod relations;
mod retold;
pub(crate) mod rewrite;
pub(crate) mod sides;
mod star;
mod two_valued;
pub(crate) mod types;
mod using;
mod wide;
mod windows;
mod yielding;

pub(crate) use properties::property_names;
