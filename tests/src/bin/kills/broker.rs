//! kill -9 of one of three brokers, again and again: leaders, coordinators of groups and of transactions move.
//!
//! Two copies are enough to go on (`min.insync.replicas` is 2 of 3), so commits must come while the broker is away.

use std::error::Error;
use std::time::Duration;

use clap::Args;

use crate::cluster::{Cluster, NODES};
use crate::instance::Instance;
use crate::trial::{self, Options, Trial};

/// Longest wait for the blow, and longest absence from the first commits without the broker.
const BEFORE_MAX: Duration = Duration::from_secs(5);
const ABSENCE_MAX: Duration = Duration::from_secs(4);

/// How often.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    options: Options,
}

/// Starts the cluster and holds the trial.
pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::up()?;
    trial::hold(cluster.bootstrap(), &arguments.options, |trial| strike(trial, &cluster, arguments.options.runs))
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
            "broker {node} killed, commits of both queries within {commits:.1} s, all copies {copies:.1} s after its start"
        ))?;
    }
    trial.await_commits(&mut instance)?;
    Ok(instance)
}
