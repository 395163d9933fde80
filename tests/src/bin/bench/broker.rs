//! The embedded broker against a real Kafka: the same client writes and reads the same records, and then writes at a steady rate.

use std::error::Error;
use std::fs;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use headwater_tests::bare;
use headwater_tests::load::{self, Load};
use headwater_tests::scratch::Scratch;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::KafkaResult;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

use crate::embedded::Embedded;
use crate::process;
use crate::table::{Table, Target};

const MEGABYTE: f64 = 1_048_576.0;
const DELIVERY_WAIT_MAX: Duration = Duration::from_secs(60);
/// How often the embedded broker looks for something to compact.
const CHECK: &str = "log.retention.check.interval.ms=1000";
/// Keys of the compacted topic.
const KEYS: u64 = 100_000;

/// What to measure, and where.
#[derive(Args)]
pub struct Arguments {
    /// Address of a real Kafka of one node, HOST:PORT, as `tests/real/kafka up --jit full` starts it
    #[arg(long)]
    bootstrap_server: String,
    /// The process of that Kafka [default: that of tests/real/kafka]
    #[arg(long)]
    kafka_pid: Option<u32>,
    /// Address for the embedded broker, HOST:PORT
    #[arg(long, default_value = "127.0.0.1:29190")]
    embedded_listen: String,
    /// Number of records
    #[arg(long, default_value_t = 5_000_000)]
    records: u64,
    /// Bytes of a record
    #[arg(long, default_value_t = 220)]
    bytes: usize,
    /// Records a second for the latency
    #[arg(long, default_value_t = 10_000)]
    rate: u64,
    /// Seconds for the latency
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How many times both are measured, in turn
    #[arg(long, default_value_t = 1)]
    pairs: usize,
}

/// A broker that is measured.
struct Side<'a> {
    bootstrap: &'a str,
    pid: u32,
}

/// What was measured of a broker once.
struct Measured {
    written_per_second: f64,
    write_cpu_seconds: f64,
    read_per_second: f64,
    read_cpu_seconds: f64,
    p99_ms: f64,
}

/// Measures, and prints the table.
pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let embedded = Embedded::start(&arguments.embedded_listen, folder.path(), &[CHECK])?;
    let kafka_pid = arguments.kafka_pid.map_or_else(kafka_pid, Ok)?;
    let kafka = Side { bootstrap: &arguments.bootstrap_server, pid: kafka_pid };
    let own = Side { bootstrap: &arguments.embedded_listen, pid: embedded.pid() };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..arguments.pairs {
        theirs.push(measure(arguments, &kafka)?);
        ours.push(measure(arguments, &own)?);
    }
    let peak = process::peak_bytes(own.pid)?;
    fill_compacted(arguments, &own)?;
    let compacted_peak = process::peak_bytes(own.pid)?;
    let mut table = table(&ours, &theirs);
    table.add("resident memory at most, MB", 0, vec![peak / MEGABYTE], Some(Target::Below(100.0)));
    let name = "resident memory at most, compaction included, MB";
    table.add(name, 0, vec![compacted_peak / MEGABYTE], Some(Target::Below(100.0)));
    println!("{} records of {} bytes\n{table}", arguments.records, arguments.bytes);
    Ok(())
}

fn measure(arguments: &Arguments, side: &Side<'_>) -> Result<Measured, Box<dyn Error>> {
    let scratch = Scratch::new(side.bootstrap, "bench");
    let topic = scratch.topic("records");
    load::create_topic(side.bootstrap, &topic, 4)?;
    let (write_seconds, write_cpu_seconds) = timed(side, || write(arguments, side, &topic))?;
    let (read_seconds, read_cpu_seconds) = timed(side, || read(arguments, side, &topic))?;
    let records = arguments.records as f64;
    Ok(Measured {
        written_per_second: records / write_seconds,
        write_cpu_seconds,
        read_per_second: records / read_seconds,
        read_cpu_seconds,
        p99_ms: p99_ms(arguments, side, &scratch.topic("steady"))?,
    })
}

/// The seconds of some work, and the CPU seconds of the broker meanwhile.
fn timed(side: &Side<'_>, work: impl FnOnce() -> Result<(), Box<dyn Error>>) -> Result<(f64, f64), Box<dyn Error>> {
    let (begun, before) = (Instant::now(), process::cpu_seconds(side.pid)?);
    work()?;
    Ok((begun.elapsed().as_secs_f64(), process::cpu_seconds(side.pid)? - before))
}

/// Writes the records with idempotence, which waits for all acknowledgements.
fn write(arguments: &Arguments, side: &Side<'_>, topic: &str) -> Result<(), Box<dyn Error>> {
    let mut load = Load::open(side.bootstrap, topic, "none")?;
    let value = vec![b'v'; arguments.bytes];
    for number in 0..arguments.records {
        let key = (number % KEYS).to_be_bytes();
        load.write(&key, &value[key.len()..], i64::try_from(number)?)?;
    }
    load.finish().map(|_| ())
}

fn read(arguments: &Arguments, side: &Side<'_>, topic: &str) -> Result<(), Box<dyn Error>> {
    let counted = bare::read_to_end(side.bootstrap, topic, &[])?;
    match counted.records == arguments.records {
        true => Ok(()),
        false => Err(format!("{} of {} records were read", counted.records, arguments.records).into()),
    }
}

/// Remembers how long each acknowledgement took that counts, in µs.
#[derive(Clone, Default)]
struct Delays(Arc<Mutex<Vec<u64>>>);

impl ClientContext for Delays {}

impl ProducerContext for Delays {
    /// When it was sent, if it counts.
    type DeliveryOpaque = Box<Option<Instant>>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<Option<Instant>>) {
        if let (Ok(_), Some(sent)) = (result, *sent) {
            let delay = u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.0.lock().expect("nobody panicked").push(delay);
        }
    }
}

/// The time within which 99 % of the records of a steady stream are acknowledged, in ms.
fn p99_ms(arguments: &Arguments, side: &Side<'_>, topic: &str) -> Result<f64, Box<dyn Error>> {
    load::create_topic(side.bootstrap, topic, 4)?;
    let delays = Delays::default();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", side.bootstrap).set("enable.idempotence", "true").set("linger.ms", "1");
    let producer: BaseProducer<Delays> = config.create_with_context(delays.clone())?;
    let (value, begun, all) = (vec![b'v'; arguments.bytes], Instant::now(), arguments.rate * arguments.seconds);
    // Those of the first second wait for connections.
    let first = arguments.rate;
    for number in 0..first + all {
        let due = Duration::from_secs_f64(number as f64 / arguments.rate as f64);
        while begun.elapsed() < due {
            producer.poll(Duration::ZERO);
            thread::sleep(Duration::from_micros(100));
        }
        let sent = (number >= first).then(Instant::now);
        let record = BaseRecord::with_opaque_to(topic, Box::new(sent)).key(&[0; 8][..]).payload(&value[8..]);
        let sent: KafkaResult<()> = producer.send(record).map_err(|(error, _)| error);
        sent?;
    }
    producer.flush(DELIVERY_WAIT_MAX)?;
    let mut delays = delays.0.lock().expect("nobody panicked").clone();
    delays.sort_unstable();
    if delays.len() as u64 != all {
        return Err(format!("{} of {all} records were acknowledged", delays.len()).into());
    }
    Ok(delays[delays.len() * 99 / 100] as f64 / 1e3)
}

/// Writes the records to a compacted topic, and waits until most of them have gone.
fn fill_compacted(arguments: &Arguments, side: &Side<'_>) -> Result<(), Box<dyn Error>> {
    let scratch = Scratch::new(side.bootstrap, "bench");
    let topic = scratch.topic("compacted");
    let settings = [("cleanup.policy", "compact"), ("segment.bytes", "52428800")];
    load::create_topic_with(side.bootstrap, &topic, 4, &settings)?;
    write(arguments, side, &topic)?;
    let begun = Instant::now();
    loop {
        let left = bare::read_to_end(side.bootstrap, &topic, &[])?.records;
        if left < arguments.records / 2 {
            return Ok(());
        }
        if begun.elapsed() > DELIVERY_WAIT_MAX {
            return Err(format!("{left} of {} records are left after a minute", arguments.records).into());
        }
        thread::sleep(Duration::from_secs(1));
    }
}

fn table(ours: &[Measured], theirs: &[Measured]) -> Table {
    let mut table = Table::default();
    let of = |some: &[Measured], figure: &dyn Fn(&Measured) -> f64| some.iter().map(figure).collect::<Vec<f64>>();
    type Figure = fn(&Measured) -> f64;
    let figures: [(&str, usize, Figure, Target); 5] = [
        ("written, records/s", 0, |one| one.written_per_second, Target::AtLeast(1.0)),
        ("writing, CPU s of the broker", 2, |one| one.write_cpu_seconds, Target::Below(0.5)),
        ("read, records/s", 0, |one| one.read_per_second, Target::AtLeast(1.0)),
        ("reading, CPU s of the broker", 2, |one| one.read_cpu_seconds, Target::Below(0.5)),
        ("acknowledged at a steady rate, p99 ms", 2, |one| one.p99_ms, Target::Below(1.0)),
    ];
    for (name, digits, figure, target) in figures {
        table.add(&format!("Kafka: {name}"), digits, of(theirs, &figure), None);
        table.add(&format!("embedded: {name}"), digits, of(ours, &figure), None);
        let ratios = ours.iter().zip(theirs).map(|(ours, theirs)| figure(ours) / figure(theirs)).collect();
        table.add(&format!("{name}, ratio to Kafka"), 2, ratios, Some(target));
    }
    table
}

/// The process of the Kafka that `tests/real/kafka` started.
fn kafka_pid() -> Result<u32, Box<dyn Error>> {
    let file = process::parts().join("clusters/plain-1/1.pid");
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}; give --kafka-pid", file.display()))?;
    Ok(text.trim().parse()?)
}
