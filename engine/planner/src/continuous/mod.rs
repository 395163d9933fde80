//! Continuous queries: from `SELECT … EMIT CHANGES`, `CREATE STREAM … AS` and `INSERT INTO … SELECT`
//! to a topology.
//!
//! What can be continuous is settled in `shape`, names in `scope`, the columns and the key of the result in `lowering`,
//! and what is written, and where, in `sink`. Queries that hold state are checked in `rules` and refused. Semantics:
//! ksqlDB's queries.

mod circles;

mod lowering;
mod rules;
mod scope;
mod shape;
mod sink;

use datafusion::execution::session_state::SessionState;

use super::function;
use headwater_expression::{register, session};
use headwater_language::catalog::Catalog;
use headwater_language::config::Settings;
use headwater_language::definition::FunctionDef;
use headwater_language::diagnostic::Diagnostic;
use headwater_language::sql::ast;
use headwater_language::topology::{Step, Topology};

pub use scope::Scope;
pub use sink::{Persistent, THROWS_ON_INVALID_TIME, create_as, insert_select};

/// A push query.
#[derive(Clone, Debug, PartialEq)]
pub struct Push {
    /// What it does.
    pub topology: Topology,
    /// Rows after which it ends.
    pub limit: Option<u64>,
}

/// The state in which a query is planned: it knows the functions of statements, too.
fn state_for(query: &ast::Query, catalog: &Catalog, settings: &Settings) -> Result<SessionState, Vec<Diagnostic>> {
    function::register_called(session(settings), &called(query, catalog), catalog)
}

/// The functions of statements that a query calls.
fn called(query: &ast::Query, catalog: &Catalog) -> Vec<FunctionDef> {
    let mut found = function::called([&query.body], catalog);
    for other in function::called(query.partition_by.iter().map(|list| &list.value), catalog) {
        if !found.contains(&other) {
            found.push(other);
        }
    }
    found
}

/// The state in which a query runs: it knows the functions that the query was planned with.
pub fn state_of(topology: &Topology, settings: &Settings) -> Result<SessionState, Vec<Diagnostic>> {
    register(session(settings), &topology.functions)
}

/// Plans a push query. Gives every mistake that could be found at once.
pub fn push(query: &ast::Query, catalog: &Catalog, settings: &Settings) -> Result<Push, Vec<Diagnostic>> {
    let state = state_for(query, catalog, settings)?;
    if rules::is_stateful(query, &state) {
        let found = rules::check(query, catalog, &state, lowering::Use::Show, &[]).errors;
        return Err(if found.is_empty() { shape::not_built(query, &state) } else { found });
    }
    let shape = shape::read(query, catalog, &state, lowering::Use::Show)?;
    let result = lowering::plan(&shape, &state, lowering::Use::Show)?;
    if !shape.later.is_empty() {
        return Err(shape.later);
    }
    Ok(Push { limit: shape.limit, topology: topology(query, catalog, &shape, result) })
}

fn topology(query: &ast::Query, catalog: &Catalog, shape: &shape::Shape, result: lowering::Planned) -> Topology {
    let filter = result.predicate.map(|predicate| Step::Filter { predicate });
    let explode = (!result.exploded.is_empty()).then_some(Step::Explode { columns: result.exploded });
    let steps: Vec<Step> = filter.into_iter().chain(explode).chain([Step::Project(result.projection)]).collect();
    let functions = called(query, catalog);
    let version = Topology::version_of(&steps, &functions);
    Topology { version, input: shape.source.as_ref().clone(), steps, output: None, functions }
}

/// The sources that a query joins, each with its topic: their partitions must be as many. None where that need not be.
pub fn joined_topics(query: &ast::Query, catalog: &Catalog, settings: &Settings) -> Vec<(String, String)> {
    let Ok(state) = state_for(query, catalog, settings) else { return Vec::new() };
    match rules::is_stateful(query, &state) {
        true => rules::check(query, catalog, &state, lowering::Use::Show, &[]).together,
        false => Vec::new(),
    }
}
