//! The DataFusion table over a topic. Plans a scan and freezes its offsets.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use headwater_formats::decode::{ROWOFFSET, ROWPARTITION, ROWTIME, RowKind, TopicSpec};

use super::context::ScanContext;
use super::latest::LatestPerKeyExec;
use super::ranges::{FrozenRanges, freeze};
use super::reader::external;
use super::scan::{Scan, TopicScanExec};

/// A topic as a table. Its scans need a [`ScanContext`] in the session's configuration.
#[derive(Debug)]
pub struct TopicTable {
    spec: Arc<TopicSpec>,
    schema: SchemaRef,
    counts: bool,
    why: Option<Arc<str>>,
}

impl TopicTable {
    /// A table over the topic.
    pub fn new(spec: Arc<TopicSpec>) -> Self {
        Self { schema: spec.schema(), spec, counts: false, why: None }
    }

    /// The same stream for counting records: a scan that needs no column then parses nothing, so that records that
    /// cannot be decoded are rows too. Any other scan parses every record.
    pub fn counted(&self) -> Self {
        let (spec, schema) = (self.spec.clone(), self.schema.clone());
        Self { counts: spec.kind == RowKind::All, spec, schema, why: self.why.clone() }
    }

    /// The same table, whose plans say why the topic is read.
    pub fn because(&self, why: &str) -> Self {
        let (spec, schema) = (self.spec.clone(), self.schema.clone());
        Self { spec, schema, counts: self.counts, why: Some(why.into()) }
    }

    /// The description of the topic's records.
    pub fn spec(&self) -> &Arc<TopicSpec> {
        &self.spec
    }

    /// Predicates that limit what is read. There are none for a table: a later record that the predicate rules out must
    /// still supersede an earlier record of its key.
    fn pruning(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<Arc<dyn PhysicalExpr>>> {
        if self.spec.kind == RowKind::LatestPerKey {
            return Ok(Vec::new());
        }
        let schema = DFSchema::try_from(self.schema.clone())?;
        filters.iter().map(|f| state.create_physical_expr(f.clone(), &schema)).collect()
    }

    async fn freeze(&self, context: &ScanContext, predicates: Vec<Arc<dyn PhysicalExpr>>) -> Result<FrozenRanges> {
        let (context, spec) = (context.clone(), self.spec.clone());
        let freezing = move || {
            let record_time = spec.event_time.is_none();
            let (admin, isolation) = (context.transport.admin(), context.isolation);
            let extent = context.frozen.of(admin, &spec.topic, isolation)?;
            freeze(admin, &spec.topic, &extent, isolation, &predicates, record_time)
        };
        let frozen = tokio::task::spawn_blocking(freezing).await.map_err(external)?;
        frozen.map_err(external)
    }

    /// Plans a scan with the given context. Freezes its offsets, unless the context has already frozen them.
    pub(super) async fn scan_in(
        &self,
        context: &ScanContext,
        state: &dyn Session,
        projection: Vec<usize>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let frozen = self.freeze(context, self.pruning(state, filters)?).await?;
        let fields: Vec<_> = projection.iter().map(|i| self.schema.fields()[*i].clone()).collect();
        let schema = Arc::new(Schema::new(fields));
        let counts = self.counts && projection.is_empty();
        let (spec, context, why) = (self.spec.clone(), context.clone(), self.why.clone());
        let scan = Scan { spec, projection, schema, context, frozen, limit, counts, why };
        Ok(match self.spec.kind {
            RowKind::All => Arc::new(TopicScanExec::new(scan, state.config().target_partitions())),
            RowKind::LatestPerKey => Arc::new(LatestPerKeyExec::new(scan)),
        })
    }
}

#[async_trait]
impl TableProvider for TopicTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let helps =
            |f: &Expr| f.column_refs().iter().any(|c| [ROWTIME, ROWPARTITION, ROWOFFSET].contains(&c.name.as_str()));
        let answer = |f: &&Expr| {
            if helps(f) { TableProviderFilterPushDown::Inexact } else { TableProviderFilterPushDown::Unsupported }
        };
        Ok(filters.iter().map(answer).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let context = state.config().get_extension::<ScanContext>();
        let context = context.ok_or_else(|| DataFusionError::Internal("a scan without a scan context".to_owned()))?;
        let projection = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        self.scan_in(&context, state, projection, filters, limit).await
    }
}
