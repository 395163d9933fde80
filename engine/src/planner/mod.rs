//! From a statement and a catalog to a plan. Still: it knows no threads and no cluster.

mod aggregate;
pub(crate) mod alter;
mod around;
mod beside;
pub(crate) mod bounded;
mod columns;
pub(crate) mod continuous;
mod counting;
pub(crate) mod define;
mod extremes;
mod forms;
mod frames;
pub(crate) mod function;
mod groups;
mod lambdas;
mod merged;
mod naming;
pub(crate) mod optimizer;
mod parameters;
mod patterns;
mod placement;
mod properties;
mod relations;
mod scope;
pub(crate) mod sides;
mod star;
mod twice;
mod two_valued;
pub(crate) mod types;
mod unnamed;
mod using;
mod wide;
mod wildcard;
mod windows;
mod yielding;

pub(crate) use properties::property_names;
