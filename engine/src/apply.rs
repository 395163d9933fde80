//! `headwater run`: statements of files, applied as often as one likes, and their queries run.
//!
//! A statement that stands already as it is written does nothing, so the same file describes a service
//! at its first start and at every later one. One that differs from what stands is refused, unless it
//! says OR REPLACE.

use crate::answer::Answer;
use crate::engine::Engine;
use crate::runtime::Asked;
use crate::session::Session;
use crate::statement::{Answered, Context};
use headwater_language::catalog::{Catalog, QueryDef};
use headwater_language::definition::FunctionDef;
use headwater_language::diagnostic::{Diagnostic, NOT_SUPPORTED};
use headwater_language::sql::{self, ast};
use headwater_planner::function;
use headwater_planner::types::resolve;

impl Engine {
    /// Applies one statement of a file: what stands already is left alone.
    pub fn apply<'a>(&'a self, session: &'a mut Session, text: &'a str) -> Asked<'a, Answer> {
        Box::pin(self.apply_statement(session, text))
    }

    async fn apply_statement(&self, session: &mut Session, text: &str) -> Answered {
        use ast::StatementKind as S;
        self.process().apply_first();
        let substituted = sql::variables::substitute(text, |name| session.variables().get(name).map(String::as_str));
        let parsed = sql::parse(&substituted.text);
        let [statement] = &parsed.statements[..] else { return self.ask(session, text).await };
        let in_typed_text = |errors: Vec<Diagnostic>| substituted.diagnostics(errors);
        match &statement.kind {
            _ if !parsed.errors.is_empty() => Err(in_typed_text(parsed.errors)),
            S::Set(_) | S::Unset(_) | S::Define(_) | S::Undefine(_) => self.ask(session, text).await,
            _ => match not_for_run(statement) {
                Some(error) => Err(in_typed_text(vec![error])),
                None => self.apply_once(session, statement).await.map_err(in_typed_text),
            },
        }
    }

    /// Other processes may apply the same file at the same moment: who loses a race finds that what it wanted stands.
    async fn apply_once(&self, session: &mut Session, statement: &ast::Statement) -> Answered {
        let catalog = self.process().sure_catalog().await?;
        if let Some(answer) = standing(&catalog, &statement.kind) {
            return Ok(answer);
        }
        let mut context = Context::new(self.process(), session, statement);
        context.plan_with(catalog);
        let answered = self.dispatch(&statement.kind, &mut context).await;
        let standing = match &answered {
            Ok(_) => None,
            Err(_) => standing(self.catalog().await?.as_ref(), &statement.kind),
        };
        standing.map_or(answered, Ok)
    }
}

/// Finds what is wrong with a statement of a file before any is applied: that it cannot be read, or is not for `headwater
/// run`. What names there are is not looked at, for statements before it may make them; nor is one with variables.
pub fn check(text: &str) -> Result<(), Vec<Diagnostic>> {
    if text.contains("${") {
        return Ok(());
    }
    let parsed = sql::parse(text);
    let mut errors = parsed.errors;
    errors.extend(parsed.statements.iter().filter_map(not_for_run));
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn not_for_run(statement: &ast::Statement) -> Option<Diagnostic> {
    use ast::StatementKind as S;
    let describes = matches!(
        &statement.kind,
        S::CreateSource(_)
            | S::CreateAs(_)
            | S::InsertSelect(_)
            | S::CreateType(_)
            | S::CreateFunction(_)
            | S::Set(_)
            | S::Unset(_)
            | S::Define(_)
            | S::Undefine(_)
    );
    let message = "this statement is not for `headwater run`";
    let detail = "It takes what describes a service: CREATE STREAM, TABLE, TYPE and FUNCTION, CREATE … AS SELECT, \
                  INSERT INTO … SELECT, SET and DEFINE.";
    let hint = "Run it in a shell, or with headwater -e.";
    (!describes).then(|| Diagnostic::new(NOT_SUPPORTED, message).at(statement.span).detail(detail).hint(hint))
}

/// The answer to a statement whose work stands already as the statement says it.
fn standing(catalog: &Catalog, kind: &ast::StatementKind) -> Option<Answer> {
    what_stands(catalog, kind).map(|what| Answer::done(format!("{what} stands already")))
}

fn what_stands(catalog: &Catalog, kind: &ast::StatementKind) -> Option<String> {
    use ast::StatementKind as S;
    let same = |text: &str| sql::parse(text).statements.first().is_some_and(|there| there.kind == *kind);
    match kind {
        S::CreateSource(create) => {
            let source = catalog.source(&create.name).filter(|source| same(&source.statement))?;
            Some(format!("{} \"{}\"", word(create.kind), source.name))
        }
        S::CreateAs(create) => {
            let query = catalog.query_behind(&create.name).filter(|query| same(&query.statement))?;
            if create.or_replace && !has_its_functions(query, catalog) {
                return None;
            }
            Some(format!("{} \"{}\", by query {},", word(create.kind), create.name.value, query.id))
        }
        S::InsertSelect(_) => {
            let query = catalog.queries().find(|query| same(&query.statement))?;
            Some(format!("Query {}", query.id))
        }
        S::CreateType(create) => {
            let ty = resolve(&create.ty, catalog).ok()?;
            (catalog.custom_type(&create.name) == Some(&ty)).then(|| format!("Type \"{}\"", create.name.value))
        }
        S::CreateFunction(create) => {
            let wanted = function::define(create, "", catalog).ok()?;
            let standing = catalog.function(&wanted.name).filter(|standing| standing.means_the_same(&wanted))?;
            Some(format!("Function \"{}\"", standing.name))
        }
        _ => None,
    }
}

/// Whether the functions that a query was made with are those that there are now.
fn has_its_functions(query: &QueryDef, catalog: &Catalog) -> bool {
    let stands = |def: &FunctionDef| catalog.function(&def.name).is_some_and(|now| now.means_the_same(def));
    query.topology.functions().iter().all(stands)
}

fn word(kind: ast::SourceKind) -> &'static str {
    match kind {
        ast::SourceKind::Stream => "Stream",
        ast::SourceKind::Table => "Table",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use headwater_connectors::transport::memory::MemoryTransport;

    use super::*;
    use headwater_language::config::Settings;

    /// Goal: a file of functions can be applied again, and what it says anew is taken over where it says OR REPLACE.
    /// Method: statements are applied one after another in a process that runs nothing.
    #[tokio::test]
    async fn functions_of_a_file_stand_until_they_differ() {
        let engine = Engine::driven(Arc::new(MemoryTransport::default()), &Settings::default());
        let mut session = Session::new(Settings::default());
        let source = "CREATE STREAM s (n INT) WITH (KAFKA_TOPIC = 's', PARTITIONS = 1, VALUE_FORMAT = 'JSON');";
        let query = "CREATE OR REPLACE STREAM t AS SELECT outer(n) AS n FROM s;";
        let inner = |body: &str| format!("CREATE OR REPLACE FUNCTION inner (n INT) RETURNS INT AS '{body}';");
        let outer = "CREATE OR REPLACE FUNCTION outer (n INT) RETURNS INT AS 'inner(n)';";
        for (statement, expected) in [
            (source, "created"),
            (&inner("n"), "Function \"INNER\" created"),
            (outer, "Function \"OUTER\" created"),
            (query, "created by query"),
            (&inner("n"), "stands already"),
            ("CREATE FUNCTION inner (n INTEGER) RETURNS INT AS '(n)';", "already exists"),
            ("CREATE FUNCTION inner (n INTEGER) RETURNS INTEGER AS 'N';", "stands already"),
            (outer, "stands already"),
            (query, "stands already"),
            // Another inner function makes another outer one, and that another query.
            (&inner("n + 1"), "replaced"),
            (outer, "replaced"),
            (query, "replaced"),
            (query, "stands already"),
        ] {
            let told = match engine.apply(&mut session, statement).await {
                Ok(Answer::Done { message, .. }) => message,
                Ok(_) => "no message".to_owned(),
                Err(errors) => errors[0].message.clone(),
            };
            assert!(told.contains(expected), "{statement}: {told}");
        }
    }
}
