//! The DataFusion session that expressions are planned in: parser options, and the functions and operators of the
//! dialect.

use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::prelude::SessionConfig;
use headwater_language::config::{DECIMAL_DIVISION, Settings};

use crate::dialect::{self, Division};

/// Creates the state in which expressions are planned.
pub fn session(settings: &Settings) -> SessionState {
    with_functions(builder(SessionConfig::new().with_information_schema(false), settings).build())
}

/// A builder for such a state, to which more can be added. The built state lacks the dialect's functions until
/// [`with_functions`] adds them.
pub fn builder(mut config: SessionConfig, settings: &Settings) -> SessionStateBuilder {
    let options = &mut config.options_mut().sql_parser;
    options.enable_ident_normalization = false;
    options.collect_spans = true;
    options.parse_float_as_decimal = true;
    let mut builder = SessionStateBuilder::new_with_default_features().with_config(config);
    // The dialect's operators take precedence over DataFusion's, which support more types.
    let division = Division::of(settings.get(DECIMAL_DIVISION));
    builder.expr_planners().get_or_insert_default().insert(0, dialect::expr_planner(division));
    builder
}

/// Adds the functions of the dialect to a state.
pub fn with_functions(state: SessionState) -> SessionState {
    dialect::register(headwater_functions::register(state))
}
