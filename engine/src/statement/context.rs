//! What every statement runs with.

use std::sync::Arc;

use crate::answer::Answer;
use crate::runtime::Process;
use crate::session::Session;
use headwater_language::catalog::{Catalog, CatalogChange};
use headwater_language::config::Settings;
use headwater_language::diagnostic::{Diagnostic, Span};
use headwater_language::sql::ast;

/// What a statement answers: facts, or everything that is wrong with it.
pub(crate) type Answered = Result<Answer, Vec<Diagnostic>>;

/// What a statement runs with.
pub(crate) struct Context<'a> {
    /// The engine: the cluster, the command topic and the queries of this process.
    pub(crate) process: &'a Process,
    /// The session of whoever asks.
    pub(crate) session: &'a mut Session,
    /// The statement's text, after its variables were replaced.
    pub(crate) text: &'a str,
    /// The place of the statement in what was typed.
    pub(crate) span: Span,
    /// The catalog that the statement is planned with, once it is taken.
    catalog: Option<Arc<Catalog>>,
}

impl<'a> Context<'a> {
    /// What this statement runs with.
    pub(crate) fn new(process: &'a Process, session: &'a mut Session, statement: &'a ast::Statement) -> Self {
        Self { process, session, text: &statement.text, span: statement.span, catalog: None }
    }

    /// The statement is planned with this catalog. For definitions, which need the one that every process has.
    pub(crate) fn plan_with(&mut self, catalog: Arc<Catalog>) {
        self.catalog = Some(catalog);
    }

    /// The catalog that the statement is planned with: one for the whole statement, taken when it is first asked for.
    pub(crate) async fn catalog(&mut self) -> Result<Arc<Catalog>, Vec<Diagnostic>> {
        if let Some(catalog) = &self.catalog {
            return Ok(catalog.clone());
        }
        let catalog = self.process.catalog().await?;
        self.catalog = Some(catalog.clone());
        Ok(catalog)
    }

    /// Publishes a change and goes on with the catalog that has it, which it gives.
    pub(crate) async fn publish(&mut self, change: CatalogChange, span: Span) -> Result<Arc<Catalog>, Vec<Diagnostic>> {
        let before = self.catalog().await?;
        let after = self.process.publish(&before, self.text, change, span).await?;
        self.catalog = Some(after.clone());
        Ok(after)
    }

    /// The properties of the session.
    pub(crate) fn settings(&self) -> &Settings {
        self.session.settings()
    }
}
