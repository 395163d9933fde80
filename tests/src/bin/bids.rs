//! Fills a topic with Nexmark-like bids (and another one with their auctions), for benchmarks and for trying things
//! out.
//!
//! ```text
//! cargo run --release -p headwater-tests --bin bids -- --bootstrap-server 127.0.0.1:29110 --records 5000000
//! ```

use std::error::Error;
use std::time::Instant;

use clap::Parser;
use headwater_tests::load::{self, Load};
use headwater_tests::nexmark::{Auctions, Bids, auctions_for};

/// Fill topics with Nexmark-like bids and auctions: the same records for the same seed.
#[derive(Parser)]
struct Arguments {
    /// Address of a broker, HOST:PORT
    #[arg(long)]
    bootstrap_server: String,
    /// Topic for the bids; it must not exist
    #[arg(long, default_value = "bids")]
    topic: String,
    /// Topic for the auctions of the bids; without it, none are written
    #[arg(long)]
    auctions_topic: Option<String>,
    /// Number of bids; there are three auctions for every fifty
    #[arg(long, default_value_t = 5_000_000)]
    records: u64,
    /// Number of partitions of each topic
    #[arg(long, default_value_t = 4)]
    partitions: i32,
    /// Compression: none, gzip, snappy, lz4 or zstd
    #[arg(long, default_value = "none")]
    compression: String,
    /// Seed of the records
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    write_bids(&arguments)?;
    match &arguments.auctions_topic {
        Some(topic) => write_auctions(&arguments, topic),
        None => Ok(()),
    }
}

fn write_bids(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let bids = Bids::new(arguments.seed).take(usize::try_from(arguments.records)?);
    write(arguments, &arguments.topic, bids, |bid, json| {
        bid.write_json(json);
        (bid.auction, bid.date_time_ms)
    })
}

fn write_auctions(arguments: &Arguments, topic: &str) -> Result<(), Box<dyn Error>> {
    let auctions = Auctions::new(arguments.seed).take(usize::try_from(auctions_for(arguments.records))?);
    write(arguments, topic, auctions, |auction, json| {
        auction.write_json(json);
        (auction.id, auction.date_time_ms)
    })
}

/// Creates the topic and writes every record; `encode` writes the value and returns the key and the timestamp.
fn write<T>(
    arguments: &Arguments,
    topic: &str,
    records: impl Iterator<Item = T>,
    encode: impl Fn(&T, &mut Vec<u8>) -> (u64, i64),
) -> Result<(), Box<dyn Error>> {
    load::create_topic(&arguments.bootstrap_server, topic, arguments.partitions)?;
    let mut load = Load::open(&arguments.bootstrap_server, topic, &arguments.compression)?;
    let started = Instant::now();
    let (mut json, mut bytes) = (Vec::new(), 0);
    for record in records {
        json.clear();
        let (key, timestamp_ms) = encode(&record, &mut json);
        bytes += json.len();
        load.write(key.to_string().as_bytes(), &json, timestamp_ms)?;
    }
    let written = load.finish()?;
    let seconds = started.elapsed().as_secs_f64();
    let mean = bytes as f64 / written.max(1) as f64;
    println!(
        "{topic}: {written} records of {mean:.1} bytes in {seconds:.1} s, {:.0} records/s",
        written as f64 / seconds
    );
    Ok(())
}
