//! The transport contract over memory, the embedded broker and a real cluster.
//!
//! The real cluster is the one that `HEADWATER_TEST_KAFKA=host:port` names; without it that test says that it was
//! skipped. Topic names carry a random part, so that runs can follow each other on one cluster.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use arrow::array::BinaryArray;
use headwater_connectors::record::{OutBatch, TopicPartition, Wanted};
use headwater_connectors::transport::kafka::KafkaTransport;
use headwater_connectors::transport::memory::MemoryTransport;
use headwater_connectors::transport::{Isolation, ReadPlan, ReadRange, SinkOptions, SourceEvent, Transport};
use headwater_tests::transport_contract::{Subject, check_all};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

#[test]
fn memory() {
    let transport = MemoryTransport::new();
    transport.set_now_ms(1_700_000_000_000);
    let delete_records = |partition: &TopicPartition, offset| transport.delete_records(partition, offset).unwrap();
    let compact = |partition: &TopicPartition| transport.compact(partition).is_ok();
    let prefix = "contract".into();
    check_all(&Subject { transport: &transport, prefix, delete_records: &delete_records, compact: &compact });
}

#[test]
fn embedded_broker() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let broker = runtime.block_on(headwater_broker::start(headwater_broker::Config::in_memory())).unwrap();
    check_kafka(&broker.address().to_string(), |_, _| false);
    runtime.block_on(broker.shutdown());
}

#[test]
fn real_kafka() {
    match std::env::var("HEADWATER_TEST_KAFKA") {
        Ok(address) => check_kafka(&address, await_compaction),
        Err(_) => println!("skipped: no broker (set HEADWATER_TEST_KAFKA=host:port)"),
    }
}

fn check_kafka(address: &str, compact: fn(&KafkaTransport, &TopicPartition) -> bool) {
    let properties = BTreeMap::from([("bootstrap.servers".to_owned(), address.to_owned())]);
    let transport = KafkaTransport::connect(properties).unwrap();
    let delete_records = |partition: &TopicPartition, offset| delete_records(address, partition, offset);
    let compact = |partition: &TopicPartition| compact(&transport, partition);
    let prefix = format!("contract-{:08x}", rand::random::<u32>());
    check_all(&Subject { transport: &transport, prefix, delete_records: &delete_records, compact: &compact });
}

/// Waits until the log cleaner has come by, which it does every 15 seconds unless told otherwise. Only closed segments
/// are cleaned, so one more record closes the one that is open.
fn await_compaction(transport: &KafkaTransport, partition: &TopicPartition) -> bool {
    let begun = Instant::now();
    std::thread::sleep(Duration::from_millis(200));
    let mut sink = transport.open_sink(SinkOptions::default()).unwrap();
    let last = BinaryArray::from_opt_vec(vec![Some(b"last")]);
    sink.write(&OutBatch {
        topic: partition.topic.clone(),
        partitions: None,
        keys: last.clone(),
        values: last,
        timestamps_ms: None,
        headers: None,
    })
    .unwrap();
    sink.flush(Duration::from_secs(10)).unwrap();
    while begun.elapsed() < Duration::from_secs(60) {
        if first_offset(transport, partition) > 0 {
            return true;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    false
}

/// The first offset of a partition that still has a record.
fn first_offset(transport: &KafkaTransport, partition: &TopicPartition) -> i64 {
    let ranges = vec![ReadRange { partition: partition.clone(), start: 0, end: Some(100) }];
    let (wanted, isolation) = (Wanted::NOTHING, Isolation::ReadCommitted);
    let plan = ReadPlan { ranges, wanted, isolation, batch_records_max: 1 };
    let mut source = transport.open_sources(vec![plan]).unwrap().pop().unwrap();
    loop {
        match source.poll(Duration::from_secs(1)).unwrap() {
            SourceEvent::Batch(batch) => return batch.offsets[0],
            SourceEvent::Finished(_) => return 100,
            SourceEvent::Idle => {}
        }
    }
}

/// Deletes records as an operator would, with a client of its own.
fn delete_records(address: &str, partition: &TopicPartition, offset: i64) {
    let admin: AdminClient<_> = ClientConfig::new().set("bootstrap.servers", address).create().unwrap();
    let places = [(partition.topic.to_string(), partition.partition, Offset::Offset(offset))];
    let list: TopicPartitionList = places.into_iter().collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let deleted = runtime.block_on(admin.delete_records(&list, &AdminOptions::new())).unwrap();
    deleted.elements()[0].error().unwrap();
}
