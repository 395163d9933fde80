//! The `headwater` binary: the command line with the engine behind it.

mod connect;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    headwater_repl::app::main(connect::connect)
}
