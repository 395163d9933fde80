//! A topic as a table of any `SessionContext`: queries read it, INSERT and `write_table` append to it.
//!
//! ```text
//! builder ─ definition ─→ KafkaTable ─┬─ scan          TopicTable, in a context of its own
//!    └─ error                         └─ insert_into   sink ─ records (rows to records) ─ writer (one statement)
//! ```
//!
//! What it deliberately does not know: the engine's dialect, its catalog and its settings.

mod builder;
mod definition;
mod error;
mod records;
mod sink;
mod writer;

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::sink::DataSinkExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::dml::InsertOp;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

pub use self::builder::KafkaTableBuilder;
pub use self::error::TableError;
use self::records::RecordShape;
use self::sink::TopicSink;
use self::writer::Writer;
use super::context::{OnLoss, ScanContext};
use super::progress::Progress;
use super::provider::TopicTable;
use crate::transport::{Isolation, Transport};
use headwater_formats::decode::TopicSpec;

/// A Kafka topic as a DataFusion table. Created by [`KafkaTable::builder`]; cheap to clone.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use datafusion::arrow::datatypes::DataType;
/// use datafusion::prelude::SessionContext;
/// use headwater_connectors::table::{KafkaTable, register_optimizer};
///
/// # async fn run() -> datafusion::error::Result<()> {
/// let orders = KafkaTable::builder("127.0.0.1:9092", "orders")
///     .key_column("id", DataType::Int64)
///     .value_column("item", DataType::Utf8)
///     .value_column("price", DataType::Float64)
///     .value_format("JSON")
///     .build()
///     .await?;
/// let ctx = SessionContext::new();
/// register_optimizer(&ctx);
/// ctx.register_table("orders", Arc::new(orders))?;
/// ctx.sql("INSERT INTO orders (id, item, price) VALUES (1, 'apple', 0.4)").await?.collect().await?;
/// ctx.sql("SELECT item, price FROM orders ORDER BY \"ROWTIME\" DESC LIMIT 10").await?.show().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Columns
///
/// The declared columns in order, followed by ROWTIME (the record's timestamp, ms since the epoch), ROWPARTITION and
/// ROWOFFSET, unless the builder leaves these out. Names are case-sensitive. DataFusion folds unquoted names to lower
/// case, so write `"ROWTIME"` in SQL, and `ident(ROWTIME)` instead of `col("ROWTIME")` in expressions. All columns are
/// nullable, because a record may lack any field.
///
/// # What a query reads
///
/// Each scan ends at the high watermarks of the moment when it was planned, or at the last stable offsets if only
/// committed records are read, which is the default. Records that arrive later are not visible; a query that names a
/// topic twice plans two scans. Predicates on ROWTIME, ROWPARTITION and ROWOFFSET limit the offsets that are read.
/// Dropping the stream of rows stops reading.
///
/// A record that cannot be decoded is left out and counted, with its address: see [`Self::progress`]. If records are
/// deleted before they are read, the query fails, unless [`KafkaTableBuilder::on_loss`] says otherwise.
///
/// # What is written
///
/// `INSERT INTO` and `DataFrame::write_table` append a record for each row, and return the number of rows once the
/// cluster has acknowledged all of them. Columns are matched by name; missing ones are NULL. ROWTIME, if given, becomes
/// the record's timestamp. A row whose key columns are all NULL becomes a record without a key. Records with a key go
/// to the partition that the Java client would choose (murmur2). If the whole value is NULL, which is possible in KAFKA
/// and in unwrapped JSON, the record is a tombstone: it is not read as a row, and deletes its key from a table.
///
/// With a transactional id ([`KafkaTableBuilder::transactional_id`]), a statement is one transaction: either all of its
/// rows are written or none. Without one the producer is idempotent, and rows sent before a failure remain in the
/// topic; the error says so.
#[derive(Clone)]
pub struct KafkaTable {
    rows: Arc<TopicTable>,
    /// The visible columns: those of `rows`, possibly without the address columns at the end.
    schema: SchemaRef,
    cluster: Arc<dyn Transport>,
    isolation: Isolation,
    on_loss: OnLoss,
    progress: Arc<Progress>,
    writer: Arc<Writer>,
}

impl KafkaTable {
    /// Starts the description of a table over `topic`, on the cluster of these brokers (`host:port`, separated by
    /// commas). Nothing connects before [`KafkaTableBuilder::build`].
    pub fn builder(brokers: &str, topic: &str) -> KafkaTableBuilder {
        KafkaTableBuilder::new(brokers, topic)
    }

    /// Like [`Self::builder`], on a cluster that is already connected: several tables then share its connections.
    pub fn on(cluster: Arc<dyn Transport>, topic: &str) -> KafkaTableBuilder {
        KafkaTableBuilder::on(cluster, topic)
    }

    /// The cluster, to be shared with other tables through [`Self::on`].
    pub fn cluster(&self) -> &Arc<dyn Transport> {
        &self.cluster
    }

    /// What all scans of this table and of its clones have read so far, and the records that could not be decoded:
    /// [`Progress::snapshot`] has their number, [`Progress::rejects`] their addresses and reasons.
    ///
    /// A query that is run twice is counted twice. `EXPLAIN ANALYZE` shows the counters of each scan separately, and
    /// [`Self::with_progress`] keeps separate counters for some queries.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// The same table, with scans that count in `progress`. Register or read it ([`SessionContext::read_table`]) for a
    /// query whose counters matter; all tables of a query may share one `Progress`.
    ///
    /// [`SessionContext::read_table`]: datafusion::prelude::SessionContext::read_table
    #[must_use]
    pub fn with_progress(&self, progress: Arc<Progress>) -> Self {
        Self { progress, ..self.clone() }
    }

    /// The description of the topic's records.
    pub fn spec(&self) -> &Arc<TopicSpec> {
        self.rows.spec()
    }

    /// The context of one scan, whose offsets are not frozen yet.
    fn context(&self) -> ScanContext {
        ScanContext {
            transport: self.cluster.clone(),
            isolation: self.isolation,
            progress: self.progress.clone(),
            frozen: Arc::default(),
            on_loss: self.on_loss,
            scans_check_topics: true,
        }
    }
}

/// The visible columns of a topic.
fn shown(spec: &TopicSpec, has_address: bool) -> SchemaRef {
    let all = spec.schema();
    if has_address { all } else { Arc::new(Schema::new(all.fields()[..spec.columns.len()].to_vec())) }
}

impl fmt::Debug for KafkaTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<&String> = self.schema.fields().iter().map(|field| field.name()).collect();
        f.debug_struct("KafkaTable")
            .field("topic", &self.spec().topic)
            .field("columns", &columns)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for KafkaTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        self.rows.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let projection = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        self.rows.scan_in(&self.context(), state, projection, filters, limit).await
    }

    async fn insert_into(
        &self,
        _: &dyn Session,
        input: Arc<dyn ExecutionPlan>,
        op: InsertOp,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if op != InsertOp::Append {
            let message =
                format!("{op} is not possible: records can only be appended to topic \"{}\"", self.spec().topic);
            return Err(DataFusionError::NotImplemented(message));
        }
        let shape = RecordShape::of(self.spec(), &self.schema, &input.schema())?;
        let sink = TopicSink::new(self.writer.clone(), shape, input.schema());
        Ok(Arc::new(DataSinkExec::new(input, Arc::new(sink), None)))
    }
}
