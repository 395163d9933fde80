//! Repeatedly kills (kill -9) one of three brokers: leaders and the coordinators of groups and transactions move.
//!
//! Two replicas are enough to continue (`min.insync.replicas` is 2 of 3), so commits must succeed while the broker is
//! down.

use std::error::Error;
use std::time::Duration;

use clap::Args;

use crate::cluster::{Cluster, NODES};
use crate::filters::Filters;
use crate::instance::Instance;
use crate::trial::{self, Options, Trial};

/// Maximum time before a kill, and maximum downtime after the first commits without the broker.
const BEFORE_MAX: Duration = Duration::from_secs(5);
const ABSENCE_MAX: Duration = Duration::from_secs(4);

/// Number of kills.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    options: Options,
}

/// Starts the cluster and runs the trial.
pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::up()?;
    trial::hold::<Filters>(cluster.bootstrap(), &arguments.options, |trial| {
        strike(trial, &cluster, arguments.options.runs)
    })
}

fn strike(trial: &mut Trial, cluster: &Cluster, runs: u32) -> Result<Instance, Box<dyn Error>> {
    let mut instance = trial.service.start()?;
    trial.await_commits(&mut instance)?;
    cluster.await_copies()?;
    for _ in 0..runs {
        trial.pause(BEFORE_MAX);
        let node = trial.pick(1..NODES + 1);
        cluster.kill(node)?;
        let commits = trial.await_commits(&mut instance)?.as_secs_f64();
        trial.pause(ABSENCE_MAX);
        cluster.start(node)?;
        let copies = cluster.await_copies()?.as_secs_f64();
        trial.report(&format!(
            "broker {node} killed, commits of both queries within {commits:.1} s, all replicas in sync {copies:.1} s after its restart"
        ))?;
    }
    trial.await_commits(&mut instance)?;
    Ok(instance)
}
