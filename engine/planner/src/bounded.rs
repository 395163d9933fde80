//! Bounded queries: plans the dialect's SELECT as a logical plan of DataFusion.
//!
//! The query is rewritten where the dialect differs (`star`, `rewrite`) and planned by DataFusion, which supports all
//! of its SQL. Its errors are converted to our diagnostics.

use std::pin::Pin;
use std::sync::Arc;

use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider};
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement as PlannedStatement;
use headwater_expression::{dialect, errors};
use headwater_language::catalog::Catalog;
use headwater_language::config::Settings;
use headwater_language::diagnostic::{Diagnostic, NOT_SUPPORTED, Span, UNKNOWN_FUNCTION};
use headwater_language::sql::{ast, each_expr, place};
use sqlparser::ast::{Expr, Query as SqlQuery, Statement as SqlStatement};

use super::aggregate::Limits;
use super::callee::{Callee, Caller};
use super::optimizer::{PhysicalRule, Rules};
use super::topics::{Sources, Tables};
use super::windowed::Windowed;
use super::{
    aggregate, around, beside, columns, counting, extremes, forms, groups, lambdas, naming, placement, star, twice,
    using, wide, windowed, windows, within,
};

/// Name of the catalog and schema of the sources; not visible to users.
const HOME: &str = "headwater";

/// The minimum memory per partition of a query: with less memory, fewer partitions run in parallel.
const PARTITION_MEMORY_MIN: usize = 32 << 20;

/// The memory budgeted per row of a batch: operators keep several batches, which must fit even a small memory limit.
const BATCH_ROW_MEMORY: usize = 16 << 10;

/// The minimum number of rows in a batch.
const BATCH_ROWS_MIN: usize = 512;

/// What the planner needs from above the waterline for a bounded query.
#[derive(Clone, Debug)]
pub struct Outside {
    /// Creates the tables that read topics.
    pub tables: Arc<dyn Tables>,
    /// Additional optimizer rules for these tables, which run after all others.
    pub rules: Vec<PhysicalRule>,
    /// A configuration with the extensions that the scans expect.
    pub config: SessionConfig,
    /// Memory and disk limits.
    pub runtime: Arc<RuntimeEnv>,
}

/// The state in which one bounded query is planned and run: the sources of the catalog, the functions of the dialect,
/// the limits of the settings.
pub fn state(catalog: &Arc<Catalog>, settings: &Settings, outside: Outside) -> SessionState {
    let mut config = outside.config.with_default_catalog_and_schema(HOME, HOME).with_information_schema(false);
    config = config.with_extension(Arc::new(Limits::of(settings)));
    let memory = settings.bytes("query.memory.max");
    let partitions = usize::try_from(settings.integer("query.partitions")).unwrap_or(0);
    config = match partitions {
        0 => {
            let processors = config.target_partitions();
            config.with_target_partitions(processors.min(memory / PARTITION_MEMORY_MIN).max(1))
        }
        given => config.with_target_partitions(given),
    };
    let rows = (memory / BATCH_ROW_MEMORY).clamp(BATCH_ROWS_MIN, config.batch_size());
    config = config.with_batch_size(rows);
    let options = config.options_mut();
    // DataFusion (55) treats CASE WHEN f THEN f END as never NULL in a plan, but treats the expression that it computes
    // for it as nullable, and then rejects its own aggregate.
    options.execution.skip_physical_aggregate_schema_check = true;
    // Every sort reserves this much for merging what it spilled; all reservations together must fit the memory pool.
    let merging = memory / (32 * options.execution.target_partitions.max(1));
    options.execution.sort_spill_reservation_bytes = options.execution.sort_spill_reservation_bytes.min(merging);
    let rules = Rules::of(settings, &outside.rules);
    let state = headwater_expression::builder(config, settings)
        .with_runtime_env(outside.runtime)
        .with_optimizer_rules(rules.logical)
        .with_physical_optimizer_rules(rules.physical)
        .build();
    let home = Arc::new(MemoryCatalogProvider::new());
    let sources = Arc::new(Sources::new(catalog, outside.tables));
    if home.register_schema(HOME, sources).is_ok() {
        state.catalog_list().register_catalog(HOME.to_owned(), home);
    }
    headwater_expression::with_functions(state)
}

/// The same state with only the optimizer rules that are required to execute a plan, and with one partition.
pub fn with_fewest_rules(state: SessionState) -> SessionState {
    let rules = Rules::fewest();
    let mut state = SessionStateBuilder::new_from_existing(state)
        .with_optimizer_rules(rules.logical)
        .with_physical_optimizer_rules(rules.physical)
        .build();
    state.config_mut().options_mut().execution.target_partitions = 1;
    state.mark_start_execution();
    state
}

/// A future that resolves to a plan, or to all errors that can be found at once.
pub type Planning<'a> = Pin<Box<dyn Future<Output = Result<LogicalPlan, Vec<Diagnostic>>> + Send + 'a>>;

/// Plans a bounded query.
///
/// Not an `async fn`, which would be compiled in the crate that awaits it, together with DataFusion's SQL planner.
pub fn plan<'a>(query: &'a ast::Query, catalog: &'a Catalog, state: &'a SessionState) -> Planning<'a> {
    Box::pin(async move {
        let Rewritten { body, names, windowed } = rewrite(query, catalog, state)?;
        let internal = |error| errors::diagnose_in(&error, query);
        let bounds = windowed.map(|_| windowed::with_bounds(state)).transpose().map_err(internal)?;
        let statement = PlannedStatement::Statement(Box::new(SqlStatement::Query(body)));
        let planned = bounds.as_ref().unwrap_or(state).statement_to_plan(statement).await;
        let limits = state.config().get_extension::<Limits>().as_deref().copied().unwrap_or_default();
        match planned.and_then(|plan| settle(plan, &names, windowed, limits)) {
            Ok(plan) => match extremes::check(&plan) {
                wrong if wrong.is_empty() => Ok(plan),
                wrong => Err(wrong),
            },
            Err(error) => {
                Err(errors::diagnose_in(&error, query).into_iter().map(|told| nearest(told, state)).collect())
            }
        }
    })
}

/// A query in the form that DataFusion plans.
struct Rewritten {
    body: Box<SqlQuery>,
    names: Names,
    windowed: Option<Windowed>,
}

/// Names that were removed from a query and are put back into its plan.
struct Names {
    /// Columns of a wide projection.
    wide: Option<Vec<String>>,
    /// Names that are not those of columns.
    beside: beside::Names,
}

/// Rewrites a query where the dialect differs from DataFusion's.
fn rewrite(query: &ast::Query, catalog: &Catalog, state: &SessionState) -> Result<Rewritten, Vec<Diagnostic>> {
    check_bounded(query)?;
    let mut body = query.body.clone();
    groups::settle(&mut body, state);
    let mut errors = forms::check(&body, state);
    errors.extend(within::settle(query, &mut body, catalog));
    let windowed = windowed::read(query, catalog, state, &mut errors);
    errors.extend(placement::check(&body, state));
    forms::other_words(&mut body);
    windows::settle(&mut body, &mut errors);
    errors.extend(star::expand(&mut body, catalog));
    errors.extend(twice::check(&mut body, catalog));
    errors.extend(lambdas::check_bounded(&body, catalog));
    headwater_expression::rewrite_calls(&mut body);
    using::settle(&mut body, catalog);
    errors.extend(match query.window {
        Some(_) => columns::unknown(&windowed::without_bounds(body.as_ref().clone()), catalog),
        None => columns::unknown(&body, catalog),
    });
    naming::name_all(&mut body, catalog);
    headwater_expression::rewrite(&mut body, &mut errors);
    if windowed.is_some() {
        windowed::mark(&mut body);
    }
    if !errors.is_empty() {
        errors.extend(unknown_functions(query, state));
        return Err(errors);
    }
    around::rename(&mut body, catalog);
    let names = Names { wide: wide::take(&mut body), beside: beside::take(&mut body) };
    Ok(Rewritten { body, names, windowed })
}

/// Puts the removed names back into a plan, and resolves what DataFusion left open.
fn settle(
    plan: LogicalPlan,
    names: &Names,
    windowed: Option<Windowed>,
    limits: Limits,
) -> DataFusionResult<LogicalPlan> {
    let plan = match &names.wide {
        Some(columns) => wide::put_back(plan, columns)?,
        None => plan,
    };
    let plan = dialect::settle_plan(counting::count_unparsed(beside::put_back(plan, &names.beside)?)?)?;
    let plan = match windowed {
        Some(windowed) => windowed::settle(plan, windowed)?,
        None => plan,
    };
    aggregate::settle(plan, limits)
}

/// The unknown functions of a query that is not planned because of other errors.
fn unknown_functions(query: &ast::Query, state: &SessionState) -> Vec<Diagnostic> {
    let mut unknown = Vec::new();
    each_expr(&query.body, &mut |expr| {
        let Expr::Function(call) = expr else { return };
        let [part] = &call.name.0[..] else { return };
        let Some(name) = part.as_ident().filter(|name| Callee::of(&name.value, state).is_none()) else {
            return;
        };
        unknown.push(Caller::Bounded(state).unknown(&name.value).at_maybe(place(name.span)));
    });
    unknown
}

/// Replaces DataFusion's suggestion, an arbitrary one of the nearest functions, with one that is always the same.
fn nearest(told: Diagnostic, state: &SessionState) -> Diagnostic {
    let Some(name) = told.message.split('"').nth(1).filter(|_| told.code == UNKNOWN_FUNCTION) else { return told };
    Diagnostic { hint: Caller::Bounded(state).unknown(name).hint, ..told }
}

/// Rejects clauses that are only allowed in continuous queries.
fn check_bounded(query: &ast::Query) -> Result<(), Vec<Diagnostic>> {
    let mut errors = Vec::new();
    let mut refuse = |what: &str, span: Span, hint: &str| {
        errors.push(Diagnostic::new(NOT_SUPPORTED, format!("{what} is not supported yet")).at(span).hint(hint));
    };
    if let Some(emit) = &query.emit {
        refuse("EMIT", emit.span, "Without EMIT the query reads the current contents of the topics and ends.");
    }
    if let Some(partition_by) = &query.partition_by {
        refuse("PARTITION BY", partition_by.span, "Remove it: a bounded query has no key.");
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}
