//! The client of a Schema Registry: schemas by id and by subject, registered, looked up and compared.
//!
//! [`Settings::from_properties`] reads the properties that Confluent's clients have, [`Registry::connect`] makes a client
//! of them, and its calls are asynchronous. Schemas are remembered by their id, and one request is sent for an id
//! however many ask for it at once.
//!
//! ```
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use headwater_registry::{Registry, Settings};
//!
//! let properties = [("schema.registry.url", "http://localhost:8081"), ("basic.auth.user.info", "user:password")];
//! let settings = Settings::from_properties(properties)?.ok_or("no registry")?;
//! let registry = Registry::connect(settings)?;
//! let latest = registry.latest("orders-value").await?;
//! println!("{} version {} is {}", latest.subject, latest.version, latest.schema.text);
//! # Ok(())
//! # }
//! ```
//!
//! It accepts what Confluent's registry answers, and what others answer in its place: AxonOps, Karapace and Apicurio
//! omit or add fields, and number their errors differently.
//!
//! Separate because formats must not know where schemas come from, and because nothing else here speaks HTTP.

mod connector;
mod error;
mod flight;
mod http;
mod level;
mod registry;
mod settings;
mod subject;
mod tls;
mod unknown;
mod wire;

pub use error::{Attempt, Missing, RegistryError, SettingsError};
pub use level::Level;
pub use registry::{Compatibility, Deletion, Registry};
pub use settings::{Credentials, PROPERTIES, Secret, Settings, TlsFiles};
pub use subject::{NewSchema, Registered, SubjectVersion};
