//! Payloads with the id of a registered schema in front: shown as JSON, by the schema.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use headwater_connectors::schemas::{RegistryError, Schemas};
use headwater_formats::format::{FormatKind, HEADER_LEN, Layout, Names, infer_of_payload, schema_id};
use headwater_formats::schema::{Schema, SchemaId, SchemaKind};
use serde::de::IgnoredAny;

use super::super::schemas::with_setting;
use super::shown::Shown;

/// The number of schemas that are remembered; payloads that only look as if they had one do not fill the memory.
const SCHEMAS_MAX: usize = 10_000;

/// How long the registry is not asked for what it did not have.
const MISSING_FOR: Duration = Duration::from_secs(1);
/// How long a registry that failed is not asked at all.
const AWAY_FOR: Duration = Duration::from_secs(10);

/// Shows payloads by their schemas.
pub struct Registered {
    schemas: Arc<dyn Schemas>,
    known: HashMap<SchemaId, Known>,
    /// When the registry failed last.
    failed: Option<Instant>,
    /// The failure that ended a time in which it answered, until it is asked for.
    failure: Option<RegistryError>,
}

/// What is known of an id.
enum Known {
    Printer(Printer),
    /// The registry did not have it then, or has something that cannot be shown.
    Missing(Instant),
}

/// How the payloads of one schema are shown.
struct Printer {
    id: SchemaId,
    schema: Arc<Schema>,
    /// How the last one was shown. In Protobuf each message is shown in another way.
    last: Option<Decoded>,
}

/// How payloads with these bytes in front are shown.
struct Decoded {
    front: Vec<u8>,
    shown: Shown,
}

impl Registered {
    /// Shows payloads by schemas that are known here.
    pub fn new(schemas: Arc<dyn Schemas>) -> Self {
        Self { schemas, known: HashMap::new(), failed: None, failure: None }
    }

    /// The format of a payload, and its value as JSON. `None` if no schema is in front of it, or if it is not written with it.
    /// Blocks.
    pub fn show(&mut self, payload: &[u8]) -> Option<(FormatKind, String)> {
        let id = schema_id(payload)?;
        if !self.is_known(id) && (self.known.len() < SCHEMAS_MAX || self.known.contains_key(&id)) {
            self.ask(id);
        }
        match self.known.get_mut(&id)? {
            Known::Printer(printer) => printer.show(payload),
            Known::Missing(_) => None,
        }
    }

    /// Why payloads are not shown by their schemas, once.
    pub fn failure(&mut self) -> Option<String> {
        let error = self.failure.take()?;
        Some(format!("warning: payloads are not shown by their schemas: {}", with_setting(&error)))
    }

    fn is_known(&self, id: SchemaId) -> bool {
        match self.known.get(&id) {
            Some(Known::Printer(_)) => true,
            Some(Known::Missing(since)) => since.elapsed() < MISSING_FOR,
            None => false,
        }
    }

    fn ask(&mut self, id: SchemaId) {
        if self.failed.is_some_and(|since| since.elapsed() < AWAY_FOR) {
            return;
        }
        match self.schemas.schema(id) {
            Ok(schema) => {
                self.failed = None;
                self.known.insert(id, Known::Printer(Printer { id, schema, last: None }));
            }
            Err(RegistryError::NotFound { .. } | RegistryError::Invalid { .. } | RegistryError::NotGiven) => {
                self.known.insert(id, Known::Missing(Instant::now()));
            }
            Err(error) => {
                if self.failed.replace(Instant::now()).is_none() {
                    self.failure = Some(error);
                }
            }
        }
    }
}

impl Printer {
    fn show(&mut self, payload: &[u8]) -> Option<(FormatKind, String)> {
        if self.schema.kind == SchemaKind::Json {
            // As it was written, whether or not it is what the schema says.
            let text = std::str::from_utf8(payload.get(HEADER_LEN..)?).ok()?;
            serde_json::from_str::<IgnoredAny>(text).ok()?;
            return Some((FormatKind::JsonSr, text.trim().to_owned()));
        }
        if self.last.as_ref().is_none_or(|last| !payload.starts_with(&last.front)) {
            self.last = Decoded::new(self.id, &self.schema, payload);
        }
        self.last.as_mut()?.shown.show(payload)
    }
}

impl Decoded {
    fn new(id: SchemaId, schema: &Arc<Schema>, payload: &[u8]) -> Option<Self> {
        let format = FormatKind::of_schemas(schema.kind);
        let (inferred, start) = infer_of_payload(schema, payload, Names::AsWritten, "value").ok()?;
        let layout = Layout { wrapped: inferred.is_record, ..Layout::of(inferred.fields) };
        let mut shown = Shown::of(format, &layout).ok()?;
        shown.decoder.learn(id, Ok(schema.clone()));
        Some(Self { front: payload[..start].to_vec(), shown })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use headwater_connectors::schemas::{NewSchema, Registered as Version};

    use super::*;

    /// A registry that is away, and counts how often it was asked.
    #[derive(Debug, Default)]
    struct Away(AtomicUsize);

    fn away<T>() -> Result<T, RegistryError> {
        Err(RegistryError::Unavailable { attempts: Vec::new(), setting: "schema.registry.url" })
    }

    impl Schemas for Away {
        fn schema(&self, _: SchemaId) -> Result<Arc<Schema>, RegistryError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            away()
        }

        fn latest(&self, _: &str) -> Result<Version, RegistryError> {
            away()
        }

        fn register(&self, _: &str, _: &NewSchema) -> Result<SchemaId, RegistryError> {
            away()
        }

        fn register_again(&self, _: &str, _: SchemaId) -> Result<SchemaId, RegistryError> {
            away()
        }

        fn has(&self, _: &str, _: SchemaId) -> Result<bool, RegistryError> {
            away()
        }

        fn delete(&self, _: &str) -> Result<(), RegistryError> {
            away()
        }
    }

    #[test]
    fn a_registry_that_is_away_is_said_once_and_not_asked_for_each_record() {
        let schemas = Arc::new(Away::default());
        let mut registered = Registered::new(schemas.clone());
        for id in 1..=3 {
            assert_eq!(registered.show(&[0, 0, 0, 0, id, 2]), None);
        }
        assert_eq!(schemas.0.load(Ordering::Relaxed), 1);
        let failure = registered.failure().expect("it failed");
        assert!(failure.contains("could not reach") && failure.contains("schema.registry.url"), "{failure}");
        assert_eq!(registered.failure(), None);
    }
}
