//! Functions of the dialect that bounded queries call, one family a file.

mod element;
mod unix_timestamp;

use std::sync::Arc;

use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::ScalarUDF;

pub use element::ELEMENT;

/// Adds the dialect's functions to those of DataFusion.
pub fn register(mut state: SessionState) -> SessionState {
    // Registering replaces a function of the same name; it does not fail for scalar functions.
    let _ = state.register_udf(Arc::new(ScalarUDF::from(element::Element::default())));
    let _ = state.register_udf(Arc::new(ScalarUDF::from(unix_timestamp::UnixTimestamp::default())));
    state
}
