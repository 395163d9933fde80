//! The functions of the dialect.
//!
//! Every function is an entry in the table of its family ([`FAMILIES`]): its name, its description, the ways to call
//! it as data ([`signature`]), examples that a test runs, and kernels over Arrow arrays (`call`). `scalar` makes each
//! of them a function of DataFusion, which bounded and continuous queries plan and run alike; `choice` finds the
//! variant for a call; `higher` does the same for functions with lambdas. A function that fails for a row fails for
//! the whole batch. Around every expression, in bounded and continuous queries alike, the batch is halved until the
//! failing rows are isolated, and the expression is NULL for them.
//!
//! Bounded queries can also call functions of DataFusion whose names the dialect does not use; continuous queries
//! only have those of the dialect.

pub mod aggregate;
mod call;
mod choice;
pub mod clock;
mod collections;
mod conditional;
mod convert;
mod delegate;
mod element;
pub mod fold;
mod higher;
mod json;
mod limited;
mod math;
mod names;
mod one_form;
mod scalar;
pub mod signature;
mod table;
mod text;
mod time;
pub mod to_text;
mod url;

use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

pub use call::offset;
pub use choice::canonical;
pub use collections::keys_of;
pub use element::ELEMENT;
pub use names::{list, unknown};
pub use one_form::{has_forms, has_maps, in_one_form, in_order};
pub use scalar::Scalar;
pub use signature::{Category, Function, Variant};
pub use table::{is_call as is_table_call, is_table_function, rows_of};
pub use text::Pattern;
pub use time::{ADDING, UNIT_CALL, UNITS, is_unit_word};

/// The families, in the order of the documentation.
pub const FAMILIES: &[&[Function]] = &[
    math::FUNCTIONS,
    text::FUNCTIONS,
    json::FUNCTIONS,
    url::FUNCTIONS,
    conditional::FUNCTIONS,
    collections::FUNCTIONS,
    higher::FUNCTIONS,
    time::FUNCTIONS,
    table::FUNCTIONS,
];

/// All functions of the dialect that are not aggregates; those are in `aggregate`.
pub fn all() -> impl Iterator<Item = &'static Function> {
    FAMILIES.iter().flat_map(|family| family.iter())
}

/// The function of a name in any case.
pub fn find(name: &str) -> Option<&'static Function> {
    all().find(|function| function.name.eq_ignore_ascii_case(name))
}

/// Functions of DataFusion about itself and the files that it reads.
const OF_ANOTHER_ENGINE: &[&str] = &["version", "input_file_name", "file_row_index"];

/// Adds the dialect's functions to those of DataFusion; if names are the same, the dialect's function is used.
pub fn register(mut state: SessionState) -> SessionState {
    for name in OF_ANOTHER_ENGINE {
        // It does not matter if one does not exist.
        let _ = state.deregister_udf(name);
    }
    limited::register(&mut state);
    // Registering replaces a function of the same name; it does not fail for scalar functions.
    let _ = state.register_udf(Arc::new(ScalarUDF::from(element::Element::default())));
    let _ = state.register_udf(Arc::new(ScalarUDF::from(time::UnitCall::default())));
    let special = [Category::Lambda, Category::Table];
    for function in all().filter(|function| !special.contains(&function.category)) {
        let _ = state.register_udf(scalar::udf(function));
    }
    for function in table::FUNCTIONS {
        let _ = state.register_udf(scalar::rows_udf(function));
    }
    for function in higher::udfs() {
        let _ = state.register_higher_order_function(function);
    }
    aggregate::register(state)
}
