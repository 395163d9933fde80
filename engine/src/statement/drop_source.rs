//! DROP STREAM and DROP TABLE, and with DELETE TOPIC their topic, unless someone needs it.

use super::continuous::in_use;
use crate::answer::Answer;
use crate::catalog::{Catalog, CatalogChange, Refusal, SourceDef, owner_of};
use crate::diagnostic::{Diagnostic, IN_USE, OWNED_TOPIC, READ_ONLY, UNKNOWN_SOURCE};
use crate::engine::{Engine, blocking, capital, refused, unless_forgiven};
use crate::planner::define::source_kind;
use crate::runtime::complaints::PROCESSING_LOG;
use crate::sql::ast;

impl Engine {
    /// DROP STREAM and DROP TABLE.
    pub(crate) async fn drop_source(&self, drop: &ast::DropSource, text: &str) -> Result<Answer, Vec<Diagnostic>> {
        let catalog = self.catalog().await?;
        let kind = source_kind(drop.kind);
        let Some(source) = catalog.source(&drop.name).cloned() else {
            let message = format!("{} \"{}\" does not exist", kind.word(), drop.name.value);
            let names = catalog.sources().filter(|source| source.kind == kind).map(|source| source.name.as_str());
            let error = Diagnostic::new(UNKNOWN_SOURCE, message).at(drop.name.span).nearest_of(&drop.name, names);
            return unless_forgiven(drop.if_exists, error);
        };
        if source.kind != kind {
            let message = format!("\"{}\" is a {}, not a {}", source.name, source.kind.word(), kind.word());
            let hint = format!("DROP {} {};", source.kind.word().to_uppercase(), source.name);
            return Err(vec![Diagnostic::new(UNKNOWN_SOURCE, message).at(drop.name.span).hint(hint)]);
        }
        let change = CatalogChange::DropSource { name: source.name.clone() };
        if let Err(Refusal::InUse(_, ids)) = catalog.apply(&change) {
            return Err(vec![in_use(&drop.name, &ids)]);
        }
        if drop.delete_topic {
            check_deletion(&source, &catalog).map_err(|error| vec![error.at(drop.name.span)])?;
        }
        if source.name == PROCESSING_LOG && owner_of(&source.topic).is_some() {
            let message = format!("\"{PROCESSING_LOG}\" is not dropped: queries write to it what they complain of");
            return Err(vec![Diagnostic::new(OWNED_TOPIC, message).at(drop.name.span)]);
        }
        let catalog = self.publish(text, change, drop.name.span).await?;
        self.sync().await?;
        let message = format!("{} \"{}\" dropped", capital(kind.word()), source.name);
        if !drop.delete_topic {
            return Ok(Answer::done(message));
        }
        // Another process may have declared something over the topic meanwhile.
        let users = users_of(&source.topic, &catalog, &source.name);
        if !users.is_empty() {
            let warning = format!("topic \"{}\" was not deleted: it is used by {}", source.topic, named(&users));
            return Ok(Answer::Done { message, warnings: vec![warning] });
        }
        let (transport, topic) = (self.transport().clone(), source.topic.clone());
        blocking(move || transport.admin().delete_topic(&topic)).await?.map_err(refused)?;
        Ok(Answer::done(format!("{message} and topic \"{}\" deleted", source.topic)))
    }
}

/// Whether the topic of a source may go with it.
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
    let hint = "Leave DELETE TOPIC out, or drop and terminate those first.";
    Err(Diagnostic::new(IN_USE, message).detail(detail).hint(hint))
}

fn named(users: &[(String, &str)]) -> String {
    users.iter().map(|(who, _)| who.as_str()).collect::<Vec<_>>().join(", ")
}

/// Who uses a topic and how, besides the stream or table of this name and the query that came with it.
fn users_of(topic: &str, catalog: &Catalog, name: &str) -> Vec<(String, &'static str)> {
    let sources = catalog.sources().filter(|source| source.topic == topic && source.name != name);
    let sources = sources.map(|source| (format!("{} \"{}\"", source.kind.word(), source.name), "is declared over it"));
    let own = catalog.query_behind(name).map(|query| query.id.clone());
    let queries = catalog.queries().filter(|query| own.as_ref() != Some(&query.id)).filter_map(|query| {
        let writes = query.topology.output.as_ref().is_some_and(|sink| sink.topic == topic);
        let does = match () {
            () if query.topology.input.topic == topic => "reads it",
            () if writes => "writes it",
            () if query.dlq_topic.as_deref() == Some(topic) => "sends its dead letters to it",
            () => return None,
        };
        Some((format!("query {}", query.id), does))
    });
    sources.chain(queries).collect()
}
