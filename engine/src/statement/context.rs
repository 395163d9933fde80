//! The context that every statement runs in.

use std::sync::Arc;

use headwater_language::catalog::{Catalog, CatalogChange};
use headwater_language::config::Settings;
use headwater_language::diagnostic::{Diagnostic, Span};
use headwater_language::sql::ast;

use crate::answer::Answer;
use crate::runtime::Process;
use crate::session::Session;

/// The result of a statement: its answer, or all of its errors.
pub(crate) type Answered = Result<Answer, Vec<Diagnostic>>;

/// The context that a statement runs in.
pub(crate) struct Context<'a> {
    /// The process: the cluster, the command topic and the queries that run here.
    pub(crate) process: &'a Process,
    /// The user's session.
    pub(crate) session: &'a mut Session,
    /// The text of the statement, with its variables replaced.
    pub(crate) text: &'a str,
    /// The span of the statement in what the user typed.
    pub(crate) span: Span,
    /// The catalog that the statement is planned with, once it has been taken.
    catalog: Option<Arc<Catalog>>,
}

impl<'a> Context<'a> {
    /// The context of a statement.
    pub(crate) fn new(process: &'a Process, session: &'a mut Session, statement: &'a ast::Statement) -> Self {
        Self { process, session, text: &statement.text, span: statement.span, catalog: None }
    }

    /// Sets the catalog that the statement is planned with, for definitions, which need the one that every process has.
    pub(crate) fn plan_with(&mut self, catalog: Arc<Catalog>) {
        self.catalog = Some(catalog);
    }

    /// The catalog that the statement is planned with: one for the whole statement, taken at the first call.
    pub(crate) async fn catalog(&mut self) -> Result<Arc<Catalog>, Vec<Diagnostic>> {
        if let Some(catalog) = &self.catalog {
            return Ok(catalog.clone());
        }
        let catalog = self.process.catalog().await?;
        self.catalog = Some(catalog.clone());
        Ok(catalog)
    }

    /// Publishes a change. Returns the catalog that includes it, which the statement uses from then on.
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
