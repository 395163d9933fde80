//! `headwater run --until-idle`: runs every persistent query until its current input is processed.

use std::collections::BTreeSet;
use std::sync::Arc;

use headwater_language::catalog::{Catalog, QueryDef};

use super::blocking;
use super::process::{Asked, Process};
use super::supervisor::Ran;

impl Process {
    /// Runs every persistent query until its current input is processed and committed. Queries that read what others write
    /// run after them. Ends early once `stopped` returns true. Returns what each query did, in that order.
    pub fn run_until_idle(&self, stopped: impl Fn() -> bool + Send + 'static) -> Asked<'_, Vec<Ran>> {
        let stopped: Box<dyn Fn() -> bool + Send> = Box::new(stopped);
        Box::pin(async move {
            let catalog = self.sure_catalog().await?;
            let (worker, stages) = (self.worker().clone(), stages(&catalog));
            let run = move || {
                let wanted = stages.iter().take_while(|_| !stopped());
                wanted.flat_map(|stage| worker.run_until_idle(stage, &*stopped)).collect::<Vec<Ran>>()
            };
            let mut ran = blocking(run).await?;
            ran.extend(catalog.queries().filter(|query| query.paused).map(|query| Ran::paused(query)));
            Ok(ran)
        })
    }
}

/// Queries in the order of their data: each stage reads what earlier stages write. Queries that form a cycle are the
/// last stage.
fn stages(catalog: &Catalog) -> Vec<Vec<Arc<QueryDef>>> {
    let mut left: Vec<Arc<QueryDef>> = catalog.queries().filter(|q| !q.paused).cloned().collect();
    let mut stages = Vec::new();
    while !left.is_empty() {
        let written: BTreeSet<&str> = left.iter().filter_map(|q| topic_of(q)).collect();
        let ready: Vec<bool> = left.iter().map(|q| !written.iter().any(|topic| q.reads(topic))).collect();
        if !ready.contains(&true) {
            stages.push(left);
            break;
        }
        let mut ready = ready.into_iter();
        let (stage, later) = left.into_iter().partition(|_| ready.next().unwrap_or(false));
        stages.push(stage);
        left = later;
    }
    stages
}

fn topic_of(query: &QueryDef) -> Option<&str> {
    query.topology.sink().map(|sink| sink.topic.as_str())
}
