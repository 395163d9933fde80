//! EXPLAIN: how a statement would run, and how a persistent query runs.

use headwater_language::diagnostic::Diagnostic;
use headwater_language::sql::ast;
use headwater_language::topology::Topology;
use headwater_planner::continuous as planner;
use headwater_planner::schemas::{Found, wanted_by_sink};

use super::wording::not_supported;
use super::{Answered, Context, choice, query_facts, schemas, select};
use crate::answer::{Answer, Facts};

/// Explains a query or a statement.
pub(crate) async fn run(explain: &ast::Explain, context: &mut Context<'_>) -> Answered {
    let inner = match &explain.target {
        ast::ExplainTarget::Statement(inner) => inner,
        ast::ExplainTarget::QueryId(id) => return running(id, context).await,
    };
    if let Some(topology) = topology_of(inner, context).await? {
        return match explain.analyze {
            true => Err(vec![not_supported("EXPLAIN ANALYZE of a continuous query is", context.span)]),
            false => Ok(Answer::Facts(Facts::Topology(Box::new(topology)))),
        };
    }
    let ast::StatementKind::Query(query) = &inner.kind else {
        return Err(vec![not_supported("EXPLAIN of this statement is", inner.span)]);
    };
    let bounded = select::plan(query, context).await?;
    if !explain.analyze {
        return Ok(Answer::Facts(Facts::Plan(bounded.explain())));
    }
    context.session.remember(bounded.progress().clone());
    bounded.explain_analyze().await.map(Facts::ExecutedPlan).map(Answer::Facts)
}

/// A persistent query that exists.
async fn running(id: &ast::Name, context: &mut Context<'_>) -> Answered {
    let catalog = context.catalog().await?;
    let query = choice::find(&catalog, id)?;
    query_facts::described(&[query], &catalog, context.process).await.map(Answer::Facts)
}

/// The topology of a continuous query or of a statement that would create one; `None` for other statements.
async fn topology_of(
    statement: &ast::Statement,
    context: &mut Context<'_>,
) -> Result<Option<Topology>, Vec<Diagnostic>> {
    let catalog = context.catalog().await?;
    let found = match &statement.kind {
        ast::StatementKind::CreateAs(create) => schemas::fetch(wanted_by_sink(&create.properties), context).await?,
        _ => Found::default(),
    };
    let (settings, text) = (context.settings(), &statement.text);
    Ok(Some(match &statement.kind {
        ast::StatementKind::Query(query) if !query.is_bounded() => planner::push(query, &catalog, settings)?.topology,
        ast::StatementKind::CreateAs(create) => {
            planner::create_as(create, text, &catalog, settings, &found)?.query.topology
        }
        ast::StatementKind::InsertSelect(insert) => {
            planner::insert_select(insert, text, &catalog, settings)?.query.topology
        }
        _ => return Ok(None),
    }))
}
