//! The builder of a table: its description, checked and looked up in the cluster.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use headwater_formats::decode::{KeyWindow, RowKind};
use headwater_formats::panic::words;

use super::definition::{Definition, Role};
use super::error::TableError;
use super::writer::Writer;
use super::{KafkaTable, shown};
use crate::table::context::OnLoss;
use crate::table::provider::TopicTable;
use crate::transport::kafka::KafkaTransport;
use crate::transport::{Isolation, Transport, TransportError};

/// The librdkafka property with the addresses of the brokers.
const BROKERS: &str = "bootstrap.servers";
/// The librdkafka property with the transaction timeout, in ms.
const TRANSACTION_TIMEOUT: &str = "transaction.timeout.ms";
/// The default transaction timeout of a statement, in ms.
const TRANSACTION_MS: &str = "300000";

/// Describes a [`KafkaTable`]. A value format and at least one column are required; everything else has a default.
///
/// The formats are JSON, DELIMITED, KAFKA, PROTOBUF_NOSR and, for keys, NONE. Columns have one of these Arrow types: `Boolean`,
/// `Int32`, `Int64`, `Float64`, `Decimal128`, `Decimal256`, `Utf8`, `Binary`, `Date32`, `Time32(ms)`, `Timestamp(ms)`
/// without a zone, and in JSON `List`, `Map` with `Utf8` keys and `Struct` of these.
#[must_use = "a builder does nothing until it is built"]
pub struct KafkaTableBuilder {
    cluster: Cluster,
    definition: Definition,
    has_address: bool,
    isolation: Isolation,
    on_loss: OnLoss,
    transactional_id: Option<String>,
}

/// The cluster with the topic.
enum Cluster {
    /// Not connected yet: the librdkafka properties to connect with.
    Properties(BTreeMap<String, String>),
    /// Already connected.
    Connected(Arc<dyn Transport>),
}

impl fmt::Debug for KafkaTableBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The properties are left out because they may contain passwords.
        f.debug_struct("KafkaTableBuilder").field("definition", &self.definition).finish_non_exhaustive()
    }
}

impl KafkaTableBuilder {
    pub(super) fn new(brokers: &str, topic: &str) -> Self {
        Self::in_cluster(Cluster::Properties([(BROKERS.to_owned(), brokers.to_owned())].into()), topic)
    }

    pub(super) fn on(cluster: Arc<dyn Transport>, topic: &str) -> Self {
        Self::in_cluster(Cluster::Connected(cluster), topic)
    }

    fn in_cluster(cluster: Cluster, topic: &str) -> Self {
        Self {
            cluster,
            definition: Definition::new(topic),
            has_address: true,
            isolation: Isolation::default(),
            on_loss: OnLoss::default(),
            transactional_id: None,
        }
    }

    /// Adds a column that is read from the record's key.
    pub fn key_column(self, name: &str, data_type: DataType) -> Self {
        self.column(name, Role::Key(data_type))
    }

    /// Adds a column that is read from the record's value.
    pub fn value_column(self, name: &str, data_type: DataType) -> Self {
        self.column(name, Role::Value(data_type))
    }

    /// Adds a column of type `Binary`: the value of the record's last header named `header`.
    pub fn header_column(self, name: &str, header: &str) -> Self {
        self.column(name, Role::Header(header.to_owned()))
    }

    /// Adds a column with all headers of the record in order: `List<Struct<KEY: Utf8, VALUE: Binary>>`.
    pub fn headers_column(self, name: &str) -> Self {
        self.column(name, Role::Headers)
    }

    /// Adds the columns of an Arrow schema: those named in `keys` are read from the record's key, the others from its
    /// value. All of them become nullable.
    pub fn schema<K: AsRef<str>>(mut self, schema: &Schema, keys: impl IntoIterator<Item = K>) -> Self {
        let keys: Vec<String> = keys.into_iter().map(|key| key.as_ref().to_owned()).collect();
        for field in schema.fields() {
            let data_type = field.data_type().clone();
            let role = if keys.contains(field.name()) { Role::Key(data_type) } else { Role::Value(data_type) };
            self = self.column(field.name(), role);
        }
        let missing = keys.iter().filter(|key| schema.field_with_name(key).is_err());
        let mistakes = missing.map(|key| format!("key column \"{key}\" is not in the schema"));
        self.definition.mistakes.extend(mistakes);
        self
    }

    fn column(mut self, name: &str, role: Role) -> Self {
        self.definition.columns.push((name.to_owned(), role));
        self
    }

    /// Sets the format of values, by name (in any case) or as a [`FormatKind`](headwater_formats::format::FormatKind).
    pub fn value_format(mut self, format: impl fmt::Display) -> Self {
        self.definition.value.name = Some(format.to_string());
        self
    }

    /// Sets the format of keys. The default is KAFKA, which holds one column, or NONE if there is no key column.
    pub fn key_format(mut self, format: impl fmt::Display) -> Self {
        self.definition.key.name = Some(format.to_string());
        self
    }

    /// Sets the separator of the fields of DELIMITED values: `SPACE`, `TAB` or one ASCII character. The default is a
    /// comma.
    pub fn value_delimiter(mut self, delimiter: &str) -> Self {
        self.definition.value.delimiter = Some(delimiter.to_owned());
        self
    }

    /// Like [`Self::value_delimiter`], for keys.
    pub fn key_delimiter(mut self, delimiter: &str) -> Self {
        self.definition.key.delimiter = Some(delimiter.to_owned());
        self
    }

    /// Sets whether the only column of a JSON value is a field of an object (the default) or the value itself.
    pub fn wrap_single_value(mut self, wrap: bool) -> Self {
        self.definition.value.wraps_single = Some(wrap);
        self
    }

    /// Makes the rows the latest record of each key, without the keys whose latest record is a tombstone. By default
    /// every record is a row. Such a table is always read completely, whatever the predicates.
    pub fn latest_per_key(mut self) -> Self {
        self.definition.kind = RowKind::LatestPerKey;
        self
    }

    /// Takes ROWTIME from this column, which is `Int64` (ms since the epoch) or `Timestamp(ms)`, instead of from the
    /// record's timestamp. Predicates on such a ROWTIME do not limit what is read; records in which the column is NULL
    /// are rejected.
    pub fn event_time(mut self, column: &str) -> Self {
        self.definition.event_time = Some((column.to_owned(), None));
        self
    }

    /// Like [`Self::event_time`], for a `Utf8` column with a pattern in the syntax of Java's `DateTimeFormatter`.
    pub fn event_time_text(mut self, column: &str, pattern: &str) -> Self {
        self.definition.event_time = Some((column.to_owned(), Some(pattern.to_owned())));
        self
    }

    /// Declares that keys carry a window, as Kafka Streams writes them. WINDOWSTART and WINDOWEND (`Int64`, ms) follow
    /// the key columns. Such a table is read-only.
    pub fn windowed_key(mut self, window: KeyWindow) -> Self {
        self.definition.window = Some(window);
        self
    }

    /// Leaves out ROWTIME, ROWPARTITION and ROWOFFSET, so that `SELECT *` and an INSERT without a column list use only
    /// the declared columns.
    pub fn without_address_columns(mut self) -> Self {
        self.has_address = false;
        self
    }

    /// Sets which records of transactions are read; the default is the committed ones.
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }

    /// Sets what happens to a query when records are deleted before it has read them; by default it fails.
    pub fn on_loss(mut self, on_loss: OnLoss) -> Self {
        self.on_loss = on_loss;
        self
    }

    /// Makes every statement that writes one transaction with this id: either all of its rows become visible or none
    /// do. The statements of a table and of its clones run one after the other. No other writer may use the id: it
    /// would fence the statement that is running.
    ///
    /// A statement that takes longer than `transaction.timeout.ms` is rolled back by the cluster and fails. By default
    /// that is five minutes from its first row; brokers allow up to 15 minutes unless configured otherwise. After a
    /// crash, readers of the topic are blocked for that long, or until the id is used again.
    pub fn transactional_id(mut self, id: &str) -> Self {
        self.transactional_id = Some(id.to_owned());
        self
    }

    /// Sets a librdkafka property, such as `security.protocol`, `sasl.mechanisms` or `ssl.ca.location`. An error for a
    /// cluster that is already connected.
    pub fn property(mut self, name: &str, value: &str) -> Self {
        match &mut self.cluster {
            Cluster::Properties(properties) => drop(properties.insert(name.to_owned(), value.to_owned())),
            Cluster::Connected(_) => {
                let mistake = format!("property \"{name}\" cannot be set: the cluster is already connected");
                self.definition.mistakes.push(mistake);
            }
        }
        self
    }

    /// Checks the description, connects, and looks up the topic.
    ///
    /// Fails with all mistakes of the description at once; within about five seconds when no broker can be reached or
    /// the login fails; and when the topic does not exist. Must be called within a Tokio runtime.
    pub async fn build(self) -> Result<KafkaTable, TableError> {
        let spec = Arc::new(self.definition.spec()?);
        let (topic, properties) = (spec.topic.clone(), self.cluster.with_timeout(self.transactional_id.is_some()));
        let found = tokio::task::spawn_blocking(move || properties.find(&topic)).await;
        let cluster = found.unwrap_or_else(|ended| Err(not_looked_up(ended)))?;
        let writer = Writer::new(cluster.clone(), spec.topic.clone(), self.transactional_id);
        Ok(KafkaTable {
            schema: shown(&spec, self.has_address),
            rows: Arc::new(TopicTable::new(spec)),
            cluster,
            isolation: self.isolation,
            on_loss: self.on_loss,
            progress: Arc::default(),
            writer: Arc::new(writer),
        })
    }
}

impl Cluster {
    /// Gives the transactions of statements more time than the transport's default.
    fn with_timeout(mut self, is_transactional: bool) -> Self {
        if let (Self::Properties(properties), true) = (&mut self, is_transactional) {
            properties.entry(TRANSACTION_TIMEOUT.to_owned()).or_insert_with(|| TRANSACTION_MS.to_owned());
        }
        self
    }

    /// Connects and looks up a topic. Blocks.
    fn find(self, topic: &str) -> Result<Arc<dyn Transport>, TransportError> {
        let cluster: Arc<dyn Transport> = match self {
            Self::Properties(properties) => Arc::new(KafkaTransport::connect(properties)?),
            Self::Connected(cluster) => cluster,
        };
        cluster.admin().topic(topic)?.ok_or_else(|| TransportError::unknown_topic(topic))?;
        Ok(cluster)
    }
}

/// Converts the failure of the lookup's task: it panicked, or the runtime shut down.
fn not_looked_up(ended: tokio::task::JoinError) -> TransportError {
    let why = match ended.try_into_panic() {
        Ok(panic) => words(panic.as_ref()).to_owned(),
        Err(ended) => ended.to_string(),
    };
    TransportError::other(format!("the topic could not be looked up: {why}"))
}
