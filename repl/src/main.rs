//! The `headwater` binary: the command line with the engine behind it.

mod connect;

use std::process::ExitCode;

fn main() -> ExitCode {
    headwater_repl::app::main(connect::connect)
}
