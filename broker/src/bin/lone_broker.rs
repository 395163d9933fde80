//! The broker as a process of its own, for tests that kill it: `lone_broker FOLDER ADDRESS` serves until it is killed, and looks after its
//! logs ten times a second.

use std::error::Error;
use std::net::SocketAddr;

use headwater_broker::{Broker, Config};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, address] = arguments.as_slice() else { return Err("usage: lone_broker FOLDER ADDRESS".into()) };
    let listen: SocketAddr = address.parse()?;
    let config = Config { listen, retention_check_ms: 100, ..Config::in_folder(folder) };
    let _broker = Broker::start(config).await?;
    std::future::pending().await
}
