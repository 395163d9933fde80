//! SHOW: lists of what there is.

use datafusion::execution::session_state::SessionState;
use headwater_connectors::transport::{Admin, Isolation, TransportError};

use super::wording::not_supported;
use super::{Answered, Context, describe, query_facts};
use crate::answer::{Answer, Section};
use crate::catalog::{Catalog, SourceKind};
use crate::config::PROPERTIES;
use crate::planner::define::source_kind;
use crate::runtime::bounded::Bounded;
use crate::runtime::{OWN_TOPICS, blocking, refused};
use crate::session::Session;
use crate::sql::ast;

/// Lists what the statement names.
pub(crate) async fn run(show: &ast::Show, context: &mut Context<'_>) -> Answered {
    Ok(Answer::Facts(match show {
        ast::Show::Sources { kind, extended: false } => sources(&*context.catalog().await?, source_kind(*kind)),
        ast::Show::Sources { kind, extended: true } => describe::all(source_kind(*kind), true, context).await?,
        ast::Show::Topics { all, extended } => {
            let (transport, all, extended) = (context.engine.transport().clone(), *all, *extended);
            blocking(move || topics(transport.admin(), all, extended)).await?.map_err(refused)?
        }
        ast::Show::Types => types(&*context.catalog().await?),
        ast::Show::Functions => functions(&*context.catalog().await?, &Bounded::bare_state(context.settings())),
        ast::Show::Variables => variables(context.session),
        ast::Show::Properties => properties(context.session),
        ast::Show::Rejects => rejects(context.session),
        ast::Show::Queries { extended } => {
            let (catalog, engine) = (context.catalog().await?, context.engine);
            match extended {
                false => query_facts::listed(&catalog, engine).await?,
                true => {
                    let queries: Vec<_> = catalog.queries().collect();
                    query_facts::explained(queries, &catalog, engine).await?
                }
            }
        }
        ast::Show::Connectors(_) | ast::Show::ConnectorPlugins => {
            return Err(vec![not_supported("connectors are", context.span)]);
        }
    }))
}

/// Topics that only SHOW ALL TOPICS lists.
const HIDDEN: [&str; 4] = [OWN_TOPICS, "_confluent", "__", "_schemas"];

/// The category of functions that statements defined.
pub const DEFINED: &str = "DEFINED BY A STATEMENT";

fn list(columns: &[&str], rows: Vec<Vec<String>>) -> Vec<Section> {
    vec![Section { columns: columns.iter().map(|c| (*c).to_owned()).collect(), rows, ..Section::default() }]
}

/// SHOW STREAMS or SHOW TABLES.
pub fn sources(catalog: &Catalog, kind: SourceKind) -> Vec<Section> {
    let title = if kind == SourceKind::Stream { "Stream Name" } else { "Table Name" };
    let rows = catalog.sources().filter(|s| s.kind == kind).map(|s| {
        let windowed = s.window.is_some().to_string();
        vec![s.name.clone(), s.topic.clone(), s.key.format.clone(), s.value.format.clone(), windowed]
    });
    list(&[title, "Kafka Topic", "Key Format", "Value Format", "Windowed"], rows.collect())
}

/// SHOW TOPICS. Blocks.
pub fn topics(admin: &dyn Admin, all: bool, extended: bool) -> Result<Vec<Section>, TransportError> {
    let mut rows = Vec::new();
    for topic in admin.topics()?.into_iter().filter(|t| all || !HIDDEN.iter().any(|h| t.name.starts_with(h))) {
        let mut row = vec![topic.name.clone(), topic.partitions.to_string(), topic.replicas.to_string()];
        if extended {
            let marks = admin.watermarks(&topic.name, Isolation::ReadUncommitted)?;
            row.push(marks.iter().map(|w| w.end - w.start).sum::<i64>().to_string());
        }
        rows.push(row);
    }
    let columns = ["Kafka Topic", "Partitions", "Partition Replicas", "Offsets"];
    Ok(list(&columns[..if extended { 4 } else { 3 }], rows))
}

/// SHOW TYPES.
pub fn types(catalog: &Catalog) -> Vec<Section> {
    let rows = catalog.custom_types().map(|(name, ty)| vec![name.to_owned(), ty.to_string()]);
    list(&["Type Name", "Schema"], rows.collect())
}

/// SHOW FUNCTIONS: the dialect's, those of statements, and what bounded queries can call besides.
pub fn functions(catalog: &Catalog, state: &SessionState) -> Vec<Section> {
    let defined = catalog.functions().map(|function| (function.name.clone(), DEFINED));
    let mut rows: Vec<_> = crate::functions::list(state).into_iter().chain(defined).collect();
    rows.sort();
    let rows = rows.into_iter().map(|(name, category)| vec![name, category.to_owned()]);
    list(&["Function Name", "Category"], rows.collect())
}

/// SHOW VARIABLES.
pub fn variables(session: &Session) -> Vec<Section> {
    let rows = session.variables().iter().map(|(name, value)| vec![name.clone(), value.clone()]);
    list(&["Variable Name", "Value"], rows.collect())
}

/// SHOW PROPERTIES.
pub fn properties(session: &Session) -> Vec<Section> {
    let rows = PROPERTIES.iter().map(|p| {
        let changed = if session.settings().is_set(p) { "SESSION" } else { "" };
        [p.name, changed, session.settings().get(p.name), p.about].map(str::to_owned).to_vec()
    });
    list(&["Property", "Default override", "Effective Value", "About"], rows.collect())
}

/// SHOW REJECTS: records that the last query could not read.
pub fn rejects(session: &Session) -> Vec<Section> {
    let Some(progress) = session.last_query() else {
        return vec![Section { text: Some("No query has run yet.".to_owned()), ..Section::default() }];
    };
    let (kept, all) = (progress.rejects(), progress.snapshot().rejects);
    let rows: Vec<Vec<String>> = kept
        .iter()
        .map(|r| {
            vec![
                r.origin.topic.to_string(),
                r.origin.partition.to_string(),
                r.offset.to_string(),
                r.side.to_string(),
                r.reason.clone(),
            ]
        })
        .collect();
    let mut sections = list(&["Topic", "Partition", "Offset", "Side", "Reason"], rows);
    if all > kept.len() as u64 {
        sections[0].text = Some(format!("The first {} of {all} rejects are listed.", kept.len()));
    }
    sections
}
