//! Every example of the aggregates' documentation, run as a query. Those of the scalar functions need no planner: they are in
//! `engine/functions/tests`.

#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types, reason = "a test moves")]

#[path = "../../functions/tests/evaluated/shown.rs"]
mod shown;

use std::sync::Arc;

use arrow::compute::concat_batches;
use datafusion::catalog::TableProvider;
use datafusion::physical_plan::collect;
use datafusion::prelude::SessionConfig;
use headwater_formats::decode::TopicSpec;
use headwater_functions::aggregate::FUNCTIONS;
use headwater_language::catalog::Catalog;
use headwater_language::config::Settings;
use headwater_language::sql::{ast::StatementKind, parse};
use headwater_planner::bounded::{self, Outside};
use headwater_planner::topics::Tables;

use shown::shown;

#[derive(Debug)]
struct NoTables;

impl Tables for NoTables {
    fn table(&self, _: &str, _: Arc<TopicSpec>, _: bool) -> Arc<dyn TableProvider> {
        unreachable!("the examples read no topic")
    }
}

async fn answer(text: &str) -> Result<String, String> {
    let mut parsed = parse(text);
    let statement = parsed.statements.pop().ok_or_else(|| format!("{:?}", parsed.errors))?;
    let StatementKind::Query(query) = statement.kind else { return Err("is no query".to_owned()) };
    let outside = Outside {
        tables: Arc::new(NoTables),
        rules: Vec::new(),
        config: SessionConfig::new(),
        runtime: Arc::default(),
    };
    let state = bounded::state(&Arc::default(), &Settings::default(), outside);
    let plan = bounded::plan(&query, &Catalog::default(), &state).await.map_err(|errors| format!("{errors:?}"))?;
    let plan = state.create_physical_plan(&plan).await.map_err(|error| error.to_string())?;
    let schema = plan.schema();
    let rows = collect(plan, state.task_ctx()).await.map_err(|error| error.to_string())?;
    let rows = concat_batches(&schema, &rows).map_err(|error| error.to_string())?;
    Ok(shown(rows.column(0)))
}

#[tokio::test]
async fn every_example_gives_what_it_says() {
    let mut wrong = Vec::new();
    for function in FUNCTIONS {
        assert!(!function.examples.is_empty(), "{} has an example", function.name);
        for (example, expected) in function.examples {
            match answer(example).await {
                Ok(found) if found == *expected => {}
                Ok(found) => wrong.push(format!("{example} is {found}, not {expected}")),
                Err(error) => wrong.push(format!("{example}: {error}")),
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
