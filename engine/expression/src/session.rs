//! What expressions are planned in: how sqlparser's tree is read, and the functions and operators of the dialect.

use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::prelude::SessionConfig;
use headwater_language::config::{DECIMAL_DIVISION, Settings};

use crate::dialect::{self, Division};

/// The state in which expressions are planned.
pub fn session(settings: &Settings) -> SessionState {
    with_functions(builder(SessionConfig::new().with_information_schema(false), settings).build())
}

/// The same, to be built with more: what comes of it lacks the dialect's functions until [`with_functions`].
pub fn builder(mut config: SessionConfig, settings: &Settings) -> SessionStateBuilder {
    let options = &mut config.options_mut().sql_parser;
    options.enable_ident_normalization = false;
    options.collect_spans = true;
    options.parse_float_as_decimal = true;
    let mut builder = SessionStateBuilder::new_with_default_features().with_config(config);
    // The dialect's operators go before those of DataFusion, which knows more of them.
    let division = Division::of(settings.get(DECIMAL_DIVISION));
    builder.expr_planners().get_or_insert_default().insert(0, dialect::expr_planner(division));
    builder
}

/// A state with the functions of the dialect.
pub fn with_functions(state: SessionState) -> SessionState {
    dialect::register(headwater_functions::register(state))
}
