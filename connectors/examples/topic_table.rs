//! A Kafka topic as a table of a DataFusion program: INSERT writes to it, SELECT reads it. The topic `orders` must
//! exist.
//!
//! ```sh
//! cargo run -p headwater-connectors --example topic_table -- 127.0.0.1:9092
//! ```
//!
//! README.md shows the body of [`run`]; `tests/tests/library.rs` runs it and compares the two.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::util::pretty::print_batches;
use datafusion::error::Result;
use datafusion::prelude::SessionContext;
use headwater_connectors::table::{KafkaTable, register_optimizer};

#[tokio::main]
async fn main() -> Result<()> {
    let brokers = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9092".to_owned());
    print_batches(&run(&brokers).await?)?;
    Ok(())
}

/// Writes two orders, and returns the newest orders that cost more than 0.5.
pub async fn run(brokers: &str) -> Result<Vec<RecordBatch>> {
    let orders = KafkaTable::builder(brokers, "orders")
        .key_column("id", DataType::Int64)
        .value_column("item", DataType::Utf8)
        .value_column("price", DataType::Float64)
        .value_format("JSON")
        .build()
        .await?;
    let ctx = SessionContext::new();
    register_optimizer(&ctx);
    ctx.register_table("orders", Arc::new(orders.clone()))?;

    let insert = "INSERT INTO orders (id, item, price) VALUES (1, 'apple', 0.40), (2, 'pear', 0.55)";
    ctx.sql(insert).await?.collect().await?;
    let newest = "SELECT id, item FROM orders WHERE price > 0.5 ORDER BY \"ROWTIME\" DESC LIMIT 10";
    let rows = ctx.sql(newest).await?.collect().await?;
    println!("{} bad records were left out", orders.progress().snapshot().rejects);
    Ok(rows)
}
