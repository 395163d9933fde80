//! Topics as tables in a plan: how their records are decoded. How they are read is decided above the waterline.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use headwater_formats::decode::{RowKind, TopicSpec};
use headwater_language::catalog::Catalog;

/// Creates the tables that scan topics.
pub trait Tables: fmt::Debug + Send + Sync {
    /// A table over the topic of the source with this name. With `counts`, the records are only counted: a scan that needs no column then decodes
    /// nothing, so that bad records count as rows, too.
    fn table(&self, source: &str, spec: Arc<TopicSpec>, counts: bool) -> Arc<dyn TableProvider>;
}

/// A topic in a plan.
#[derive(Debug)]
pub struct TopicTable {
    source: String,
    spec: Arc<TopicSpec>,
    tables: Arc<dyn Tables>,
    scanned: Arc<dyn TableProvider>,
}

impl TopicTable {
    fn new(source: &str, spec: Arc<TopicSpec>, tables: &Arc<dyn Tables>) -> Self {
        let scanned = tables.table(source, spec.clone(), false);
        Self { source: source.to_owned(), scanned, spec, tables: tables.clone() }
    }

    /// The same topic, with its records only counted. The records of a table are counted by key, and therefore decoded
    /// anyway.
    pub fn counted(&self) -> Self {
        let scanned = self.tables.table(&self.source, self.spec.clone(), self.spec.kind == RowKind::All);
        Self { source: self.source.clone(), spec: self.spec.clone(), tables: self.tables.clone(), scanned }
    }

    /// How the topic's records are decoded.
    pub fn spec(&self) -> &Arc<TopicSpec> {
        &self.spec
    }
}

#[async_trait]
impl TableProvider for TopicTable {
    fn schema(&self) -> SchemaRef {
        self.scanned.schema()
    }

    fn table_type(&self) -> TableType {
        self.scanned.table_type()
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        self.scanned.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.scanned.scan(state, projection, filters, limit).await
    }
}

/// The sources of a catalog snapshot, for DataFusion's lookup of tables.
#[derive(Debug)]
pub struct Sources {
    catalog: Arc<Catalog>,
    tables: Arc<dyn Tables>,
}

impl Sources {
    /// Creates the lookup for the sources of `catalog`; `tables` creates their tables.
    pub fn new(catalog: &Arc<Catalog>, tables: Arc<dyn Tables>) -> Self {
        Self { catalog: catalog.clone(), tables }
    }
}

#[async_trait]
impl SchemaProvider for Sources {
    fn table_names(&self) -> Vec<String> {
        self.catalog.sources().map(|s| s.name.clone()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(source) = self.catalog.source(name) else { return Ok(None) };
        if let Some(error) = source.unbuilt_format() {
            return Err(DataFusionError::External(Box::new(error)));
        }
        let spec = source.topic_spec().map_err(DataFusionError::Configuration)?;
        Ok(Some(Arc::new(TopicTable::new(name, Arc::new(spec), &self.tables))))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.catalog.source(name).is_some()
    }
}
