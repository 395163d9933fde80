//! The baseline copy: the minimum work of any exactly-once query, done with librdkafka and without parsing a record.
//!
//! It reads batches, writes the same bytes and timestamps to the same partitions of another topic, and every second
//! adds the offsets to the transaction and commits it. It is a simple, well-tuned loop on one thread, because it is to
//! be a limit.

use std::error::Error;
use std::time::{Duration, Instant};

use clap::Args;
use headwater_tests::load;
use headwater_tests::scratch::Scratch;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, Producer};

use crate::librdkafka::{Record, Topic};
use crate::reader::Reader;

const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum time for one call about a transaction.
const TRANSACTION_WAIT_MAX: Duration = Duration::from_secs(60);

/// The properties of a well-tuned producer: the largest batches that the broker allows, and space for the records of a
/// second. Delivery reports of successful records would cost a message each; a failure makes the commit fail.
const SETTINGS: [(&str, &str); 8] = [
    ("enable.idempotence", "true"),
    ("linger.ms", "50"),
    ("batch.size", "1000000"),
    ("batch.num.messages", "100000"),
    ("queue.buffering.max.messages", "1000000"),
    ("queue.buffering.max.kbytes", "1048576"),
    ("delivery.report.only.error", "true"),
    ("transaction.timeout.ms", "60000"),
];

/// What to copy, and where.
#[derive(Args)]
pub struct Arguments {
    /// Address of a broker, HOST:PORT
    #[arg(long)]
    bootstrap_server: String,
    /// The topic to read, up to the records that it contains now
    #[arg(long, default_value = "bids")]
    topic: String,
    /// The topic to write to; it must not exist, and is kept. Without it, a topic is created and deleted afterwards
    #[arg(long)]
    to: Option<String>,
    /// Also write the keys, as a query does whose output has the key of its input
    #[arg(long)]
    keep_key: bool,
}

/// Copies the topic, and prints one line: `5000000 records in 7.123 s`.
pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let scratch = Scratch::new(&arguments.bootstrap_server, "bench");
    let to = arguments.to.clone().unwrap_or_else(|| scratch.topic("copy"));
    let started = Instant::now();
    let records = copy(arguments, &to, scratch.name())?;
    println!("{records} records in {:.3} s", started.elapsed().as_secs_f64());
    Ok(())
}

fn copy(arguments: &Arguments, to: &str, id: &str) -> Result<u64, Box<dyn Error>> {
    let mut reader = Reader::open(&arguments.bootstrap_server, &arguments.topic, id)?;
    load::create_topic(&arguments.bootstrap_server, to, reader.partitions)?;
    let producer = producer(&arguments.bootstrap_server, id)?;
    let topic = Topic::of(&producer, to)?;
    let mut records = 0;
    let mut more = true;
    while more {
        producer.begin_transaction()?;
        let begun = Instant::now();
        while more && begun.elapsed() < COMMIT_INTERVAL {
            more = reader.next_batch(|record| {
                records += 1;
                topic.produce(&Record { key: record.key.filter(|_| arguments.keep_key), ..*record })
            })?;
        }
        commit(&producer, &reader)?;
    }
    Ok(records)
}

fn producer(bootstrap: &str, id: &str) -> Result<BaseProducer, Box<dyn Error>> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("transactional.id", id);
    for (name, value) in SETTINGS {
        config.set(name, value);
    }
    let producer: BaseProducer = config.create()?;
    producer.init_transactions(TRANSACTION_WAIT_MAX)?;
    Ok(producer)
}

fn commit(producer: &BaseProducer, reader: &Reader) -> Result<(), Box<dyn Error>> {
    let positions = reader.positions()?;
    if positions.count() > 0 {
        producer.send_offsets_to_transaction(&positions, &reader.group()?, TRANSACTION_WAIT_MAX)?;
    }
    Ok(producer.commit_transaction(TRANSACTION_WAIT_MAX)?)
}
