//! ASSERT SCHEMA: waits until a schema is registered, or is not.

use std::time::{Duration, Instant};

use headwater_connectors::schemas::{RegistryError, Schemas};
use headwater_formats::schema::SchemaId;
use headwater_language::diagnostic::{Diagnostic, MISSING_PROPERTY, Span, TOPIC_MISMATCH};
use headwater_language::sql::ast::Spanned;

use super::assert::PAUSE;
use super::schemas::failed;
use super::{Answered, Context};
use crate::answer::Answer;
use crate::runtime::blocking;

/// What is asserted of a schema.
pub(super) struct Expected {
    /// False if it must not be registered.
    pub exists: bool,
    /// Its subject.
    pub subject: Option<String>,
    /// Its id.
    pub id: Option<SchemaId>,
    /// The place of the assertion.
    pub span: Span,
}

impl Expected {
    /// Reads an assertion. Fails if it names neither a subject nor an id.
    pub(super) fn new(
        exists: bool,
        subject: Option<&Spanned<String>>,
        id: Option<&Spanned<u64>>,
        whole: Span,
    ) -> Result<Self, Vec<Diagnostic>> {
        let span = subject.map(|subject| subject.span).or(id.map(|id| id.span)).unwrap_or(whole);
        if subject.is_none() && id.is_none() {
            let error = Diagnostic::new(MISSING_PROPERTY, "ASSERT SCHEMA names neither a subject nor an id").at(whole);
            return Err(vec![error.hint("ASSERT SCHEMA SUBJECT 'orders-value';")]);
        }
        // There is no schema with a larger id.
        let id = id.map(|id| SchemaId::try_from(id.value).unwrap_or(SchemaId::MAX));
        Ok(Self { exists, subject: subject.map(|subject| subject.value.clone()), id, span })
    }

    /// How it is named in messages.
    fn named(&self) -> String {
        match (&self.subject, self.id) {
            (Some(subject), Some(id)) => format!("schema {id} of subject \"{subject}\""),
            (Some(subject), None) => format!("subject \"{subject}\""),
            (None, id) => format!("schema {}", id.unwrap_or_default()),
        }
    }

    fn is_registered(&self, schemas: &dyn Schemas) -> Result<bool, RegistryError> {
        let found = match (&self.subject, self.id) {
            (Some(subject), Some(id)) => return schemas.has(subject, id),
            (Some(subject), None) => schemas.latest(subject).map(drop),
            (None, id) => schemas.schema(id.unwrap_or_default()).map(drop),
        };
        match found {
            Ok(()) => Ok(true),
            Err(RegistryError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Waits until the registry is as asserted. After `patience`, fails with what it has.
pub(super) async fn run(expected: Expected, patience: Duration, context: &Context<'_>) -> Answered {
    let schemas = context.process.transport().schemas();
    blocking(move || wait(schemas.as_ref(), &expected, patience)).await?
}

fn wait(schemas: &dyn Schemas, expected: &Expected, patience: Duration) -> Answered {
    let (end, name) = (Instant::now() + patience, expected.named());
    loop {
        let found = match expected.is_registered(schemas) {
            Ok(found) => found,
            // It may be there in time.
            Err(error) if error.is_retryable() && Instant::now() < end => {
                std::thread::sleep(PAUSE.min(patience));
                continue;
            }
            Err(error) => return Err(vec![failed(&error, "ASSERT SCHEMA", expected.span)]),
        };
        match (found, expected.exists) {
            (true, true) => return Ok(Answer::done(format!("The registry has {name}, as asserted"))),
            (false, false) => return Ok(Answer::done(format!("The registry does not have {name}, as asserted"))),
            _ if Instant::now() < end => std::thread::sleep(PAUSE.min(patience)),
            (true, false) => return Err(vec![mismatch(format!("the registry has {name}"), expected.span)]),
            (false, true) => return Err(vec![mismatch(format!("the registry does not have {name}"), expected.span)]),
        }
    }
}

fn mismatch(message: String, span: Span) -> Diagnostic {
    Diagnostic::new(TOPIC_MISMATCH, message).at(span)
}
