//! `headwater run`: applies the statements of files, any number of times, and runs their queries.
//!
//! A statement whose result already exists as written does nothing, so the same file describes a service at its first
//! start and at every later one. A statement that differs from what exists is refused, unless it says OR REPLACE.

use headwater_language::catalog::{Catalog, QueryDef};
use headwater_language::definition::FunctionDef;
use headwater_language::diagnostic::{Diagnostic, NOT_SUPPORTED};
use headwater_language::sql::{self, ast};
use headwater_planner::function;
use headwater_planner::types::resolve;

use crate::answer::Answer;
use crate::engine::Engine;
use crate::runtime::Asked;
use crate::session::Session;
use crate::statement::{Answered, Context};

impl Engine {
    /// Applies one statement of a file. Anything that already exists as written is left unchanged.
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

    /// Other processes may apply the same file at the same time: the loser of a race finds that what it wanted exists.
    async fn apply_once(&self, session: &mut Session, statement: &ast::Statement) -> Answered {
        let catalog = self.process().sure_catalog().await?;
        if let Some(answer) = existing(&catalog, &statement.kind) {
            return Ok(answer);
        }
        let mut context = Context::new(self.process(), session, statement);
        context.plan_with(catalog);
        let answered = self.dispatch(&statement.kind, &mut context).await;
        let existing = match &answered {
            Ok(_) => None,
            Err(_) => existing(self.catalog().await?.as_ref(), &statement.kind),
        };
        existing.map_or(answered, Ok)
    }
}

/// Checks a statement of a file before any is applied: that it can be parsed, and that `headwater run` takes it. Names are
/// not resolved, since earlier statements may define them, and statements with variables are not checked.
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

/// The answer to a statement whose result already exists as written; `None` if it must be executed.
fn existing(catalog: &Catalog, kind: &ast::StatementKind) -> Option<Answer> {
    what_exists(catalog, kind).map(Answer::done)
}

fn what_exists(catalog: &Catalog, kind: &ast::StatementKind) -> Option<String> {
    use ast::StatementKind as S;
    let same = |text: &str| sql::parse(text).statements.first().is_some_and(|there| there.kind == *kind);
    match kind {
        S::CreateSource(create) => {
            let source = catalog.source(&create.name).filter(|source| same(&source.statement))?;
            Some(format!("{} \"{}\" already exists", word(create.kind), source.name))
        }
        S::CreateAs(create) => {
            let query = catalog.query_behind(&create.name).filter(|query| same(&query.statement))?;
            if create.or_replace && !has_its_functions(query, catalog) {
                return None;
            }
            Some(format!(
                "{} \"{}\" already exists, written by query {}",
                word(create.kind),
                create.name.value,
                query.id
            ))
        }
        S::InsertSelect(_) => {
            let query = catalog.queries().find(|query| same(&query.statement))?;
            Some(format!("Query {} already exists", query.id))
        }
        S::CreateType(create) => {
            let ty = resolve(&create.ty, catalog).ok()?;
            let is_same = catalog.custom_type(&create.name) == Some(&ty);
            is_same.then(|| format!("Type \"{}\" already exists", create.name.value))
        }
        S::CreateFunction(create) => {
            let wanted = function::define(create, "", catalog).ok()?;
            let existing = catalog.function(&wanted.name).filter(|existing| existing.means_the_same(&wanted))?;
            Some(format!("Function \"{}\" already exists", existing.name))
        }
        _ => None,
    }
}

/// Whether the functions that a query was created with are unchanged.
fn has_its_functions(query: &QueryDef, catalog: &Catalog) -> bool {
    let is_unchanged = |def: &FunctionDef| catalog.function(&def.name).is_some_and(|now| now.means_the_same(def));
    query.topology.functions().iter().all(is_unchanged)
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

    /// Goal: a file of functions can be applied again, and its changes take effect where it says OR REPLACE. Method:
    /// statements are applied one after another in a process that runs nothing.
    #[tokio::test]
    async fn functions_of_a_file_are_unchanged_until_they_differ() {
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
            (&inner("n"), "already exists"),
            ("CREATE FUNCTION inner (n INTEGER) RETURNS INT AS '(n)';", "already exists"),
            ("CREATE FUNCTION inner (n INTEGER) RETURNS INTEGER AS 'N';", "Function \"INNER\" already exists"),
            (outer, "already exists"),
            (query, "already exists, written by query"),
            // A changed inner function changes the outer one, and that changes the query.
            (&inner("n + 1"), "replaced"),
            (outer, "replaced"),
            (query, "replaced"),
            (query, "already exists, written by query"),
        ] {
            let answer = match engine.apply(&mut session, statement).await {
                Ok(Answer::Done { message, .. }) => message,
                Ok(_) => "no message".to_owned(),
                Err(errors) => errors[0].message.clone(),
            };
            assert!(answer.contains(expected), "{statement}: {answer}");
        }
    }
}
