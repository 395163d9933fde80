//! What the integration tests and the benchmarks share.
//!
//! * [`bare`]: the reader that is the limit of every bounded read;
//! * [`binary`]: where the built programs are;
//! * [`load`]: writes them to a topic;
//! * [`nexmark`]: generated bids and auctions, without anything that moves;
//! * [`optimizer`]: random queries, and whether their answers are right;
//! * [`readme`]: the commands of a Markdown page and whether they still do what it says;
//! * [`scratch`]: names and topics that are gone afterwards;
//! * [`simulation`]: the whole engine on a cluster in memory, with faults from a seed;
//! * [`transport_contract`]: what every transport must do, run over each of them;
//! * [`usage`]: what a command costs.

pub mod bare;
pub mod binary;
pub mod load;
pub mod nexmark;
pub mod optimizer;
pub mod readme;
pub mod scratch;
pub mod simulation;
pub mod transport_contract;
pub mod usage;

/// How a program ends: its error is told on standard error as plain text.
pub fn ended(ran: Result<(), Box<dyn std::error::Error>>) -> std::process::ExitCode {
    match ran {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
