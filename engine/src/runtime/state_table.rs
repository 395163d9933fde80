//! A table that a persistent query computes, read from the query's state if that is in this process, and otherwise from its
//! topic.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use headwater_connectors::table::{ScanContext, TopicTable};
use headwater_connectors::transport::{Admin, Isolation, TransportError};
use headwater_formats::decode::{ColumnOrigin, ROWOFFSET, ROWPARTITION, TopicSpec};
use headwater_language::catalog::QueryDef;
use parking_lot::Mutex;

use super::state_keys;
use super::state_scan::{StateScan, StateScanExec};
use super::state_windows;
use super::states::{StateSnapshot, States};

/// The states that one bounded query reads, each taken when a scan first asks for it.
#[derive(Debug)]
pub(super) struct FrozenStates {
    states: Arc<States>,
    taken: Mutex<BTreeMap<String, Slot>>,
}

/// The state of a query once it is taken; `None` inside if it is not in this process. The first scan takes it; the others wait.
type Slot = Arc<Mutex<Option<Option<Arc<StateSnapshot>>>>>;

impl FrozenStates {
    /// Nothing is taken yet.
    pub(super) fn of(states: &Arc<States>) -> Self {
        Self { states: states.clone(), taken: Mutex::default() }
    }

    /// The state of a query; `None` if it is not all in this process. Blocks. Fails if the cluster does not answer.
    fn take(&self, admin: &dyn Admin, query: &QueryDef) -> Result<Option<Arc<StateSnapshot>>, TransportError> {
        let slot = self.taken.lock().entry(query.id.clone()).or_default().clone();
        let mut taken = slot.lock();
        if let Some(known) = &*taken {
            return Ok(known.clone());
        }
        let state = self.states.snapshot(admin, query)?.map(Arc::new);
        *taken = Some(state.clone());
        Ok(state)
    }
}

/// A table that a persistent query computes.
#[derive(Debug)]
pub(super) struct StateTable {
    topic: TopicTable,
    query: Arc<QueryDef>,
    frozen: Arc<FrozenStates>,
}

impl StateTable {
    /// The table in `topic`, which `query` computes.
    pub(super) fn new(topic: TopicTable, query: Arc<QueryDef>, frozen: Arc<FrozenStates>) -> Self {
        Self { topic, query, frozen }
    }

    fn spec(&self) -> &Arc<TopicSpec> {
        self.topic.spec()
    }

    /// Whether only the topic has these columns: the addresses of its records.
    fn is_addressed(&self, projection: &[usize]) -> bool {
        let schema = self.topic.schema();
        projection.iter().any(|at| [ROWPARTITION, ROWOFFSET].contains(&schema.field(*at).name().as_str()))
    }

    /// The state of the query; `None` if the topic must be read.
    async fn state(&self, context: &ScanContext, projection: &[usize]) -> Result<Option<Arc<StateSnapshot>>> {
        if context.isolation == Isolation::ReadUncommitted || self.is_addressed(projection) {
            return Ok(None);
        }
        let (frozen, query, transport) = (self.frozen.clone(), self.query.clone(), context.transport.clone());
        let taken = tokio::task::spawn_blocking(move || frozen.take(transport.admin(), &query)).await;
        let external = |error: Box<dyn std::error::Error + Send + Sync>| DataFusionError::External(error);
        taken.map_err(|error| external(error.into()))?.map_err(|error| external(error.into()))
    }

    /// Whether a predicate is on columns of the key, so that it may limit what is read.
    fn is_on_key(&self, filter: &Expr) -> bool {
        let is_key = |name: &str| {
            self.spec().all_columns().iter().any(|column| {
                let of_key =
                    matches!(column.origin, ColumnOrigin::Key(_) | ColumnOrigin::WindowStart | ColumnOrigin::WindowEnd);
                of_key && column.field.name() == name
            })
        };
        filter.column_refs().iter().any(|column| is_key(&column.name))
    }
}

#[async_trait]
impl TableProvider for StateTable {
    fn schema(&self) -> SchemaRef {
        self.topic.schema()
    }

    fn table_type(&self) -> TableType {
        self.topic.table_type()
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let mut answers = self.topic.supports_filters_pushdown(filters)?;
        for (answer, filter) in answers.iter_mut().zip(filters) {
            if self.is_on_key(filter) {
                *answer = TableProviderFilterPushDown::Inexact;
            }
        }
        Ok(answers)
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let context = session.config().get_extension::<ScanContext>();
        let context = context.ok_or_else(|| DataFusionError::Internal("a scan without a scan context".to_owned()))?;
        let all = projection.cloned().unwrap_or_else(|| (0..self.schema().fields().len()).collect());
        let state = self.state(&context, &all).await?;
        let Some(state) = state.filter(|state| state_windows::has_all(state, filters)) else {
            return self.topic.scan(session, projection, filters, limit).await;
        };
        let starts: BTreeSet<i64> = state.partitions.iter().flat_map(|p| p.windows().map(|(start, _)| start)).collect();
        let scan = StateScan {
            keys: state_keys::keys(&state.materialized, filters)?,
            windows: state_windows::windows(&state.materialized, &starts, filters, session)?,
            spec: self.spec().clone(),
            schema: Arc::new(self.schema().project(&all)?),
            projection: all,
            limit,
            progress: context.progress.clone(),
            state,
        };
        Ok(Arc::new(StateScanExec::new(scan, session.config().target_partitions())))
    }
}
