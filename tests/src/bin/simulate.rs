//! Runs many simulations with one command; a failure is replayed by its seed.
//!
//! ```text
//! cargo run --release -p headwater-tests --bin simulate -- --seeds 1000
//! cargo run --release -p headwater-tests --bin simulate -- --seed 4711
//! cargo run --release -p headwater-tests --bin simulate -- --seeds 100 --threads
//! ```

use std::process::ExitCode;

use clap::Parser;
use headwater_tests::seeds::each_seed;
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

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seeds = match arguments.seed {
        Some(seed) => seed..seed + 1,
        None => arguments.from..arguments.from + arguments.seeds,
    };
    let threads = if arguments.threads { Threads::Own } else { Threads::Stepped };
    let has_failed = each_seed(seeds.clone(), async |seed| {
        let result = Simulation { seed, guarantee: Guarantee::ExactlyOnce, threads }.run().await.result;
        result.inspect_err(|error| println!("seed {seed}: {error}")).is_err()
    });
    let failed = has_failed.into_iter().filter(|failed| *failed).count();
    println!("{} simulations, {failed} failed", seeds.end - seeds.start);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
