//! SHOW and LIST: one file for each kind of thing that can be listed.

pub(crate) mod functions;
mod properties;
mod queries;
mod rejects;
mod sources;
mod topics;
mod types;
mod variables;

use headwater_language::sql::ast;
use headwater_planner::define::source_kind;

use super::wording::not_supported;
use super::{Answered, Context};
use crate::answer::Answer;

/// Lists what the statement names.
pub(crate) async fn run(show: &ast::Show, context: &mut Context<'_>) -> Answered {
    Ok(Answer::Facts(match show {
        ast::Show::Sources { kind, extended } => sources::run(source_kind(*kind), *extended, context).await?,
        ast::Show::Topics { all, extended } => topics::run(*all, *extended, context).await?,
        ast::Show::Types => types::run(context).await?,
        ast::Show::Functions => functions::run(context).await?,
        ast::Show::Variables => variables::run(context),
        ast::Show::Properties => properties::run(context),
        ast::Show::Rejects => rejects::run(context),
        ast::Show::Queries { extended } => queries::run(*extended, context).await?,
        ast::Show::Connectors(_) | ast::Show::ConnectorPlugins => {
            return Err(vec![not_supported("connectors are", context.span)]);
        }
    }))
}
