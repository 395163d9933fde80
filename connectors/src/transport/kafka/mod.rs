//! The transport over Kafka, by librdkafka: for real clusters and the embedded broker.
//!
//! ```text
//! connect ─ properties ─ connection ─┬─ admin               topics, offsets, settings
//!                                    ├─ source ─ sorter ─ native (the one unsafe folder)
//!                                    │     └─ inquiry       what happened to offsets that are gone
//!                                    ├─ doorbell            waits for new records in logs that nobody reads now
//!                                    ├─ sink ─ producer ─ native   records and transactions
//!                                    └─ member ─ rebalances   a member of a consumer group
//! ```
//!
//! What it deliberately does not know: formats, SQL, and whether the broker is Kafka's own.

mod admin;
mod committed;
mod connection;
mod context;
mod doorbell;
mod errors;
mod glance;
mod inquiry;
mod member;
mod native;
mod out_record;
mod producer;
mod properties;
mod property_names;
mod rebalances;
mod setback;
mod sink;
mod sorter;
mod source;
mod token;

pub use property_names::{is_client_property, is_secret};

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use headwater_formats::record::TopicPartition;

use self::admin::KafkaAdmin;
use self::doorbell::Doorbells;
use self::member::KafkaMember;
use self::properties::Properties;
use self::sink::KafkaSink;
use super::{Admin, Doorbell, GroupPlan, Member, ReadPlan, Sink, SinkOptions, Source, Transport, TransportError};
use crate::schemas::{NoSchemas, Schemas};

/// A Kafka cluster.
///
/// ```no_run
/// use headwater_connectors::transport::Transport;
/// use headwater_connectors::transport::kafka::KafkaTransport;
///
/// let properties = [("bootstrap.servers".to_owned(), "127.0.0.1:9092".to_owned())];
/// let cluster = KafkaTransport::connect(properties.into())?;
/// for topic in cluster.admin().topics()? {
///     println!("{} with {} partitions", topic.name, topic.partitions);
/// }
/// # Ok::<(), headwater_connectors::transport::TransportError>(())
/// ```
pub struct KafkaTransport {
    properties: Properties,
    admin: KafkaAdmin,
    doorbells: Doorbells,
    schemas: Arc<dyn Schemas>,
}

impl KafkaTransport {
    /// Connects to a cluster; `properties` are librdkafka's and must include `bootstrap.servers`.
    ///
    /// Fails within about five seconds, with the cause and the setting to check, when a property is unknown or has an
    /// invalid value, when no broker can be reached, and when the TLS handshake or the login fails. Later, lost
    /// connections are re-established silently.
    pub fn connect(properties: BTreeMap<String, String>) -> Result<Self, TransportError> {
        let properties = Properties::check(properties)?;
        let admin = KafkaAdmin::connect(&properties)?;
        Ok(Self { properties, admin, doorbells: Doorbells::default(), schemas: Arc::new(NoSchemas) })
    }

    /// The same cluster with the schemas of its records. Without them, formats with registered schemas cannot be used.
    #[must_use]
    pub fn with_schemas(self, schemas: Arc<dyn Schemas>) -> Self {
        Self { schemas, ..self }
    }
}

impl fmt::Debug for KafkaTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaTransport").field("properties", &self.properties).finish_non_exhaustive()
    }
}

impl Transport for KafkaTransport {
    fn admin(&self) -> &dyn Admin {
        &self.admin
    }

    fn schemas(&self) -> Arc<dyn Schemas> {
        self.schemas.clone()
    }

    fn open_sources(&self, plans: Vec<ReadPlan>) -> Result<Vec<Box<dyn Source>>, TransportError> {
        source::open(&self.properties, plans)
    }

    fn doorbell(&self, offsets: &BTreeMap<TopicPartition, i64>) -> Result<Box<dyn Doorbell>, TransportError> {
        self.doorbells.hang(&self.properties, offsets)
    }

    fn join_group(&self, plan: GroupPlan) -> Result<Box<dyn Member>, TransportError> {
        for topic in &plan.topics {
            self.admin.topic(topic)?.ok_or_else(|| TransportError::unknown_topic(topic))?;
        }
        Ok(Box::new(KafkaMember::join(&self.properties, plan)?))
    }

    fn open_sink(&self, options: SinkOptions) -> Result<Box<dyn Sink>, TransportError> {
        Ok(Box::new(KafkaSink::open(&self.properties, options)?))
    }
}
