//! Schemas in a registry, asked from threads that may block.

use std::future::Future;
use std::sync::Arc;

use headwater_formats::schema::{Schema, SchemaId};
use headwater_registry::{Deletion, NewSchema, Registered, Registry, RegistryError};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use super::Schemas;

/// The schemas of a registry.
#[derive(Debug)]
pub struct RemoteSchemas {
    registry: Registry,
    runtime: Handle,
}

impl RemoteSchemas {
    /// The schemas of a registry, whose requests run on `runtime`, which must have several threads.
    pub fn new(registry: Registry, runtime: Handle) -> Self {
        Self { registry, runtime }
    }

    fn wait<T>(&self, answer: impl Future<Output = T>) -> T {
        match Handle::try_current() {
            // A look-up in a state does not have a thread of its own; its schemas are normally known.
            Ok(_) => block_in_place(|| self.runtime.block_on(answer)),
            Err(_) => self.runtime.block_on(answer),
        }
    }
}

impl Schemas for RemoteSchemas {
    fn schema(&self, id: SchemaId) -> Result<Arc<Schema>, RegistryError> {
        match self.registry.known_schema(id) {
            Some(schema) => Ok(schema),
            None => self.wait(self.registry.schema(id)),
        }
    }

    fn schema_of_records(&self, id: SchemaId) -> Result<Arc<Schema>, RegistryError> {
        match self.registry.known_schema(id) {
            Some(schema) => Ok(schema),
            None => self.wait(self.registry.schema_of_records(id)),
        }
    }

    fn latest(&self, subject: &str) -> Result<Registered, RegistryError> {
        self.wait(self.registry.latest(subject))
    }

    fn register(&self, subject: &str, new: &NewSchema) -> Result<SchemaId, RegistryError> {
        self.wait(self.registry.register(subject, new))
    }

    fn register_again(&self, subject: &str, id: SchemaId) -> Result<SchemaId, RegistryError> {
        self.wait(async {
            let schema = self.registry.as_registered(id).await?;
            self.registry.register(subject, &schema).await
        })
    }

    fn has(&self, subject: &str, id: SchemaId) -> Result<bool, RegistryError> {
        let has = async {
            for version in self.registry.versions(subject).await? {
                if self.registry.version(subject, version).await?.id == id {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        match self.wait(has) {
            Err(RegistryError::NotFound { .. }) => Ok(false),
            found => found,
        }
    }

    fn delete(&self, subject: &str) -> Result<(), RegistryError> {
        match self.wait(self.registry.delete_subject(subject, Deletion::Soft)) {
            Ok(_) | Err(RegistryError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
