//! The schemas of a cluster's records, and who keeps them: a registry, memory in simulations and tests, or nobody.
//!
//! All calls block the calling thread, as those of the transport do; asynchronous callers use a blocking thread. Apart from the
//! transport because schemas travel by another way than records, and because decoders learn them here ([`teach`]) without knowing
//! where they are from.

mod memory;
mod remote;

use std::fmt;
use std::sync::Arc;

use headwater_formats::decode::RecordDecoder;
use headwater_formats::record::RawBatch;
use headwater_formats::schema::{Schema, SchemaId};

pub use self::memory::MemorySchemas;
pub use self::remote::RemoteSchemas;
pub use headwater_registry::{Missing, NewSchema, Registered, RegistryError};

/// Schemas by id and by subject.
pub trait Schemas: fmt::Debug + Send + Sync {
    /// The schema with this id, with all that it refers to. Known ids need no request.
    fn schema(&self, id: SchemaId) -> Result<Arc<Schema>, RegistryError>;

    /// The same for an id in front of records, among which are bytes that are not an id: that there is none may count for up to a
    /// second.
    fn schema_of_records(&self, id: SchemaId) -> Result<Arc<Schema>, RegistryError> {
        self.schema(id)
    }

    /// The latest version of a subject.
    fn latest(&self, subject: &str) -> Result<Registered, RegistryError>;

    /// Registers a schema under a subject, or finds that it is.
    fn register(&self, subject: &str, new: &NewSchema) -> Result<SchemaId, RegistryError>;

    /// Registers the schema with this id, and all that it refers to, under another subject.
    fn register_again(&self, subject: &str, id: SchemaId) -> Result<SchemaId, RegistryError>;

    /// Whether a version of a subject is the schema with this id. False if there is no such subject.
    fn has(&self, subject: &str, id: SchemaId) -> Result<bool, RegistryError>;

    /// Deletes a subject; its schemas can still be read by their ids, since copies of its records may be elsewhere. One that does
    /// not exist is not an error.
    fn delete(&self, subject: &str) -> Result<(), RegistryError>;
}

/// No schemas at all: there is nothing to delete, and every other call fails with the setting that is missing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSchemas;

impl Schemas for NoSchemas {
    fn schema(&self, _: SchemaId) -> Result<Arc<Schema>, RegistryError> {
        Err(RegistryError::NotGiven)
    }

    fn latest(&self, _: &str) -> Result<Registered, RegistryError> {
        Err(RegistryError::NotGiven)
    }

    fn register(&self, _: &str, _: &NewSchema) -> Result<SchemaId, RegistryError> {
        Err(RegistryError::NotGiven)
    }

    fn register_again(&self, _: &str, _: SchemaId) -> Result<SchemaId, RegistryError> {
        Err(RegistryError::NotGiven)
    }

    fn has(&self, _: &str, _: SchemaId) -> Result<bool, RegistryError> {
        Err(RegistryError::NotGiven)
    }

    fn delete(&self, _: &str) -> Result<(), RegistryError> {
        Ok(())
    }
}

/// Gives a decoder the schemas that a batch needs and that it does not have. What the registry does not know makes the records
/// with that id bad, and no others; a registry that cannot be asked is an error.
pub fn teach(decoder: &mut RecordDecoder, raw: &RawBatch, schemas: &dyn Schemas) -> Result<(), RegistryError> {
    for id in decoder.missing_schemas(raw) {
        decoder.learn(id, found(schemas, id)?);
    }
    Ok(())
}

/// The schema with this id of a record, or the reason why there is none. Fails if the registry cannot be asked now.
pub fn found(schemas: &dyn Schemas, id: SchemaId) -> Result<Result<Arc<Schema>, String>, RegistryError> {
    match schemas.schema_of_records(id) {
        Ok(schema) => Ok(Ok(schema)),
        Err(error @ (RegistryError::NotFound { .. } | RegistryError::Invalid { .. })) => {
            Ok(Err(format!("the schema registry has no usable schema {id}: {error}")))
        }
        Err(error) => Err(error),
    }
}
