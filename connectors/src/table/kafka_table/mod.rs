//! A topic as a table of anybody's `SessionContext`: queries read it, INSERT and `write_table` append to it.
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

/// A Kafka topic as a DataFusion table. Made by [`KafkaTable::builder`]; cheap to clone.
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
/// The declared columns in their order, and after them ROWTIME (the record's timestamp, ms since the epoch), ROWPARTITION
/// and ROWOFFSET, unless the builder leaves them out. Names are exact. DataFusion folds names without quotes to lower
/// case, so SQL quotes `"ROWTIME"`, and expressions say `ident(ROWTIME)` instead of `col("ROWTIME")`. All columns are
/// nullable: a record may lack any field.
///
/// # What a query reads
///
/// Each scan ends at the high watermarks of the moment when it was planned, or at the last stable offsets where only
/// committed records are read, which is the default. Records that come later are not seen; a query that names a topic
/// twice plans two scans. Predicates on ROWTIME, ROWPARTITION and ROWOFFSET bound the offsets that are read. Dropping the
/// stream of rows stops reading.
///
/// A record that cannot be decoded is left out and counted, with its address: see [`Self::progress`]. Records that are
/// deleted before they are read fail the query, unless [`KafkaTableBuilder::on_loss`] says otherwise.
///
/// # What is written
///
/// `INSERT INTO` and `DataFrame::write_table` append a record for each row, and give the number of rows once the cluster
/// has acknowledged all of them. Columns are found by name; those that are not given are NULL. ROWTIME, where given,
/// becomes the record's timestamp. A row whose key columns are all NULL becomes a record without a key. Records with a
/// key go where the Java client puts them (murmur2). A NULL that is the whole value, in KAFKA or in JSON that is not
/// wrapped, is read as no row: it deletes the key of a table.
///
/// With a transactional id ([`KafkaTableBuilder::transactional_id`]) a statement is one transaction: all of its rows or
/// none. Without one the producer is idempotent, and what was sent before a failure stays; the error says so.
#[derive(Clone)]
pub struct KafkaTable {
    rows: Arc<TopicTable>,
    /// The columns that are shown: those of `rows`, maybe without the address columns at the end.
    schema: SchemaRef,
    cluster: Arc<dyn Transport>,
    isolation: Isolation,
    on_loss: OnLoss,
    progress: Arc<Progress>,
    writer: Arc<Writer>,
}

impl KafkaTable {
    /// Begins to describe a table over `topic`, on the cluster that these brokers (`host:port`, with commas between) are
    /// of. Nothing connects before [`KafkaTableBuilder::build`].
    pub fn builder(brokers: &str, topic: &str) -> KafkaTableBuilder {
        KafkaTableBuilder::new(brokers, topic)
    }

    /// As [`Self::builder`], on a cluster that is connected already: several tables then share its connections.
    pub fn on(cluster: Arc<dyn Transport>, topic: &str) -> KafkaTableBuilder {
        KafkaTableBuilder::on(cluster, topic)
    }

    /// The cluster, to be shared with other tables by [`Self::on`].
    pub fn cluster(&self) -> &Arc<dyn Transport> {
        &self.cluster
    }

    /// What all scans of this table and its clones have read so far, and the records that could not be decoded:
    /// [`Progress::snapshot`] counts them, [`Progress::rejects`] has their addresses and reasons.
    ///
    /// A query that is run twice counts twice. `EXPLAIN ANALYZE` shows the counters of each scan apart, and
    /// [`Self::with_progress`] keeps those of some queries apart.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// The same table, whose scans count in `progress`. To be registered or read ([`SessionContext::read_table`]) for a
    /// query whose counters matter; one `Progress` may be given to all tables of a query.
    ///
    /// [`SessionContext::read_table`]: datafusion::prelude::SessionContext::read_table
    #[must_use]
    pub fn with_progress(&self, progress: Arc<Progress>) -> Self {
        Self { progress, ..self.clone() }
    }

    /// What the topic's records mean.
    pub fn spec(&self) -> &Arc<TopicSpec> {
        self.rows.spec()
    }

    /// The context of one scan. Its offsets are not frozen yet.
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

/// The columns that are shown of a topic.
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
