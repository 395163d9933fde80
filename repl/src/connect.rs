//! From an address to an engine that answers.

use headwater_repl::app::Connection;
use headwater_repl::options::Options;
use tokio::runtime::Handle;

/// Connects to the brokers at `bootstrap`.
pub fn connect(_options: &Options, bootstrap: &str, _runtime: &Handle) -> Result<Connection, String> {
    Err(format!("no engine is linked that could ask {bootstrap}"))
}
