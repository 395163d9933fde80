//! What expressions are planned in: how sqlparser's tree is read, and the functions and operators of the dialect.

use datafusion::execution::{SessionState, SessionStateBuilder, SessionStateDefaults as Defaults};
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
    let mut builder = of_datafusion().with_config(config);
    // The dialect's operators go before those of DataFusion, which knows more of them.
    let division = Division::of(settings.get(DECIMAL_DIVISION));
    builder.expr_planners().get_or_insert_default().insert(0, dialect::expr_planner(division));
    builder
}

/// The functions and operators of DataFusion. Of what else it has by default, nothing reads or writes files here, and the
/// binary is spared its file formats.
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

/// A state with the functions of the dialect.
pub fn with_functions(state: SessionState) -> SessionState {
    dialect::register(headwater_functions::register(state))
}
