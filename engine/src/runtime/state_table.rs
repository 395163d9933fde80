//! A table that a persistent query computes, read from the query's state if that is in this process, and otherwise from its
//! topic.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
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
use super::states::{StateSnapshot, States, Unread};

/// The states that one bounded query reads, each taken when a scan first asks for it.
#[derive(Debug)]
pub(super) struct FrozenStates {
    states: Arc<States>,
    taken: Mutex<BTreeMap<String, Slot>>,
}

/// The state of a query, or why it is not read.
type Taken = Result<Arc<StateSnapshot>, Unread>;

/// The state of a query once it is taken. The first scan takes it; the others wait.
type Slot = Arc<Mutex<Option<Taken>>>;

impl FrozenStates {
    /// Nothing is taken yet.
    pub(super) fn of(states: &Arc<States>) -> Self {
        Self { states: states.clone(), taken: Mutex::default() }
    }

    /// The state of a query. Blocks. Fails if the cluster does not answer.
    fn take(&self, admin: &dyn Admin, query: &QueryDef) -> Result<Taken, TransportError> {
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

    /// Whether a column with this name is read.
    fn reads(&self, projection: &[usize], name: &str) -> bool {
        let schema = self.topic.schema();
        projection.iter().any(|at| schema.field(*at).name() == name)
    }

    /// The state of the query, unless the topic must be read for these columns and predicates.
    async fn state(&self, context: &ScanContext, projection: &[usize], filters: &[Expr]) -> DataFusionResult<Taken> {
        if context.isolation == Isolation::ReadUncommitted {
            return Ok(Err(Unread::Uncommitted));
        }
        if let Some(address) = address(|name| self.reads(projection, name)) {
            return Ok(Err(Unread::Without(address)));
        }
        let (frozen, query, transport) = (self.frozen.clone(), self.query.clone(), context.transport.clone());
        let taken = tokio::task::spawn_blocking(move || frozen.take(transport.admin(), &query)).await;
        let external = |error: Box<dyn std::error::Error + Send + Sync>| DataFusionError::External(error);
        let taken = taken.map_err(|error| external(error.into()))?.map_err(|error| external(error.into()))?;
        Ok(taken.and_then(|state| match () {
            () if !state_windows::has_all(&state, filters) => Err(Unread::Expired),
            () => Ok(state),
        }))
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

/// The column of these that no state has.
pub(super) fn address(reads: impl Fn(&str) -> bool) -> Option<&'static str> {
    [ROWPARTITION, ROWOFFSET].into_iter().find(|name| reads(name))
}

#[async_trait]
impl TableProvider for StateTable {
    fn schema(&self) -> SchemaRef {
        self.topic.schema()
    }

    fn table_type(&self) -> TableType {
        self.topic.table_type()
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
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
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let context = session.config().get_extension::<ScanContext>();
        let context = context.ok_or_else(|| DataFusionError::Internal("a scan without a scan context".to_owned()))?;
        let all = projection.cloned().unwrap_or_else(|| (0..self.schema().fields().len()).collect());
        let state = match self.state(&context, &all, filters).await? {
            Ok(state) => state,
            Err(why) => {
                let topic = self.topic.because(&why.to_string());
                return topic.scan(session, projection, filters, limit).await;
            }
        };
        let scanned = state.partitions.iter().flat_map(|stores| &stores[state.materialized.scanned()]);
        let starts: BTreeSet<i64> = scanned.flat_map(|store| store.windows().map(|(start, _)| start)).collect();
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
