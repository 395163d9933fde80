//! How fast a topic is read: `read_topic ADDRESS TOPIC fill RECORDS | bare | copy | nothing | first`.
//!
//! `fill` makes the topic with 4 partitions and writes records of 216 bytes; `bare` reads it through librdkafka and
//! only counts, `copy` into columns of keys and values, `nothing` without copying, `first` until the first batch.
//! Each prints records per second, CPU seconds per million records and the peak of resident memory.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use arrow::array::BinaryArray;
use headwater_connectors::record::{OutBatch, TopicPartition, Wanted};
use headwater_connectors::transport::kafka::KafkaTransport;
use headwater_connectors::transport::{
    Isolation, NewTopic, ReadPlan, ReadRange, SinkOptions, Source, SourceEvent, Transport,
};

const PARTITIONS: i32 = 4;
const VALUE_BYTES: usize = 212;
const BATCH_RECORDS: usize = 8_192;
const SETTLED: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [address, topic, command, rest @ ..] = args.as_slice() else {
        return Err("usage: read_topic ADDRESS TOPIC fill RECORDS | bare | copy | nothing | first".into());
    };
    let begun = Instant::now();
    let cluster = KafkaTransport::connect(BTreeMap::from([("bootstrap.servers".into(), address.clone())]))?;
    println!("connected after {:?}", begun.elapsed());
    let work = Instant::now();
    let cpu = cpu_seconds()?;
    let keys_and_values = Wanted { keys: true, values: true, headers: false };
    let records = match command.as_str() {
        "fill" => fill(&cluster, topic, rest.first().ok_or("how many records?")?.parse()?)?,
        "bare" => cluster.count_bare(&ranges(&cluster, topic)?)?.records,
        "copy" => read(&cluster, topic, keys_and_values, u64::MAX)?,
        "nothing" => read(&cluster, topic, Wanted::NOTHING, u64::MAX)?,
        "first" => read(&cluster, topic, keys_and_values, 1)?,
        other => return Err(format!("no such command: {other}").into()),
    };
    let (seconds, cpu) = (work.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
    println!("{command}: {records} records in {seconds:.3} s, {:.0}/s", records as f64 / seconds);
    println!("CPU {:.3} s per million records, peak {}", cpu * 1e6 / records as f64, peak_memory()?);
    println!("all after {:?}", begun.elapsed());
    Ok(())
}

fn fill(cluster: &KafkaTransport, topic: &str, records: usize) -> Result<u64, Box<dyn Error>> {
    let settings = BTreeMap::from([("retention.ms".into(), "-1".into())]);
    let new = NewTopic { name: topic.into(), partitions: PARTITIONS, replicas: None, settings };
    cluster.admin().create_topic(&new)?;
    let mut sink = cluster.open_sink(SinkOptions::default())?;
    let value = vec![b'x'; VALUE_BYTES];
    for from in (0..records).step_by(BATCH_RECORDS) {
        let rows = from..records.min(from + BATCH_RECORDS);
        let keys: Vec<_> = rows.clone().map(|row| (row % 10_000).to_string()).collect();
        sink.write(&OutBatch {
            topic: topic.into(),
            partitions: None,
            keys: keys.iter().map(|key| Some(key.as_bytes())).collect::<BinaryArray>(),
            values: rows.map(|_| Some(value.as_slice())).collect::<BinaryArray>(),
            timestamps_ms: None,
            headers: None,
        })?;
    }
    sink.flush(SETTLED)?;
    Ok(records as u64)
}

fn ranges(cluster: &KafkaTransport, topic: &str) -> Result<Vec<ReadRange>, Box<dyn Error>> {
    let ends = cluster.admin().watermarks(topic, Isolation::ReadCommitted)?;
    let range = |(partition, ends): (i32, _)| {
        let headwater_connectors::transport::Watermarks { start, end } = ends;
        ReadRange { partition: TopicPartition::new(topic, partition), start, end: Some(end) }
    };
    Ok((0..).zip(ends).map(range).collect())
}

/// Reads in one thread until every range is finished or `enough` records are read.
fn read(cluster: &KafkaTransport, topic: &str, wanted: Wanted, enough: u64) -> Result<u64, Box<dyn Error>> {
    let ranges = ranges(cluster, topic)?;
    let mut open = ranges.len();
    let isolation = Isolation::ReadCommitted;
    let plan = ReadPlan { ranges, wanted, isolation, batch_records_max: BATCH_RECORDS };
    let mut source = cluster.open_sources(vec![plan])?.pop().ok_or("no source")?;
    let records = count(&mut *source, &mut open, enough)?;
    let dropping = Instant::now();
    drop(source);
    println!("the source was dropped in {:?}", dropping.elapsed());
    Ok(records)
}

fn count(source: &mut dyn Source, open: &mut usize, enough: u64) -> Result<u64, Box<dyn Error>> {
    let (mut records, mut batches, begun) = (0, 0_u64, Instant::now());
    while *open > 0 && records < enough {
        match source.poll(Duration::from_secs(1))? {
            SourceEvent::Batch(batch) => {
                if batches == 0 {
                    println!("first batch of {} after {:?}", batch.len(), begun.elapsed());
                }
                (records, batches) = (records + batch.len() as u64, batches + 1);
            }
            SourceEvent::Finished(partition) => {
                *open -= 1;
                println!("{partition} finished after {:?}", begun.elapsed());
            }
            SourceEvent::Idle => println!("nothing for a second"),
        }
    }
    println!("{batches} batches");
    Ok(records)
}

/// CPU time of this process, in seconds: user and system, in the kernel's hundredths.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(')').ok_or("no stat")?.1.split_whitespace();
    let ticks: Result<Vec<f64>, _> = fields.skip(11).take(2).map(str::parse).collect();
    Ok(ticks?.iter().sum::<f64>() / 100.0)
}

fn peak_memory() -> Result<String, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no peak")?;
    Ok(line.trim().to_owned())
}
