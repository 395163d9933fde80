//! How bounded queries scan topics and states: the tables that are handed to the planner.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::SessionConfig;
use headwater_connectors::table::{NewestFirstRule, Progress, ScanContext, TopicTable};
use headwater_expression::dialect::{CountFailures, count_in};
use headwater_formats::decode::{RowKind, TopicSpec};
use headwater_language::catalog::Catalog;
use headwater_planner::bounded::Outside;
use headwater_planner::optimizer::PhysicalRule;
use headwater_planner::topics::Tables;

use super::state_table::{FrozenStates, StateTable};
use super::states::States;

/// Tables over topics, from the connectors, and over the states of the queries that compute them.
#[derive(Debug)]
struct QueryTables {
    catalog: Arc<Catalog>,
    frozen: Arc<FrozenStates>,
}

impl Tables for QueryTables {
    fn table(&self, source: &str, spec: Arc<TopicSpec>, counts: bool) -> Arc<dyn TableProvider> {
        let is_table = spec.kind == RowKind::LatestPerKey;
        let table = TopicTable::new(spec);
        let table = if counts { table.counted() } else { table };
        match self.catalog.query_behind(source).filter(|_| is_table) {
            Some(query) => Arc::new(StateTable::new(table, query.clone(), self.frozen.clone())),
            None => Arc::new(table),
        }
    }
}

/// Adds rows on which an expression failed to the counters of the query's scans.
#[derive(Debug)]
struct Failures(Arc<Progress>);

impl CountFailures for Failures {
    fn add_failures(&self, count: u64, why: &mut dyn FnMut() -> String) {
        self.0.add_failures(count, why);
    }
}

/// The optimizer rules for scans of topics.
pub(super) fn rules() -> Vec<PhysicalRule> {
    vec![Arc::new(NewestFirstRule)]
}

/// What a bounded query is planned and run with in addition to its catalog and settings.
pub(super) fn outside(
    context: &ScanContext,
    catalog: &Arc<Catalog>,
    states: &Arc<States>,
    runtime: Arc<RuntimeEnv>,
) -> Outside {
    let mut config = SessionConfig::new();
    count_in(Arc::new(Failures(context.progress.clone())), config.options_mut());
    let config = config.with_extension(Arc::new(context.clone()));
    let tables = QueryTables { catalog: catalog.clone(), frozen: Arc::new(FrozenStates::of(states)) };
    Outside { tables: Arc::new(tables), rules: rules(), config, runtime }
}
