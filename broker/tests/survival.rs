//! What survives when a broker ends, by a shutdown or by kill -9, and how a second process finds the broker of a
//! folder.
//!
//! Apart because these start other processes: `lone_broker`, which is a broker and nothing else.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use headwater_broker::{Broker, Config, Joined, StartError, running_broker};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::config::{FromClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The program that is a broker.
const LONE_BROKER: &str = env!("CARGO_BIN_EXE_lone_broker");
const PATIENCE: Duration = Duration::from_secs(60);

/// A broker in another process, killed when this is dropped.
struct Process {
    child: Child,
}

impl Process {
    fn start(folder: &Path, listen: SocketAddr) -> Process {
        Process::start_by(Command::new(LONE_BROKER), folder, listen)
    }

    /// A process with this limit of open files and sockets.
    fn start_with_open_files(limit: usize, folder: &Path, listen: SocketAddr) -> Process {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("ulimit -n {limit} && exec \"$0\" \"$@\"")).arg(LONE_BROKER);
        Process::start_by(shell, folder, listen)
    }

    fn start_by(mut command: Command, folder: &Path, listen: SocketAddr) -> Process {
        command.arg(folder).arg(listen.to_string());
        let child = command.stdout(Stdio::null()).spawn().expect("starts");
        let begin = Instant::now();
        while running_broker(folder) != Some(listen) {
            assert!(begin.elapsed() < PATIENCE, "the other process did not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        Process { child }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().expect("kills"); // SIGKILL
        self.child.wait().expect("ends");
    }
}

/// A loopback port below the ephemeral ones, so that no client is assigned it by chance.
///
/// Each port is returned once: tests run in parallel, and a port stays free until its broker has started.
fn free_address() -> SocketAddr {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 1_000) as u16 * 10;
    let ports = std::iter::repeat_with(|| first + GIVEN.fetch_add(1, Ordering::Relaxed)).take(1_000);
    let free = ports.into_iter().find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    SocketAddr::from(([127, 0, 0, 1], free.expect("a free port")))
}

fn client_config(address: SocketAddr) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address.to_string());
    config.set("reconnect.backoff.max.ms", "100").set("log_level", "0");
    config
}

fn consumer(address: SocketAddr, group: &str) -> BaseConsumer {
    let mut config = client_config(address);
    config.set("group.id", group).set("auto.offset.reset", "earliest").set("enable.auto.commit", "false");
    config.set("enable.partition.eof", "true");
    config.create().expect("a consumer")
}

/// All values of a partition.
fn read_all(address: SocketAddr, topic: &str) -> Vec<String> {
    let consumer = consumer(address, "reader");
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, 0, Offset::Beginning).expect("adds");
    consumer.assign(&assignment).expect("assigns");
    let begin = Instant::now();
    let mut values = Vec::new();
    loop {
        assert!(begin.elapsed() < PATIENCE, "reading takes too long");
        match consumer.poll(Duration::from_secs(1)) {
            Some(Ok(message)) => values.push(String::from_utf8_lossy(message.payload().expect("a value")).into_owned()),
            Some(Err(KafkaError::PartitionEOF(_))) => return values,
            Some(Err(error)) => panic!("{error}"),
            None => {}
        }
    }
}

fn produce(address: SocketAddr, topic: &str, values: impl Iterator<Item = String>) {
    let mut config = client_config(address);
    let producer: BaseProducer = config.set("enable.idempotence", "true").create().expect("a producer");
    for value in values {
        send(&producer, topic, &value);
    }
    producer.flush(PATIENCE).expect("delivers");
}

fn send(producer: &BaseProducer, topic: &str, value: &str) {
    let mut record = BaseRecord::<(), str>::to(topic).payload(value).partition(0);
    while let Err((error, back)) = producer.send(record) {
        assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::QueueFull), "{error}");
        producer.poll(Duration::from_millis(10));
        record = back;
    }
    producer.poll(Duration::ZERO);
}

fn start_in(runtime: &Runtime, folder: &Path) -> Broker {
    runtime.block_on(Broker::start(Config::in_folder(folder))).expect("starts")
}

/// Goal: a restart loses nothing. Method: create topics, settings, partitions, records, a committed offset and a
/// transactional id; shut the broker down and start another one.
#[test]
fn a_restart_keeps_everything() {
    let (runtime, folder) = (Runtime::new().expect("a runtime"), TempDir::new().expect("a folder"));
    let broker = start_in(&runtime, folder.path());
    let admin = AdminClient::from_config(&client_config(broker.address())).expect("an admin");
    let topic = NewTopic::new("kept", 2, TopicReplication::Fixed(1)).set("segment.bytes", "20000");
    let gone = NewTopic::new("gone", 1, TopicReplication::Fixed(1));
    runtime.block_on(admin.create_topics([&topic, &gone], &AdminOptions::new())).expect("creates");
    runtime.block_on(admin.delete_topics(&["gone"], &AdminOptions::new())).expect("deletes");
    let altered = AlterConfig::new(ResourceSpecifier::Topic("kept")).set("retention.ms", "5000");
    runtime.block_on(admin.alter_configs([&altered], &AdminOptions::new())).expect("alters");
    let values: Vec<String> = (0..5_000).map(|at| format!("value {at}")).collect();
    produce(broker.address(), "kept", values.iter().cloned());
    commit(broker.address(), 1_234);
    let first = transactional_producer_id(broker.address());
    runtime.block_on(broker.shutdown());
    assert_eq!(running_broker(folder.path()), None);

    let broker = start_in(&runtime, folder.path());
    assert_eq!(read_all(broker.address(), "kept"), values);
    let metadata = consumer(broker.address(), "g").fetch_metadata(None, PATIENCE).expect("metadata");
    let topics: Vec<_> = metadata.topics().iter().map(|topic| (topic.name(), topic.partitions().len())).collect();
    assert_eq!(topics, [("kept", 2)]);
    let admin = AdminClient::from_config(&client_config(broker.address())).expect("an admin");
    let described = admin.describe_configs(&[ResourceSpecifier::Topic("kept")], &AdminOptions::new());
    let described = runtime.block_on(described).expect("describes").remove(0).expect("is there");
    assert_eq!(described.get("retention.ms").and_then(|entry| entry.value.clone()).as_deref(), Some("5000"));
    assert_eq!(committed(broker.address()), Offset::Offset(1_234));
    assert_ne!(transactional_producer_id(broker.address()), first);
    runtime.block_on(broker.shutdown());
}

fn commit(address: SocketAddr, offset: i64) {
    let consumer = consumer(address, "g");
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset("kept", 0, Offset::Offset(offset)).expect("adds");
    consumer.commit(&offsets, CommitMode::Sync).expect("commits");
}

fn committed(address: SocketAddr) -> Offset {
    let consumer = consumer(address, "g");
    let mut asked = TopicPartitionList::new();
    asked.add_partition("kept", 0);
    let found = consumer.committed_offsets(asked, PATIENCE).expect("fetches");
    found.find_partition("kept", 0).expect("is there").offset()
}

/// Commits a record with the transactional id `t`, and returns the end of the partition afterwards.
fn transactional_producer_id(address: SocketAddr) -> i64 {
    let mut config = client_config(address);
    let producer: BaseProducer = config.set("transactional.id", "t").create().expect("a producer");
    producer.init_transactions(PATIENCE).expect("initializes");
    producer.begin_transaction().expect("begins");
    producer
        .send(BaseRecord::<(), str>::to("kept").payload("x").partition(1))
        .map_err(|(error, _)| error)
        .expect("sends");
    producer.commit_transaction(PATIENCE).expect("commits");
    consumer(address, "g").fetch_watermarks("kept", 1, PATIENCE).expect("watermarks").1
}

#[test]
fn a_folder_has_one_process_and_the_second_finds_it() {
    let (runtime, folder) = (Runtime::new().expect("a runtime"), TempDir::new().expect("a folder"));
    let address = free_address();
    let process = Process::start(folder.path(), address);
    match runtime.block_on(Broker::start(Config::in_folder(folder.path()))) {
        Err(error @ StartError::Locked { .. }) => {
            let text = error.to_string();
            assert!(
                text.contains(&folder.path().display().to_string()) && text.contains(&address.to_string()),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    }
    drop(process);
    assert_eq!(running_broker(folder.path()), None, "an address without a lock is old");
    let broker = start_in(&runtime, folder.path());
    assert_eq!(running_broker(folder.path()), Some(broker.address()));
    drop(broker);
    assert_eq!(running_broker(folder.path()), None);
}

/// Goal: a process that joined a broker finds the next broker of the folder, wherever that one listens. Method: start
/// brokers on different addresses; each also answers on all earlier ones. Once no process is registered, none of those
/// answers.
#[test]
fn the_next_broker_is_found_where_the_last_one_was_joined() {
    let (runtime, folder) = (Runtime::new().expect("a runtime"), tempfile::tempdir().expect("a folder"));
    let config = |listen| Config { listen, ..Config::in_folder(folder.path()) };
    let run = |listen| runtime.block_on(Broker::start(config(listen))).expect("starts");
    let end = |broker: Broker| runtime.block_on(broker.shutdown());
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    let first = run(any);
    let mut expected = vec![first.address()];
    produce(first.address(), "t", (0..3).map(|n| n.to_string()));
    let joined = Joined::join(folder.path()).expect("joins");
    end(first);
    for _ in 0..2 {
        let next = run(free_address());
        expected.push(next.address());
        for address in &expected {
            assert_eq!(read_all(*address, "t"), ["0", "1", "2"], "{address} of {expected:?}");
        }
        end(next);
    }
    let latest = run(any);
    assert_eq!(Some(&latest.address()), expected.last());
    end(latest);
    drop(joined);
    let alone = run(free_address());
    assert!(expected.iter().all(|address| TcpStream::connect(address).is_err()));
    end(alone);
}

#[test]
fn an_address_that_is_taken_is_named() {
    let runtime = Runtime::new().expect("a runtime");
    let taken = TcpListener::bind("127.0.0.1:0").expect("binds");
    let listen = taken.local_addr().expect("an address");
    let error = runtime.block_on(Broker::start(Config { listen, ..Config::in_memory() })).expect_err("is taken");
    assert!(error.to_string().contains(&listen.to_string()), "{error}");
}

/// Goal: each record of an idempotent producer is stored once and in order, although the broker is killed. Method: kill
/// the broker several times with SIGKILL while a producer writes, restart it on the same port, and read everything
/// back.
#[test]
fn a_killed_broker_loses_nothing_and_repeats_nothing() {
    const RECORDS: usize = 300_000;
    const KILLS: usize = 4;
    let folder = TempDir::new().expect("a folder");
    let address = free_address();
    let mut process = Process::start(folder.path(), address);
    let mut config = client_config(address);
    config.set("enable.idempotence", "true").set("message.timeout.ms", "60000").set("linger.ms", "1");
    let producer: BaseProducer = config.create().expect("a producer");
    for at in 0..RECORDS {
        send(&producer, "survivor", &at.to_string());
        if at % (RECORDS / (KILLS + 1)) == RECORDS / (KILLS + 2) {
            drop(process);
            process = Process::start(folder.path(), address);
        }
    }
    producer.flush(PATIENCE).expect("delivers");
    drop(process);
    let _process = Process::start(folder.path(), address);
    let values = read_all(address, "survivor");
    let wrong = values.iter().enumerate().find(|(at, value)| **value != at.to_string());
    assert_eq!((values.len(), wrong), (RECORDS, None));
}

/// The records of partition 0 with their offsets and keys.
fn read_keyed(address: SocketAddr, topic: &str) -> Vec<(i64, String, String)> {
    let consumer = consumer(address, "reader");
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, 0, Offset::Beginning).expect("adds");
    consumer.assign(&assignment).expect("assigns");
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.expect("is there")).into_owned();
    let begin = Instant::now();
    let mut records = Vec::new();
    loop {
        assert!(begin.elapsed() < PATIENCE, "reading takes too long");
        match consumer.poll(Duration::from_secs(1)) {
            Some(Ok(message)) => records.push((message.offset(), text(message.key()), text(message.payload()))),
            Some(Err(KafkaError::PartitionEOF(_))) => return records,
            Some(Err(error)) => panic!("{error}"),
            None => {}
        }
    }
}

/// Goal: compaction keeps the last record of each key at its offset, and no record twice or changed, although the broker is killed while
/// it compacts. Method: a producer writes the same keys again and again, its numbers as values, so that each record is known by its offset;
/// the broker looks for something to compact ten times a second and is killed several times. Readers must always find what is right.
#[test]
fn a_killed_broker_keeps_the_last_record_of_each_key() {
    const RECORDS: i64 = 120_000;
    const KEYS: i64 = 300;
    const KILLS: i64 = 6;
    let (runtime, folder, address) =
        (Runtime::new().expect("a runtime"), TempDir::new().expect("a folder"), free_address());
    let mut process = Process::start(folder.path(), address);
    let admin = AdminClient::from_config(&client_config(address)).expect("an admin");
    let topic = NewTopic::new("latest", 1, TopicReplication::Fixed(1)).set("cleanup.policy", "compact");
    let topic = topic.set("segment.bytes", "100000").set("min.cleanable.dirty.ratio", "0.1");
    runtime.block_on(admin.create_topics([&topic], &AdminOptions::new())).expect("creates");
    let mut config = client_config(address);
    config.set("enable.idempotence", "true").set("linger.ms", "1").set("batch.num.messages", "100");
    let producer: BaseProducer = config.set("compression.type", "lz4").create().expect("a producer");
    for at in 0..RECORDS {
        let (key, value) = ((at % KEYS).to_string(), at.to_string());
        let mut record = BaseRecord::to("latest").key(&key).payload(&value).partition(0);
        while let Err((error, back)) = producer.send(record) {
            assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::QueueFull), "{error}");
            producer.poll(Duration::from_millis(10));
            record = back;
        }
        if at % 1_000 == 0 {
            producer.flush(PATIENCE).expect("delivers");
        }
        if at % (RECORDS / KILLS) == RECORDS / KILLS - 1 {
            drop(process);
            process = Process::start(folder.path(), address);
            let found = read_keyed(address, "latest");
            assert!(found.is_sorted_by(|one, next| one.0 < next.0), "in order and once");
            assert!(
                found.iter().all(|(offset, key, value)| {
                    *value == offset.to_string() && *key == (offset % KEYS).to_string()
                })
            );
        }
    }
    producer.flush(PATIENCE).expect("delivers");
    let last: Vec<i64> = (RECORDS - KEYS..RECORDS).collect();
    let begin = Instant::now();
    loop {
        let found = read_keyed(address, "latest");
        let offsets: Vec<i64> = found.iter().map(|(offset, ..)| *offset).collect();
        assert!(offsets.ends_with(&last), "the last record of each key is there");
        if found.len() < RECORDS as usize / 10 {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "{} records are left", found.len());
    }
}

/// Goal: a transaction that was open when the broker was killed goes on, and nobody sees half of it.
#[test]
fn a_killed_broker_goes_on_with_what_was_open() {
    let folder = TempDir::new().expect("a folder");
    let address = free_address();
    let process = Process::start(folder.path(), address);
    let mut config = client_config(address);
    let producer: BaseProducer = config.set("transactional.id", "t").create().expect("a producer");
    producer.init_transactions(PATIENCE).expect("initializes");
    for (value, commit) in [("committed", true), ("open", false)] {
        producer.begin_transaction().expect("begins");
        send(&producer, "t", value);
        producer.flush(PATIENCE).expect("delivers");
        if commit {
            producer.commit_transaction(PATIENCE).expect("commits");
        }
    }
    drop(process);
    let _process = Process::start(folder.path(), address);
    assert_eq!(read_all(address, "t"), ["committed"]);
    // The producer does not know about the restart.
    send(&producer, "t", "late");
    producer.flush(PATIENCE).expect("delivers");
    producer.commit_transaction(PATIENCE).expect("commits");
    assert_eq!(read_all(address, "t"), ["committed", "open", "late"]);
}

/// The first log line in which librdkafka says why it could not connect.
fn what_a_client_says(address: SocketAddr) -> String {
    #[derive(Clone, Default)]
    struct Listening(Arc<Mutex<Vec<String>>>);
    impl ClientContext for Listening {
        fn log(&self, _: RDKafkaLogLevel, facility: &str, line: &str) {
            if facility == "FAIL" {
                self.0.lock().expect("is whole").push(line.to_owned());
            }
        }
    }
    impl ProducerContext for Listening {
        type DeliveryOpaque = ();
        fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
    }
    let listening = Listening::default();
    let mut config = client_config(address);
    config.set("log_level", "6").set_log_level(RDKafkaLogLevel::Info);
    let created = config.create_with_context(listening.clone());
    let producer: BaseProducer<Listening> = created.expect("a producer");
    let begin = Instant::now();
    loop {
        assert!(begin.elapsed() < PATIENCE, "nothing is said");
        let _ = producer.client().fetch_metadata(None, Duration::from_millis(500)); // fails, and we want to hear why
        producer.poll(Duration::from_millis(50));
        if let Some(first) = listening.0.lock().expect("is whole").first() {
            return first.clone();
        }
    }
}

/// Goal: the number of connections follows the limit of open files, and refused clients are told why. Method: a broker
/// with a low limit, and more connections than it allows.
#[test]
fn connections_follow_the_limit_of_open_files() {
    let folder = TempDir::new().expect("a folder");
    let address = free_address();
    let _process = Process::start_with_open_files(120, folder.path(), address);
    let ask = |stream: &mut TcpStream| {
        // ApiVersions 0 with correlation id 7 and no client id.
        stream.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff]).expect("writes");
        let mut length = [0; 4];
        stream.read_exact(&mut length).expect("an answer");
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut answer).expect("all of it");
        i16::from_be_bytes([answer[4], answer[5]])
    };
    let connect = || TcpStream::connect(address).expect("connects");
    let mut served: Vec<TcpStream> = (0..60).map(|_| connect()).collect();
    assert!(served.iter_mut().all(|stream| ask(stream) == 0));
    let code_of_too_many = 89;
    for _ in 0..20 {
        assert_eq!(ask(&mut connect()), code_of_too_many);
    }
    assert!(served.iter_mut().all(|stream| ask(stream) == 0), "those who are in are served");
    let said = what_a_client_says(address);
    assert!(said.contains("quota") && !said.contains("security.protocol"), "{said}");
    served.truncate(30);
    let begin = Instant::now();
    while ask(&mut connect()) != 0 {
        assert!(begin.elapsed() < PATIENCE, "there is room again");
    }
}
