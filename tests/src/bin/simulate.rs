//! Runs many simulations with one command; a failure is replayed by its seed.
//!
//! ```text
//! cargo run --release -p headwater-tests --bin simulate -- --seeds 1000
//! cargo run --release -p headwater-tests --bin simulate -- --seed 4711
//! cargo run --release -p headwater-tests --bin simulate -- --seeds 100 --threads
//! ```

use std::process::ExitCode;

use clap::Parser;
use headwater_tests::simulation::{Guarantee, Simulation, Threads};

/// Run the whole engine on a cluster in memory, with faults from a seed.
#[derive(Parser)]
struct Arguments {
    /// Number of seeds to run
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Run only this seed
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Read and write on threads, as the product does; a seed then gives a different run each time
    #[arg(long)]
    threads: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seeds = match arguments.seed {
        Some(seed) => seed..seed + 1,
        None => arguments.from..arguments.from + arguments.seeds,
    };
    let threads = if arguments.threads { Threads::Own } else { Threads::Stepped };
    let mut failed = 0;
    for seed in seeds.clone() {
        let simulation = Simulation { seed, guarantee: Guarantee::ExactlyOnce, threads };
        if let Err(error) = simulation.run().await.result {
            println!("seed {seed}: {error}");
            failed += 1;
        }
    }
    println!("{} simulations, {failed} failed", seeds.end - seeds.start);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
