//! Runs bounded queries: memory, spilling, and the progress that the shell shows.

use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionState;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream, displayable, execute_stream};
use futures::StreamExt;
use headwater_connectors::table::{OnLoss, Progress, ScanContext};
use headwater_connectors::transport::Transport;
use headwater_language::catalog::Catalog;
use headwater_language::config::Settings;
use headwater_language::diagnostic::{Diagnostic, INTERNAL, Span};
use headwater_language::sql::ast;
use headwater_planner::{bounded, function, optimizer};

use super::memory::QueryMemory;
use super::optimized::{self, Optimized};
use super::scans;
use super::spill::SpillFiles;
use super::states::States;
use crate::answer::{ExecutedPlan, Plan, Rows};
use crate::failure;

/// A bounded query that is planned and ready to run.
pub struct Bounded {
    state: SessionState,
    plan: Arc<dyn ExecutionPlan>,
    logical: String,
    context: ScanContext,
    span: Span,
}

/// What a bounded query needs to run.
pub struct Environment<'a> {
    /// The cluster.
    pub transport: &'a Arc<dyn Transport>,
    /// The streams and tables.
    pub catalog: &'a Arc<Catalog>,
    /// The states of the queries that run in this process.
    pub states: &'a Arc<States>,
    /// Limits and defaults.
    pub settings: &'a Settings,
}

impl Bounded {
    /// Plans a query and freezes the offsets that it reads.
    pub async fn plan(query: &ast::Query, environment: &Environment<'_>) -> Result<Self, Vec<Diagnostic>> {
        optimizer::check(environment.settings, &scans::rules())?;
        let progress = Arc::new(Progress::default());
        let isolation = super::isolation(environment.settings);
        let context = ScanContext {
            transport: environment.transport.clone(),
            isolation,
            progress: progress.clone(),
            frozen: Arc::default(),
            on_loss: on_loss(environment.settings),
            scans_check_topics: false,
        };
        let limits = limits(environment.settings)?;
        let outside = scans::outside(&context, environment.catalog, environment.states, limits);
        let mut state = bounded::state(environment.catalog, environment.settings, outside);
        let called = function::called([&query.body], environment.catalog);
        state = function::register_called(state, &called, environment.catalog)?;
        // NOW() is one time for the whole query.
        state.mark_start_execution();
        let logical = bounded::plan(query, environment.catalog, &state).await?;
        let memory_max = environment.settings.bytes("query.memory.max");
        let Optimized { logical, physical, state } = optimized::optimize(&logical, state, memory_max)
            .await
            .map_err(|error| failure::diagnose_optimized(&error, query))?;
        Ok(Self { state, plan: physical, logical: logical.display_indent().to_string(), context, span: query.span })
    }

    /// A state without streams and tables, for its functions.
    pub fn bare_state(settings: &Settings) -> SessionState {
        headwater_expression::session(settings)
    }

    /// The counters of the query's scans.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.context.progress
    }

    /// Starts the query. It runs in its own task, at most a batch ahead, so that whoever waits for rows can also react to
    /// other events, even while an operator computes for seconds.
    pub fn run(&self) -> Result<Rows, Vec<Diagnostic>> {
        let stream = execute_stream(self.plan.clone(), self.state.task_ctx())
            .map_err(|e| failure::diagnose(&e, Some(self.span)))?;
        let progress = self.context.progress.clone();
        Ok(Rows { stream: in_a_task(stream, self.context.clone()), progress, notice: None })
    }

    /// The plan as text.
    pub fn explain(&self) -> Plan {
        let physical = displayable(self.plan.as_ref()).indent(false).to_string();
        Plan { logical: self.logical.clone(), physical }
    }

    /// Runs the query to its end, discards its rows and returns the plan with the metrics of each step.
    pub async fn explain_analyze(&self) -> Result<ExecutedPlan, Vec<Diagnostic>> {
        use futures::TryStreamExt;
        let refused = |error| failure::diagnose(&error, Some(self.span));
        let mut stream = self.run()?.stream;
        let mut rows = 0;
        while let Some(batch) = stream.try_next().await.map_err(refused)? {
            rows += batch.num_rows() as u64;
        }
        let physical = displayable_with_metrics(&self.plan);
        Ok(ExecutedPlan { physical, rows, read: self.context.progress.snapshot() })
    }
}

/// Runs a stream in its own task. After the last row it checks that no topic was recreated in the meantime.
fn in_a_task(mut stream: SendableRecordBatchStream, context: ScanContext) -> SendableRecordBatchStream {
    let mut task = RecordBatchReceiverStreamBuilder::new(stream.schema(), 1);
    let rows = task.tx();
    task.spawn(async move {
        while let Some(batch) = stream.next().await {
            // Nobody receives after the query was cancelled.
            let failed = batch.is_err();
            if rows.send(batch).await.is_err() || failed {
                return Ok(());
            }
        }
        let checked = tokio::task::spawn_blocking(move || context.check_topics()).await;
        let external = |error: Box<dyn std::error::Error + Send + Sync>| DataFusionError::External(error);
        checked.map_err(|error| external(error.into()))?.map_err(|error| external(error.into()))
    });
    task.build()
}

/// What happens to a query when records were deleted before it read them.
fn on_loss(settings: &Settings) -> OnLoss {
    match settings.get("query.lost.records") {
        "note" => OnLoss::Note,
        _ => OnLoss::Fail,
    }
}

fn displayable_with_metrics(plan: &Arc<dyn ExecutionPlan>) -> String {
    datafusion::physical_plan::display::DisplayableExecutionPlan::with_metrics(plan.as_ref()).indent(false).to_string()
}

/// The limits of memory and disk that the settings allow.
fn limits(settings: &Settings) -> Result<Arc<RuntimeEnv>, Vec<Diagnostic>> {
    let disk = u64::try_from(settings.bytes("query.disk.max")).unwrap_or(u64::MAX);
    let files = DiskManagerBuilder::default().with_temp_file_factory(Arc::new(SpillFiles::new(disk)));
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(QueryMemory::new(settings.bytes("query.memory.max"))))
        .with_disk_manager_builder(files)
        .build_arc()
        .map_err(|error| vec![Diagnostic::new(INTERNAL, format!("could not prepare the query's memory: {error}"))])
}
