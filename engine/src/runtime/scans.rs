//! How bounded queries scan topics: the tables of the connectors, handed to the planner.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::SessionConfig;
use headwater_connectors::table::{NewestFirstRule, Progress, ScanContext, TopicTable};
use headwater_expression::dialect::{CountFailures, count_in};
use headwater_formats::decode::TopicSpec;
use headwater_planner::bounded::Outside;
use headwater_planner::optimizer::PhysicalRule;
use headwater_planner::topics::Tables;

/// Tables over topics, from the connectors.
#[derive(Debug)]
struct TopicTables;

impl Tables for TopicTables {
    fn table(&self, spec: Arc<TopicSpec>, counts: bool) -> Arc<dyn TableProvider> {
        let table = TopicTable::new(spec);
        Arc::new(if counts { table.counted() } else { table })
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
pub(super) fn outside(context: &ScanContext, runtime: Arc<RuntimeEnv>) -> Outside {
    let mut config = SessionConfig::new();
    count_in(Arc::new(Failures(context.progress.clone())), config.options_mut());
    let config = config.with_extension(Arc::new(context.clone()));
    Outside { tables: Arc::new(TopicTables), rules: rules(), config, runtime }
}
