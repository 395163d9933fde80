//! The embedded Schema Registry: the API of Confluent's registry on loopback, over a log of records.
//!
//! [`Server::start`] starts one over a [`SchemaLog`], and any client of a Schema Registry can then use
//! [`Server::url`].
//!
//! ```
//! use headwater_registry::{NewSchema, Registry, Settings};
//! use headwater_schema_registry::{MemoryLog, Server};
//! use headwater_formats::schema::SchemaKind;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let server = Server::start("127.0.0.1:0".parse()?, MemoryLog::default()).await?;
//! let registry = Registry::connect(Settings::at(&server.url())?)?;
//! let id = registry.register("numbers-value", &NewSchema::new(SchemaKind::Avro, r#""long""#)).await?;
//! assert_eq!(&*registry.schema(id).await?.text, r#""long""#);
//! server.shutdown().await;
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! Separate because whoever has a registry needs none of it. It is a still core with a shell around it:
//!
//! | room | contains |
//! |---|---|
//! | `kinds` | the three languages: parsers, canonical texts, rules of compatibility |
//! | `state` | subjects, versions, ids and levels; changes in, state out |
//! | `api` | a request and the state in, an answer and changes out |
//! | `record` | changes as records of the log, in the form of Confluent's topic `_schemas` |
//! | `registry`, `server` | the shell: the log and HTTP |
//! | `log`, `topic` | where records are kept: in memory, or in the topic `_schemas` |
//!
//! # What it does not do
//!
//! There is one writer, and no authentication, so it listens on loopback only. Contexts, modes other than READWRITE,
//! data contracts (metadata, rules) and aliases are not supported; what a client sends of them is ignored. Ids and
//! versions cannot be chosen.
//!
//! # Differences from Confluent's registry
//!
//! * A changed label of a numeric Protobuf field is a difference, as it was before Confluent 7.
//! * Messages that a Protobuf file imports are compared, too, where a field uses them.
//! * A Protobuf schema has the same id whether it is registered as text or as a file descriptor.
//! * `normalize` sorts what has no order; it does not resolve the names of types.
//! * Protobuf editions are not supported, and comments of `.proto` files are dropped, as they are there.
//! * Keywords beside a `$ref` of a JSON schema count unless the schema is of a draft that ignores them. New patterns for
//!   properties are a difference if they cannot be compiled here (lookahead, or too large), or may fit what other patterns of
//!   the old schema fit.
//! * Schemas that take too long to compare are a difference.
//! * An id is not given again, even when its schema was deleted for good and its records were compacted: the record with
//!   the key NOOP has the largest one as its value.
//! * Messages of errors are our own, in the same form.
//!
//! # How it was compared
//!
//! No Confluent registry can be run here. Its documented answers are in `tests.rs`; `tests/expectations.rs` also runs
//! against AxonOps' registry, and says where that differs. Confluent's serializers for Python and Go produce through it and
//! read what the other one has written (the target `serializers` of `tests`). By hand: Java's Avro library gave the same
//! texts and verdicts for 10,000 generated pairs of schemas; the file descriptors of 75 of Google's `.proto` files came
//! back unchanged, and their texts got the same ids; for 5,500 generated pairs of JSON schemas that were found compatible
//! or not, no value was found that the old schema accepts and the new one does not although it should.

mod api;
mod fault;
mod kinds;
mod log;
mod record;
mod registry;
mod request;
mod server;
mod state;
#[cfg(test)]
mod tests;
mod topic;
mod wire;

pub use kinds::TEXT_BYTES_MAX;
pub use log::{LogError, LogRecord, MemoryLog, SchemaLog};
pub use server::{Server, StartError};
pub use topic::{TOPIC, TopicLog};
