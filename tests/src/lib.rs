//! Code shared by the integration tests and the benchmarks.
//!
//! * [`bare`]: the reader that is the baseline of bounded reads;
//! * [`binary`]: the paths of the built programs;
//! * [`continuous`]: random continuous queries, and whether their answers depend on the records alone;
//! * [`embedded`]: the embedded broker as a child process;
//! * [`load`]: writes records to a topic;
//! * [`nexmark`]: generated bids and auctions, without I/O;
//! * [`optimizer`]: random queries, and whether their answers are correct;
//! * [`readme`]: the commands of a Markdown page, and whether their output is still correct;
//! * [`scratch`]: names and topics that are deleted afterwards;
//! * [`seeds`]: runs of many seeds on all processors;
//! * [`simulation`]: the whole engine on a cluster in memory, with faults from a seed;
//! * [`transport_contract`]: what every transport must do, run for each of them;
//! * [`usage`]: the cost of a command.

pub mod bare;
pub mod binary;
pub mod continuous;
pub mod embedded;
pub mod load;
pub mod nexmark;
pub mod optimizer;
mod random;
pub mod readme;
pub mod scratch;
pub mod seeds;
pub mod simulation;
pub mod transport_contract;
pub mod usage;

/// Ends a program: an error is printed to standard error as plain text.
pub fn ended(ran: Result<(), Box<dyn std::error::Error>>) -> std::process::ExitCode {
    match ran {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
