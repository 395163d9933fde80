//! Continuous queries: plans `SELECT … EMIT CHANGES`, `CREATE … AS SELECT` and `INSERT INTO … SELECT` as topologies.
//!
//! One planner for all of them: `query` reads a query once, `rules` reports errors and features that are not supported
//! yet, `lowering` creates the steps, and `sink` determines what is written and where. Semantics: ksqlDB's queries.

mod circles;
mod declaration;
mod joins;
mod key;
mod lowering;
mod query;
mod rules;
mod scope;
mod sink;
mod source_table;
pub(crate) mod window;

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

pub use scope::{Member, Scope};
pub use sink::{CACHE_BYTES, Persistent, THREADS, THROWS_ON_INVALID_TIME, create_as, insert_select};
pub use source_table::keep_source;

/// A push query.
#[derive(Clone, Debug, PartialEq)]
pub struct Push {
    /// The topology that computes it.
    pub topology: Topology,
    /// The number of rows after which it ends.
    pub limit: Option<u64>,
}

/// The state in which a query is planned, including the functions defined by statements.
fn state_for(query: &ast::Query, catalog: &Catalog, settings: &Settings) -> Result<SessionState, Vec<Diagnostic>> {
    function::register_called(session(settings), &called(query, catalog), catalog)
}

/// The statement-defined functions that a query calls.
fn called(query: &ast::Query, catalog: &Catalog) -> Vec<FunctionDef> {
    let mut found = function::called([&query.body], catalog);
    for other in function::called(query.partition_by.iter().map(|list| &list.value), catalog) {
        if !found.contains(&other) {
            found.push(other);
        }
    }
    found
}

/// The state in which a query runs, with the functions that it was planned with.
pub fn state_of(topology: &Topology, settings: &Settings) -> Result<SessionState, Vec<Diagnostic>> {
    register(session(settings), topology.functions())
}

/// Plans a push query. Returns all errors that can be found at once.
pub fn push(query: &ast::Query, catalog: &Catalog, settings: &Settings) -> Result<Push, Vec<Diagnostic>> {
    let state = state_for(query, catalog, settings)?;
    let (query, lowered) = plan(query, catalog, &state, settings, Purpose::Show)?;
    passed(not_built::check(&query))?;
    passed(not_built::source(&query))?;
    Ok(Push { limit: query.limit().ok().flatten(), topology: lowered.into_topology(called(query.query, catalog)) })
}

/// The query as read, and its steps. Returns all errors or, if there are none, the reasons why the query is not
/// supported yet. A query with steps may still be [`not_built`].
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

/// Returns an error if anything was found.
fn passed(found: Vec<Diagnostic>) -> Result<(), Vec<Diagnostic>> {
    if found.is_empty() { Ok(()) } else { Err(found) }
}
