//! The transport contract over memory, the embedded broker and a real cluster.
//!
//! The real cluster is the one that `HEADWATER_TEST_KAFKA=host:port` names; without it that test says that it was
//! skipped. Topic names carry a random part, so that runs can follow each other on one cluster.

use std::collections::BTreeMap;

use headwater_connectors::record::TopicPartition;
use headwater_connectors::transport::kafka::KafkaTransport;
use headwater_connectors::transport::memory::MemoryTransport;
use headwater_tests::transport_contract::{Subject, check_all};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

#[test]
fn memory() {
    let transport = MemoryTransport::new();
    transport.set_now_ms(1_700_000_000_000);
    let delete_records = |partition: &TopicPartition, offset| transport.delete_records(partition, offset).unwrap();
    check_all(&Subject { transport: &transport, prefix: "contract".into(), delete_records: &delete_records });
}

#[test]
fn real_kafka() {
    match std::env::var("HEADWATER_TEST_KAFKA") {
        Ok(address) => check_kafka(&address),
        Err(_) => println!("skipped: no broker (set HEADWATER_TEST_KAFKA=host:port)"),
    }
}

fn check_kafka(address: &str) {
    let properties = BTreeMap::from([("bootstrap.servers".to_owned(), address.to_owned())]);
    let transport = KafkaTransport::connect(properties).unwrap();
    let delete_records = |partition: &TopicPartition, offset| delete_records(address, partition, offset);
    let prefix = format!("contract-{:08x}", rand::random::<u32>());
    check_all(&Subject { transport: &transport, prefix, delete_records: &delete_records });
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
