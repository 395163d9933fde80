//! DROP STREAM and DROP TABLE, and with DELETE TOPIC their topic.

use super::continuous::in_use;
use crate::answer::Answer;
use crate::catalog::{CatalogChange, Refusal};
use crate::diagnostic::{Diagnostic, READ_ONLY, UNKNOWN_SOURCE};
use crate::engine::{Engine, blocking, capital, refused, unless_forgiven};
use crate::planner::define::source_kind;
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
        if drop.delete_topic && source.read_only {
            let message = format!(
                "the topic of \"{}\" cannot be deleted: it was declared with SOURCE, which is read-only",
                source.name
            );
            return Err(vec![Diagnostic::new(READ_ONLY, message).at(drop.name.span)]);
        }
        let change = CatalogChange::DropSource { name: source.name.clone() };
        if let Err(Refusal::InUse(_, ids)) = catalog.apply(&change) {
            return Err(vec![in_use(&drop.name, &ids)]);
        }
        self.publish(text, change, drop.name.span).await?;
        self.sync().await?;
        let message = format!("{} \"{}\" dropped", capital(kind.word()), source.name);
        if !drop.delete_topic {
            return Ok(Answer::done(message));
        }
        let (transport, topic) = (self.transport().clone(), source.topic.clone());
        blocking(move || transport.admin().delete_topic(&topic)).await?.map_err(refused)?;
        Ok(Answer::done(format!("{message} and topic \"{}\" deleted", source.topic)))
    }
}
