//! A registry in memory, for trying clients: `cargo run --release -p headwater-schema-registry --example serve -- 8081`.

use headwater_schema_registry::{MemoryLog, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).unwrap_or_else(|| "8081".to_owned()).parse()?;
    let server = Server::start(([127, 0, 0, 1], port).into(), MemoryLog::default()).await?;
    println!("{}", server.url());
    tokio::signal::ctrl_c().await?;
    server.shutdown().await;
    Ok(())
}
