//! The DataFusion session that expressions are planned in: parser options, and the functions and operators of the
//! dialect.

use datafusion::execution::{SessionState, SessionStateBuilder, SessionStateDefaults as Defaults};
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
    let mut builder = of_datafusion().with_config(config);
    // The dialect's operators take precedence over DataFusion's, which support more types.
    let division = Division::of(settings.get(DECIMAL_DIVISION));
    builder.expr_planners().get_or_insert_default().insert(0, dialect::expr_planner(division));
    builder
}

/// The functions and operators of DataFusion, without its file formats: nothing here reads or writes files with them, and
/// they would make the binary larger.
fn of_datafusion() -> SessionStateBuilder {
    let functions = Defaults::default_table_functions();
    SessionStateBuilder::new()
        .with_expr_planners(Defaults::default_expr_planners())
        .with_scalar_functions(Defaults::default_scalar_functions())
        .with_higher_order_functions(Defaults::default_higher_order_functions())
        .with_aggregate_functions(Defaults::default_aggregate_functions())
        .with_window_functions(Defaults::default_window_functions())
        .with_table_functions(functions.into_iter().map(|function| (function.name().to_owned(), function)).collect())
}

/// Adds the functions of the dialect to a state.
pub fn with_functions(state: SessionState) -> SessionState {
    dialect::register(headwater_functions::register(state))
}
