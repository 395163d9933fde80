//! DROP STREAM and DROP TABLE, and with DELETE TOPIC their topic, unless it is in use.

use headwater_language::catalog::{Catalog, CatalogChange, Refusal, owner_of};
use headwater_language::definition::{SourceDef, SourceKind};
use headwater_language::diagnostic::{Diagnostic, IN_USE, OWNED_TOPIC, READ_ONLY, UNKNOWN_SOURCE};
use headwater_language::sql::ast;
use headwater_planner::define::source_kind;

use super::cleanup::cleanup;
use super::wording::{capital, unless_forgiven};
use super::{Answered, Context, schemas};
use crate::answer::Answer;
use crate::runtime::complaints::PROCESSING_LOG;
use crate::runtime::{blocking, refused};

/// Drops the stream or table. Its queries in this process have ended when it returns.
pub(crate) async fn run(drop: &ast::DropSource, context: &mut Context<'_>) -> Answered {
    let catalog = context.catalog().await?;
    let kind = source_kind(drop.kind);
    let Some(source) = catalog.source(&drop.name).cloned() else {
        return unless_forgiven(drop.if_exists, unknown(&catalog, kind, &drop.name));
    };
    let change = CatalogChange::DropSource { name: source.name.clone() };
    check(drop, &source, &change, &catalog).map_err(|error| vec![error.at(drop.name.span)])?;
    let after = context.publish(change, drop.name.span).await?;
    context.process.sync().await?;
    let message = format!("{} \"{}\" dropped", capital(kind.word()), source.name);
    let answer = match drop.delete_topic {
        true => delete_topic(message, &source, &after, context).await?,
        false => Answer::done(message),
    };
    cleanup(answer, (&catalog, &after), context).await
}

fn unknown(catalog: &Catalog, kind: SourceKind, name: &ast::Name) -> Diagnostic {
    let message = format!("{} \"{}\" does not exist", kind.word(), name.value);
    let names = catalog.sources().filter(|source| source.kind == kind).map(|source| source.name.as_str());
    Diagnostic::new(UNKNOWN_SOURCE, message).at(name.span).nearest_of(name, names)
}

/// Checks that the source may be dropped, and its topic too if the statement says so.
fn check(
    drop: &ast::DropSource,
    source: &SourceDef,
    change: &CatalogChange,
    catalog: &Catalog,
) -> Result<(), Diagnostic> {
    let (name, kind, wanted) = (&source.name, source.kind, source_kind(drop.kind));
    if kind != wanted {
        let message = format!("\"{name}\" is a {}, not a {}", kind.word(), wanted.word());
        let hint = format!("DROP {} {name};", kind.word().to_uppercase());
        return Err(Diagnostic::new(UNKNOWN_SOURCE, message).hint(hint));
    }
    if let Err(Refusal::InUse(_, ids)) = catalog.apply(change) {
        return Err(in_use(&drop.name, &ids));
    }
    if drop.delete_topic {
        check_deletion(source, catalog)?;
    }
    if name == PROCESSING_LOG && owner_of(&source.topic).is_some() {
        let message = format!("\"{PROCESSING_LOG}\" cannot be dropped: queries report bad records in it");
        return Err(Diagnostic::new(OWNED_TOPIC, message));
    }
    Ok(())
}

/// The error when queries use the stream.
fn in_use(name: &ast::Name, ids: &[String]) -> Diagnostic {
    let users = match ids {
        [id] => format!("query {id} uses it"),
        ids => format!("queries {} use it", ids.join(", ")),
    };
    let message = format!("\"{}\" cannot be dropped: {users}", name.value);
    let hint = ids.iter().map(|id| format!("TERMINATE {id};")).collect::<Vec<_>>().join(" ");
    Diagnostic::new(IN_USE, message).hint(hint)
}

/// Deletes the topic, unless another process has declared something over it in the meantime.
async fn delete_topic(message: String, source: &SourceDef, catalog: &Catalog, context: &Context<'_>) -> Answered {
    let users = users_of(&source.topic, catalog, &source.name);
    if !users.is_empty() {
        let warning = format!("topic \"{}\" was not deleted: it is used by {}", source.topic, named(&users));
        return Ok(Answer::Done { message, warnings: vec![warning] });
    }
    let (transport, topic) = (context.process.transport().clone(), source.topic.clone());
    blocking(move || transport.admin().delete_topic(&topic)).await?.map_err(refused)?;
    Ok(Answer::Done {
        message: format!("{message} and topic \"{}\" deleted", source.topic),
        warnings: schemas::delete(source, context).await?,
    })
}

/// Checks that the topic of a source may be deleted.
fn check_deletion(source: &SourceDef, catalog: &Catalog) -> Result<(), Diagnostic> {
    let SourceDef { name, topic, .. } = source;
    if let Some(owner) = owner_of(topic) {
        let message = format!("topic \"{topic}\" cannot be deleted: it belongs to {owner}");
        return Err(Diagnostic::new(OWNED_TOPIC, message).hint("Leave DELETE TOPIC out."));
    }
    if source.read_only {
        let message =
            format!("the topic of \"{name}\" cannot be deleted: it was declared with SOURCE, which is read-only");
        return Err(Diagnostic::new(READ_ONLY, message));
    }
    let users = users_of(topic, catalog, name);
    if users.is_empty() {
        return Ok(());
    }
    let message = format!("topic \"{topic}\" cannot be deleted: it is used by {}", named(&users));
    let how: Vec<String> = users.iter().map(|(who, does)| format!("{who} {does}")).collect();
    let detail = format!("It is not only the topic of \"{name}\": {}.", how.join(", "));
    let hint = "Leave DELETE TOPIC out, or drop or terminate its users first.";
    Err(Diagnostic::new(IN_USE, message).detail(detail).hint(hint))
}

fn named(users: &[(String, &str)]) -> String {
    users.iter().map(|(who, _)| who.as_str()).collect::<Vec<_>>().join(", ")
}

/// The users of a topic and how they use it, except the stream or table with this name and its own query.
fn users_of(topic: &str, catalog: &Catalog, name: &str) -> Vec<(String, &'static str)> {
    let sources = catalog.sources().filter(|source| source.topic == topic && source.name != name);
    let sources = sources.map(|source| (format!("{} \"{}\"", source.kind.word(), source.name), "is declared over it"));
    let own = catalog.query_behind(name).map(|query| query.id.clone());
    let queries = catalog.queries().filter(|query| own.as_ref() != Some(&query.id)).filter_map(|query| {
        let writes = query.topology.sink().is_some_and(|sink| sink.topic == topic);
        let does = match () {
            () if query.reads(topic) => "reads it",
            () if writes => "writes it",
            () if query.dlq_topic.as_deref() == Some(topic) => "sends its dead letters to it",
            () => return None,
        };
        Some((format!("query {}", query.id), does))
    });
    sources.chain(queries).collect()
}
