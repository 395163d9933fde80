//! Continuous queries: from `SELECT … EMIT CHANGES`, `CREATE STREAM … AS` and `INSERT INTO … SELECT`
//! to a topology.
//!
//! What can be continuous is settled in `shape`, names in `names`, the columns and the key of the result in `result`,
//! and what is written, and where, in `sink`. Queries that hold state are checked in `stateful` and refused. Semantics:
//! ksqlDB's queries.

mod explode;
mod names;
mod result;
mod shape;
mod sink;
mod stateful;

use std::sync::Arc;

use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::SessionState;

use super::bounded;
use crate::catalog::Catalog;
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::sql::ast;
use crate::topology::{Step, Topology};

pub use sink::{Persistent, create_as, insert_select};

/// A push query.
#[derive(Clone, Debug, PartialEq)]
pub struct Push {
    /// What it does.
    pub topology: Topology,
    /// Rows after which it ends.
    pub limit: Option<u64>,
}

/// The state in which expressions are planned and run.
pub fn state(settings: &Settings) -> SessionState {
    bounded::state(&Arc::default(), settings, None, Arc::new(RuntimeEnv::default()))
}

/// Plans a push query. Gives every mistake that could be found at once.
pub fn push(query: &ast::Query, catalog: &Catalog, settings: &Settings) -> Result<Push, Vec<Diagnostic>> {
    let state = state(settings);
    if stateful::is_stateful(query, &state) {
        let found = stateful::check(query, catalog, &state, result::Use::Show, &[]).errors;
        return Err(if found.is_empty() { shape::not_built(query, &state) } else { found });
    }
    let shape = shape::read(query, catalog, &state, result::Use::Show)?;
    let result = result::plan(&shape, &state, result::Use::Show)?;
    if !shape.later.is_empty() {
        return Err(shape.later);
    }
    Ok(Push { limit: shape.limit, topology: topology(&shape, result) })
}

fn topology(shape: &shape::Shape, result: result::Planned) -> Topology {
    let filter = result.predicate.map(|predicate| Step::Filter { predicate });
    let explode = (!result.exploded.is_empty()).then_some(Step::Explode { columns: result.exploded });
    let steps: Vec<Step> = filter.into_iter().chain(explode).chain([Step::Project(result.projection)]).collect();
    Topology { version: Topology::version_of(&steps), input: shape.source.as_ref().clone(), steps, output: None }
}

/// The sources that a query joins, each with its topic: their partitions must be as many. None where that need not be.
pub fn joined_topics(query: &ast::Query, catalog: &Catalog, settings: &Settings) -> Vec<(String, String)> {
    let state = state(settings);
    match stateful::is_stateful(query, &state) {
        true => stateful::check(query, catalog, &state, result::Use::Show, &[]).together,
        false => Vec::new(),
    }
}
