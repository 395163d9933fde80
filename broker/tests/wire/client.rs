//! A broker in memory and a client that sends one request at a time.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use headwater_broker::{Broker, Config};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{
    ApiKey, CreateTopicsRequest, FetchRequest, InitProducerIdRequest, ProduceRequest, RequestHeader, ResponseHeader,
    TopicName, TransactionalId,
};
use kafka_protocol::protocol::{Decodable, Encodable, Request, StrBytes};
use kafka_protocol::records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType};
use tokio::runtime::Runtime;

pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub fn topic(name: &str) -> TopicName {
    TopicName(text(name))
}

/// A broker that is shut down when this is dropped.
pub struct Fixture {
    runtime: Runtime,
    broker: Option<Broker>,
}

impl Fixture {
    pub fn in_memory() -> Fixture {
        Fixture::start(Config::in_memory())
    }

    pub fn start(config: Config) -> Fixture {
        let runtime = Runtime::new().expect("a runtime");
        let broker = runtime.block_on(Broker::start(config)).expect("the broker starts");
        Fixture { runtime, broker: Some(broker) }
    }

    pub fn address(&self) -> String {
        self.broker.as_ref().expect("the broker runs").address().to_string()
    }

    pub fn connect(&self) -> Client {
        let address = self.broker.as_ref().expect("the broker runs").address();
        let stream = TcpStream::connect(address).expect("connects");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("sets");
        Client { stream, correlation_id: 0, called: BTreeSet::new(), sent: Vec::new() }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Some(broker) = self.broker.take() {
            self.runtime.block_on(broker.shutdown());
        }
    }
}

/// A connection that remembers which APIs it has called, and how.
pub struct Client {
    pub stream: TcpStream,
    correlation_id: i32,
    pub called: BTreeSet<(i16, i16)>,
    /// All requests, as they were sent.
    pub sent: Vec<Bytes>,
}

impl Client {
    /// Sends a request and reads the whole response.
    pub fn call<Q: Request>(&mut self, version: i16, request: &Q) -> Q::Response {
        self.send(version, request);
        self.receive::<Q>(version)
    }

    pub fn send<Q: Request>(&mut self, version: i16, request: &Q) {
        let key = ApiKey::try_from(Q::KEY).expect("a known API");
        self.called.insert((Q::KEY, version));
        self.correlation_id += 1;
        let header = RequestHeader::default()
            .with_request_api_key(Q::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(text("raw")));
        let mut body = BytesMut::new();
        header.encode(&mut body, key.request_header_version(version)).expect("encodes");
        request.encode(&mut body, version).unwrap_or_else(|error| panic!("{key:?} {version}: {error}"));
        self.send_frame(&body);
        self.sent.push(body.freeze());
    }

    pub fn receive<Q: Request>(&mut self, version: i16) -> Q::Response {
        let key = ApiKey::try_from(Q::KEY).expect("a known API");
        let mut frame = self.receive_frame().unwrap_or_else(|| panic!("{key:?} {version}: the connection was closed"));
        let header = ResponseHeader::decode(&mut frame, key.response_header_version(version)).expect("a header");
        assert_eq!(header.correlation_id, self.correlation_id);
        let answer = Q::Response::decode(&mut frame, version);
        let answer = answer.unwrap_or_else(|error| panic!("{key:?} {version}: {error}"));
        assert!(frame.is_empty(), "{key:?} {version}: {} bytes are left", frame.len());
        answer
    }

    pub fn send_frame(&mut self, body: &[u8]) {
        let mut frame = BytesMut::new();
        frame.put_i32(body.len() as i32);
        frame.put_slice(body);
        self.stream.write_all(&frame).expect("writes");
    }

    /// The next frame, `None` when the connection was closed.
    pub fn receive_frame(&mut self) -> Option<Bytes> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).ok()?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut frame).expect("the whole frame");
        Some(frame.into())
    }

    pub fn create_topic(&mut self, name: &str, partitions: i32) {
        let creatable =
            CreatableTopic::default().with_name(topic(name)).with_num_partitions(partitions).with_replication_factor(1);
        let answer = self.call(4, &CreateTopicsRequest::default().with_topics(vec![creatable]).with_timeout_ms(1_000));
        assert_eq!(answer.topics[0].error_code, 0);
    }

    pub fn produce(&mut self, version: i16, at: (&str, i32), records: Bytes) -> PartitionProduceResponse {
        let mut answer = self.call(version, &produce_request(at, records, None));
        answer.responses.remove(0).partition_responses.remove(0)
    }

    /// Produces a batch of this many records and returns its base offset.
    pub fn produce_some(&mut self, at: (&str, i32), records: i32) -> i64 {
        let answer = self.produce(9, at, batch(&Batch { records, ..Batch::default() }));
        assert_eq!(answer.error_code, 0);
        answer.base_offset
    }

    pub fn fetch(&mut self, version: i16, at: (&str, i32), offset: i64, committed: bool) -> PartitionData {
        let request = fetch_request(at, offset).with_isolation_level(i8::from(committed));
        let mut answer = self.call(version, &request);
        answer.responses.remove(0).partitions.remove(0)
    }

    /// A new producer id and epoch, with or without a transactional id.
    pub fn init_producer(&mut self, transactional_id: Option<&str>) -> (i64, i16) {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(transactional_id.map(|id| TransactionalId(text(id))))
            .with_transaction_timeout_ms(60_000);
        let answer = self.call(4, &request);
        assert_eq!(answer.error_code, 0);
        (answer.producer_id.0, answer.producer_epoch)
    }
}

pub fn produce_request(
    (name, partition): (&str, i32),
    records: Bytes,
    transactional_id: Option<&str>,
) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(records));
    let data = TopicProduceData::default().with_name(topic(name)).with_partition_data(vec![data]);
    ProduceRequest::default()
        .with_transactional_id(transactional_id.map(|id| TransactionalId(text(id))))
        .with_acks(-1)
        .with_timeout_ms(1_000)
        .with_topic_data(vec![data])
}

pub fn fetch_request((name, partition): (&str, i32), offset: i64) -> FetchRequest {
    let partition =
        FetchPartition::default().with_partition(partition).with_fetch_offset(offset).with_partition_max_bytes(1 << 20);
    FetchRequest::default()
        .with_max_wait_ms(0)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_topics(vec![FetchTopic::default().with_topic(topic(name)).with_partitions(vec![partition])])
}

/// The properties of a batch.
pub struct Batch {
    pub producer: (i64, i16),
    pub sequence: i32,
    pub records: i32,
    pub time_ms: i64,
    pub transactional: bool,
    pub keyed: bool,
}

impl Default for Batch {
    fn default() -> Batch {
        Batch { producer: (-1, -1), sequence: -1, records: 1, time_ms: 1_000, transactional: false, keyed: true }
    }
}

pub fn batch(wanted: &Batch) -> Bytes {
    let record = |at: i32| Record {
        transactional: wanted.transactional,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: wanted.producer.0,
        producer_epoch: wanted.producer.1,
        timestamp_type: TimestampType::Creation,
        offset: i64::from(at),
        sequence: wanted.sequence.max(0) + at,
        timestamp: wanted.time_ms + i64::from(at),
        key: wanted.keyed.then(|| Bytes::from(format!("k{at}"))),
        value: Some(Bytes::from(format!("v{at}"))),
        headers: Default::default(),
    };
    let records: Vec<Record> = (0..wanted.records).map(record).collect();
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut bytes, &records, &options).expect("encodes");
    bytes.freeze()
}
