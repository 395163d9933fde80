//! A process and its user on the memory transport. The test steps the drivers of its queries.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use futures::TryStreamExt as _;
use headwater_connectors::transport::memory::MemoryTransport;
use headwater_language::config::Settings;

use crate::answer::{Answer, Facts, Rows};
use crate::runtime::{Driver, StepOutcome};
use crate::{Engine, Session};

/// The stream of every process.
const SOURCE: &str =
    "CREATE STREAM s (k STRING KEY, a INT, v INT) WITH (KAFKA_TOPIC = 's', PARTITIONS = 4, VALUE_FORMAT = 'JSON');";

/// One process and its user.
pub(in crate::runtime) struct Process {
    pub(in crate::runtime) cluster: MemoryTransport,
    pub(in crate::runtime) engine: Engine,
    pub(in crate::runtime) session: Session,
    pub(in crate::runtime) now_ms: i64,
}

impl Process {
    pub(in crate::runtime) fn new(cluster: &MemoryTransport, name: &str) -> Self {
        let cluster = cluster.process(name);
        let engine = Engine::driven(Arc::new(cluster.clone()), &Settings::default());
        Self { cluster, engine, session: Session::new(Settings::default()), now_ms: 1_000 }
    }

    /// A process alone on its cluster, with a stream and what these statements create.
    pub(in crate::runtime) async fn with(statements: &[&str]) -> Self {
        let mut process = Self::new(&MemoryTransport::new(), "a");
        for statement in [SOURCE].iter().chain(statements) {
            process.ask(statement).await;
        }
        process
    }

    pub(in crate::runtime) async fn ask(&mut self, statement: &str) -> Answer {
        let answer = self.engine.ask(&mut self.session, statement).await;
        answer.unwrap_or_else(|errors| panic!("{statement}: {errors:?}"))
    }

    pub(in crate::runtime) async fn begin(&mut self, query: &str) -> Rows {
        let Answer::Rows(rows) = self.ask(query).await else { panic!("no rows") };
        rows
    }

    /// The rows of a query in the order of their texts.
    pub(in crate::runtime) async fn rows(&mut self, query: &str) -> Vec<String> {
        let batches: Vec<_> = self.begin(query).await.stream.try_collect().await.expect("rows");
        let mut rows: Vec<String> = batches.iter().flat_map(texts).collect();
        rows.sort();
        rows
    }

    pub(in crate::runtime) async fn plan(&mut self, query: &str) -> String {
        let Answer::Facts(Facts::Plan(plan)) = self.ask(&format!("EXPLAIN {query}")).await else { panic!("no plan") };
        plan.physical
    }

    pub(in crate::runtime) async fn reads_state(&mut self, query: &str) -> bool {
        self.plan(query).await.contains("StateScanExec: state of query CTAS_T_2 in this process")
    }

    /// A driver of the first query, which computes a table T.
    pub(in crate::runtime) async fn driver(&self) -> Driver {
        self.driver_of("CTAS_T_2").await
    }

    pub(in crate::runtime) async fn driver_of(&self, query: &str) -> Driver {
        self.engine.driver(query, Arc::new(self.cluster.clone())).await.expect("a query")
    }

    /// The consumer group of a query.
    pub(in crate::runtime) async fn group(&mut self, query: &str) -> String {
        let answer = self.ask(&format!("EXPLAIN {query};")).await;
        let Answer::Facts(Facts::QueryDescriptions(described)) = answer else { panic!("no description") };
        described[0].group.clone()
    }

    /// Steps drivers until nothing is left to do.
    pub(in crate::runtime) fn drive(&mut self, drivers: &mut [&mut Driver]) {
        let mut quiet = 0;
        while quiet < 20 {
            for driver in &mut *drivers {
                self.now_ms += 1_000;
                let step = driver.step(self.now_ms, Duration::ZERO).expect("nothing fails");
                quiet = if step == StepOutcome::Idle && driver.is_settled() { quiet + 1 } else { 0 };
            }
        }
    }
}

/// One text for each row.
fn texts(batch: &RecordBatch) -> Vec<String> {
    let text = |row: usize| {
        batch
            .columns()
            .iter()
            .map(|column| array_value_to_string(column, row).expect("a value"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    (0..batch.num_rows()).map(text).collect()
}
