//! Sends damaged input to what reads input from outside, for as long as wanted, and checks that nothing breaks.
//!
//! ```text
//! fuzz frames --count 10000000 --seed 1
//! ```
//!
//! Apart from the tests, which do the same for seconds: here the count is up to the caller.

mod frames;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Send damaged input and check that it does no harm.
#[derive(Parser)]
#[command(after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
  cargo build --release --workspace --bins
  fuzz frames --count 10000000 --seed 1

The headwater beside this program is tested; HEADWATER_BIN names another one. It exits with 0 only when nothing was
wrong; what was sent comes from --seed.";

#[derive(Subcommand)]
enum Command {
    /// Send damaged requests to the embedded broker over several connections, while another client uses it
    Frames(frames::Arguments),
}

fn main() -> ExitCode {
    headwater_tests::ended(run(Arguments::parse().command))
}

fn run(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Frames(arguments) => frames::run(&arguments),
    }
}
