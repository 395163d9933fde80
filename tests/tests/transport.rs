//! The transport contract for memory, the embedded broker and a real cluster.
//!
//! The real cluster is named by `HEADWATER_TEST_KAFKA=host:port`. Its test is ignored by default, and run with
//! `--ignored` (`.ci/run kafka cluster`). Topic names have a random part, so that several runs can use one
//! cluster.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::BinaryArray;
use headwater_connectors::transport::kafka::KafkaTransport;
use headwater_connectors::transport::memory::MemoryTransport;
use headwater_connectors::transport::{
    Isolation, Membership, NewTopic, ReadPlan, ReadRange, Sink, SinkOptions, SourceEvent, TopicIds, Transport,
    TransportErrorKind,
};
use headwater_formats::record::{OutBatch, TopicPartition, Wanted};
use headwater_tests::transport_contract::{EndTransaction, Subject, check_all};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

#[test]
fn memory() {
    let transport = MemoryTransport::new();
    transport.set_now_ms(1_700_000_000_000);
    let delete_records = |partition: &TopicPartition, offset| transport.delete_records(partition, offset).unwrap();
    let compact = |partition: &TopicPartition| transport.compact(partition).unwrap();
    let add_partitions = |topic: &str, count| transport.add_partitions(topic, count).unwrap();
    let doomed = transport.process("doomed");
    check_all(&Subject {
        transport: &transport,
        prefix: "contract".into(),
        delete_records: &delete_records,
        add_partitions: &add_partitions,
        compact: Some(&compact),
        doomed: &doomed,
        doom: &|| doomed.expire_members(),
        // The offsets of an open transaction are never visible: a commit is one step.
        pend_offset: None,
    });
}

#[test]
fn embedded_broker() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let broker = runtime.block_on(headwater_broker::Broker::start(headwater_broker::Config::in_memory())).unwrap();
    check_kafka(&broker.address().to_string(), None);
    runtime.block_on(broker.shutdown());
}

#[test]
#[ignore = "needs a real Kafka: HEADWATER_TEST_KAFKA=host:port"]
fn real_kafka() {
    let address = std::env::var("HEADWATER_TEST_KAFKA").expect("HEADWATER_TEST_KAFKA=host:port names a real Kafka");
    check_kafka(&address, Some(await_compaction));
}

fn check_kafka(address: &str, compact: Option<fn(&KafkaTransport, &TopicPartition)>) {
    let transport = connect(address, &[]);
    // The shortest times that brokers allow by default.
    let doomed = connect(address, &[("max.poll.interval.ms", "6000"), ("session.timeout.ms", "6000")]);
    let delete_records = |partition: &TopicPartition, offset| delete_records(address, partition, offset);
    let compact = compact.map(|compact| {
        let transport = &transport;
        move |partition: &TopicPartition| compact(transport, partition)
    });
    let add_partitions = |topic: &str, count| add_partitions(address, topic, count);
    let own = address.to_owned();
    let pend_offset =
        move |group: &str, partition: &TopicPartition, offset| pend_offset(&own, group, partition, offset);
    let prefix = format!("contract-{:08x}", rand::random::<u32>());
    let subject = Subject {
        transport: &transport,
        prefix: prefix.clone(),
        delete_records: &delete_records,
        add_partitions: &add_partitions,
        compact: compact.as_ref().map(|compact| compact as &(dyn Fn(&TopicPartition) + Sync)),
        doomed: &doomed,
        doom: &|| {},
        pend_offset: Some(&pend_offset),
    };
    // Most of the time goes by with waiting for the broker.
    std::thread::scope(|scope| {
        scope.spawn(|| check_all(&subject));
        scope.spawn(|| check_slow_transaction(address, &prefix));
        scope.spawn(|| check_compressed(address, &prefix));
    });
}

fn connect(address: &str, more: &[(&str, &str)]) -> KafkaTransport {
    let properties = [("bootstrap.servers", address)].into_iter().chain(more.iter().copied());
    let properties = properties.map(|(n, v)| (n.to_string(), v.to_string()));
    KafkaTransport::connect(properties.collect()).unwrap()
}

/// Opens a transaction with a separate client, up to the point before the commit.
fn pend_offset(address: &str, group: &str, partition: &TopicPartition, offset: i64) -> EndTransaction {
    let limit = Duration::from_secs(30);
    let create = |name: &str, value: &str| {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", address).set(name, value).clone()
    };
    let producer: BaseProducer = create("transactional.id", &format!("{group}-pending")).create().unwrap();
    producer.init_transactions(limit).unwrap();
    producer.begin_transaction().unwrap();
    let consumer: BaseConsumer = create("group.id", group).create().unwrap();
    let places = [(partition.topic.to_string(), partition.partition, Offset::Offset(offset))];
    let list: TopicPartitionList = places.into_iter().collect();
    producer.send_offsets_to_transaction(&list, &consumer.group_metadata().unwrap(), limit).unwrap();
    Box::new(move |commit| match commit {
        true => producer.commit_transaction(limit).unwrap(),
        false => producer.abort_transaction(limit).unwrap(),
    })
}

/// A transaction that the broker aborted no longer belongs to the sink, and neither does its transactional id: another
/// sink continues after the last commit.
fn check_slow_transaction(address: &str, prefix: &str) {
    println!("a transaction that takes too long");
    let transport = connect(address, &[("transaction.timeout.ms", "1000")]);
    let name = format!("{prefix}-slow");
    let topic = NewTopic { name: name.clone(), partitions: 1, replicas: None, settings: BTreeMap::new() };
    transport.admin().create_topic(&topic).unwrap();
    let partition = TopicPartition::new(name.as_str(), 0);
    let (offsets, limit) = (BTreeMap::from([(partition.clone(), 3.into())]), Duration::from_secs(60));
    let open =
        || transport.open_sink(SinkOptions { transactional_id: Some(name.clone()), ..SinkOptions::default() }).unwrap();
    let write = |sink: &mut dyn Sink| {
        sink.begin().unwrap();
        sink.write(&one_record(&partition.topic, b"slow")).unwrap();
        sink.flush(limit).unwrap();
    };
    let mut slow = open();
    write(&mut *slow);
    let begun = Instant::now();
    // The record, then the marker written by the broker.
    while transport.admin().watermarks(&name, Isolation::ReadCommitted).unwrap()[0].end < 2 {
        assert!(begun.elapsed() < limit, "the broker aborts the transaction");
        std::thread::sleep(Duration::from_millis(50));
    }
    let late = slow.commit(&Membership::outside(&name), &offsets, limit).unwrap_err();
    assert_eq!(late.kind, TransportErrorKind::Fenced, "{late}");
    assert_eq!(slow.abort(limit).unwrap_err().kind, TransportErrorKind::Fenced);
    let mut next = open();
    write(&mut *next);
    next.commit(&Membership::outside(&name), &offsets, limit).unwrap();
    let committed = transport.admin().committed_offsets(&name, std::slice::from_ref(&partition)).unwrap();
    assert_eq!(committed[&partition], Some(3.into()));
}

/// A topic limits batches as they arrive. Records that do not compress are put into batches that it accepts.
fn check_compressed(address: &str, prefix: &str) {
    println!("compressed records for a topic with small batches");
    let name = format!("{prefix}-compressed");
    let settings = BTreeMap::from([("max.message.bytes".to_owned(), "20000".to_owned())]);
    let topic = NewTopic { name: name.clone(), partitions: 1, replicas: None, settings };
    connect(address, &[]).admin().create_topic(&topic).unwrap();
    let values: Vec<Vec<u8>> = (0..500).map(|_| (0..320).map(|_| rand::random()).collect()).collect();
    let values: BinaryArray = values.iter().map(Some).collect();
    let records = OutBatch { keys: values.clone(), values, ..one_record(&name.as_str().into(), b"") };
    for codec in ["gzip", "snappy", "lz4", "zstd"] {
        let transport = connect(address, &[("compression.type", codec)]);
        let limits = transport.admin().record_limits(&name).unwrap();
        assert_eq!(limits.bytes_max, None, "a record may become smaller when compressed");
        let batch_bytes_max = limits.batch_bytes_max;
        let transactional_id = Some(name.clone());
        let mut sink =
            transport.open_sink(SinkOptions { transactional_id, batch_bytes_max, ..SinkOptions::default() }).unwrap();
        sink.begin().unwrap();
        sink.write(&records).and_then(|()| sink.flush(Duration::from_secs(30))).expect(codec);
        sink.commit(&Membership::outside(&name), &BTreeMap::new(), Duration::from_secs(30)).unwrap();
    }
}

fn one_record(topic: &Arc<str>, payload: &[u8]) -> OutBatch {
    let column = BinaryArray::from_opt_vec(vec![Some(payload)]);
    OutBatch {
        topic: Arc::clone(topic),
        partitions: None,
        keys: column.clone(),
        values: column,
        timestamps_ms: None,
        headers: None,
    }
}

/// Waits until the log cleaner has run, which it does every 15 seconds by default. Only closed segments are cleaned, so
/// one more record closes the open segment.
fn await_compaction(transport: &KafkaTransport, partition: &TopicPartition) {
    let begun = Instant::now();
    std::thread::sleep(Duration::from_millis(200));
    let mut sink = transport.open_sink(SinkOptions::default()).unwrap();
    sink.write(&one_record(&partition.topic, b"last")).unwrap();
    sink.flush(Duration::from_secs(10)).unwrap();
    while first_offset(transport, partition) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "the log cleaner has not run");
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// The first offset of a partition that still has a record.
fn first_offset(transport: &KafkaTransport, partition: &TopicPartition) -> i64 {
    let ranges = vec![ReadRange { partition: partition.clone(), start: 0, end: Some(100) }];
    let (wanted, isolation) = (Wanted::NOTHING, Isolation::ReadCommitted);
    let plan = ReadPlan { ranges, wanted, isolation, batch_records_max: 1, ids: TopicIds::new() };
    let mut source = transport.open_sources(vec![plan]).unwrap().pop().unwrap();
    loop {
        match source.poll(Duration::from_secs(1)).unwrap() {
            SourceEvent::Batch(batch) => return batch.offsets[0],
            SourceEvent::Finished(_) => return 100,
            SourceEvent::Lost(_) | SourceEvent::Passed(..) | SourceEvent::Idle => {}
        }
    }
}

/// Adds partitions as an operator would, with a separate client.
fn add_partitions(address: &str, topic: &str, count: i32) {
    let admin: AdminClient<_> = ClientConfig::new().set("bootstrap.servers", address).create().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let wanted = NewPartitions::new(topic, usize::try_from(count).unwrap());
    runtime.block_on(admin.create_partitions([&wanted], &AdminOptions::new())).unwrap()[0].as_ref().unwrap();
}

/// Deletes records as an operator would, with a separate client.
fn delete_records(address: &str, partition: &TopicPartition, offset: i64) {
    let admin: AdminClient<_> = ClientConfig::new().set("bootstrap.servers", address).create().unwrap();
    let places = [(partition.topic.to_string(), partition.partition, Offset::Offset(offset))];
    let list: TopicPartitionList = places.into_iter().collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let deleted = runtime.block_on(admin.delete_records(&list, &AdminOptions::new())).unwrap();
    deleted.elements()[0].error().unwrap();
}
