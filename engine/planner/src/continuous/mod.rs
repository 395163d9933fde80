//! Continuous queries: from `SELECT … EMIT CHANGES`, `CREATE … AS SELECT` and `INSERT INTO … SELECT`
//! to a topology.
//!
//! One planner for all of them: `query` reads a query once, `rules` says what is wrong with it and what is not built yet,
//! `lowering` makes its steps, and `sink` what is written, and where. Semantics: ksqlDB's queries.

mod circles;
mod declaration;
mod joins;
mod key;
mod lowering;
mod query;
mod rules;
mod scope;
mod sink;
mod window;

use datafusion::execution::session_state::SessionState;
use headwater_expression::{register, session};
use headwater_language::catalog::Catalog;
use headwater_language::config::Settings;
use headwater_language::definition::FunctionDef;
use headwater_language::diagnostic::Diagnostic;
use headwater_language::sql::ast;
use headwater_language::topology::Topology;
use lowering::Lowered;
use query::{Purpose, Streaming};
use rules::not_built;

use super::define::real_first;
use super::function;

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
    register(session(settings), topology.functions())
}

/// Plans a push query. Gives every mistake that could be found at once.
pub fn push(query: &ast::Query, catalog: &Catalog, settings: &Settings) -> Result<Push, Vec<Diagnostic>> {
    let state = state_for(query, catalog, settings)?;
    let (query, lowered) = plan(query, catalog, &state, settings, Purpose::Show)?;
    passed(not_built::check(&query))?;
    passed(not_built::source(&query))?;
    Ok(Push { limit: query.limit().ok().flatten(), topology: topology(query.query, catalog, query.first(), lowered) })
}

/// A query as it was read, and its steps. Gives everything that is wrong with it or, where nothing is, why it has no steps
/// yet. One that has steps may still be [`not_built`].
fn plan<'a>(
    query: &'a ast::Query,
    catalog: &Catalog,
    state: &'a SessionState,
    settings: &Settings,
    purpose: Purpose<'a>,
) -> Result<(Streaming<'a>, Lowered), Vec<Diagnostic>> {
    let query = Streaming::read(query, catalog, state, settings, purpose)?;
    let mut errors = Vec::new();
    let can_be_compiled = rules::check(&query, &mut errors);
    let lowered = match can_be_compiled && not_built::can_be_lowered(&query) {
        true => lowering::lower(&query, &mut errors),
        false => None,
    };
    if errors.is_empty() {
        rules::check_result(&query, &mut errors);
    }
    rules::check_sink(&query, &mut errors);
    passed(real_first(errors))?;
    match lowered {
        Some(lowered) => Ok((query, lowered)),
        None => Err(not_built::check(&query)),
    }
}

/// Fails where anything was found.
fn passed(found: Vec<Diagnostic>) -> Result<(), Vec<Diagnostic>> {
    if found.is_empty() { Ok(()) } else { Err(found) }
}

fn topology(query: &ast::Query, catalog: &Catalog, source: &scope::Member, lowered: Lowered) -> Topology {
    Topology::linear(source.source.as_ref().clone(), lowered.into_actions(), called(query, catalog))
}

/// The sources that a query joins, each with its topic: their partitions must be as many. None where that need not be.
pub fn joined_topics(query: &ast::Query, catalog: &Catalog, settings: &Settings) -> Vec<(String, String)> {
    let Ok(state) = state_for(query, catalog, settings) else { return Vec::new() };
    let Ok(query) = Streaming::read(query, catalog, &state, settings, Purpose::Show) else { return Vec::new() };
    if !query.is_joined() || joins::read(&query).iter().any(|join| join.is_foreign) {
        return Vec::new();
    }
    query.scope.members.iter().map(|m| (m.source.name.clone(), m.source.topic.clone())).collect()
}
