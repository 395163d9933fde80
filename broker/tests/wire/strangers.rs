//! Clients that do not speak Kafka, or send invalid requests: the connection is closed, and the broker keeps running.

use std::io::Write;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, CreateTopicsRequest, DescribeConfigsRequest, MetadataRequest,
};
use kafka_protocol::protocol::Decodable;

use crate::client::{Batch, Client, Fixture, batch, produce_request, text, topic};

/// A request with these first fields, followed by `payload`.
fn raw(key: i16, version: i16, payload: &[u8]) -> BytesMut {
    let mut body = BytesMut::new();
    body.put_i16(key);
    body.put_i16(version);
    body.put_i32(77);
    body.put_slice(payload);
    body
}

fn is_closed(client: &mut Client) -> bool {
    client.receive_frame().is_none()
}

fn assert_alive(fixture: &Fixture) {
    assert_eq!(fixture.connect().call(3, &ApiVersionsRequest::default()).error_code, 0);
}

#[test]
fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    let fixture = Fixture::in_memory();
    let mut client = fixture.connect();
    for version in [5, 9, i16::MAX, -1] {
        client.send_frame(&raw(18, version, b"\x00\x03foo\x00rest that nobody can read"));
        let mut frame = client.receive_frame().expect("an answer");
        assert_eq!(frame.get_i32(), 77);
        let answer = ApiVersionsResponse::decode(&mut frame, 0).expect("is version 0");
        assert!(answer.error_code == 35 && !answer.api_keys.is_empty() && frame.is_empty());
    }
    assert_eq!(client.call(4, &ApiVersionsRequest::default()).error_code, 0, "the connection goes on");
}

#[test]
fn api_versions_3_has_no_tagged_fields() {
    let fixture = Fixture::in_memory();
    let mut client = fixture.connect();
    client.send(3, &ApiVersionsRequest::default());
    let frame = client.receive_frame().expect("an answer");
    assert_eq!(frame.last(), Some(&0), "the number of tagged fields");
    let apis = usize::from(frame[6]) - 1;
    assert_eq!(frame.len(), 4 + 2 + 1 + apis * 7 + 4 + 1);
}

#[test]
fn requests_that_cannot_be_read_end_the_connection_and_no_more() {
    let fixture = Fixture::in_memory();
    let huge_array = [&b"\xff\xff\xff\xff\x00\x00\x03\xe8"[..], &[0x7f, 0xff, 0xff, 0xff]].concat();
    for body in [
        raw(3, 99, b""),
        raw(999, 0, b""),
        raw(0, 2, b"\xff\xff"),
        raw(3, 9, b"\x00"),
        raw(3, 1, b"\xff\xff\x7f\xff\xff\xff"),
        raw(19, 2, &huge_array),
        raw(1, 12, &[0xff; 64]),
        raw(0, 9, &[0xff; 200]),
        raw(11, 9, &[0x7f; 200]),
        BytesMut::from(&b"\x00\x03"[..]),
        BytesMut::new(),
    ] {
        let mut client = fixture.connect();
        client.send_frame(&body);
        assert!(is_closed(&mut client), "{body:?}");
        assert_alive(&fixture);
    }
}

#[test]
fn what_is_no_kafka_at_all_is_sent_away() {
    let fixture = Fixture::in_memory();
    for bytes in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], &[0xff; 64], &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]] {
        let mut client = fixture.connect();
        client.stream.write_all(bytes).expect("writes");
        assert!(is_closed(&mut client));
        assert_alive(&fixture);
    }
}

/// Goal: no input crashes the broker. Method: requests to every supported API and version, with random bodies from a
/// fixed seed; the broker answers or closes the connection.
#[test]
fn noise_in_every_api_does_no_harm() {
    let fixture = Fixture::in_memory();
    let offered = crate::coverage::offered(&mut fixture.connect());
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = move |length: usize, mask: u8| -> Vec<u8> {
        let mut next = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed >> 24) as u8 & mask
        };
        (0..length).map(|_| next()).collect()
    };
    for (key, version) in offered {
        for (length, mask) in [(40, 0xff), (40, 0x03), (300, 0x01), (120, 0x7f)] {
            let mut client = fixture.connect();
            client.send_frame(&raw(key, version, &noise(length, mask)));
            client.stream.shutdown(std::net::Shutdown::Write).expect("shuts down");
            let _ = client.receive_frame();
        }
    }
    assert_alive(&fixture);
}

/// Goal: an announced length takes no memory. Method: more connections than the budget has room for announce the
/// largest request and send nothing or only a part; other clients are served meanwhile.
#[test]
fn announced_bytes_hold_nobody_up() {
    let fixture = Fixture::in_memory();
    let announcing: Vec<Client> = (0..12)
        .map(|at| {
            let mut client = fixture.connect();
            client.stream.write_all(&(100_i32 << 20).to_be_bytes()).expect("writes");
            client.stream.write_all(&vec![0; at * 10_000]).expect("writes");
            client
        })
        .collect();
    let mut client = fixture.connect();
    client.create_topic("t", 1);
    let large = Bytes::from(vec![b'x'; 900_000]);
    let request = produce_request(("t", 0), large, None);
    client.call(9, &request); // refused as no batch, but read as a whole
    drop(announcing);
}

/// Goal: a request cannot have so many small elements that decoding it uses up the memory. Method: requests of tens of
/// MB that consist of elements, in every form that can be decoded; the connection is closed soon.
#[test]
fn too_many_elements_end_the_connection_soon() {
    let fixture = Fixture::in_memory();
    let elements = 20_000_000_i32;
    let names = [&elements.to_be_bytes()[..], &vec![0; elements as usize * 2]].concat();
    let tagged = [&[0xff, 0xff, 0xff, 0x07][..], &[1, 0].repeat(16_777_215)].concat();
    for body in [
        raw(3, 1, &[&b"\xff\xff"[..], &names].concat()),
        raw(15, 0, &[&b"\xff\xff"[..], &names].concat()),
        raw(3, 9, &[&b"\xff\xff"[..], &tagged].concat()),
        raw(3, 9, &[&b"\xff\xff\0\0\0\0\0"[..], &tagged].concat()),
    ] {
        let mut client = fixture.connect();
        client.send_frame(&body);
        assert!(is_closed(&mut client));
    }
    assert_alive(&fixture);
}

/// Goal: repeating a name makes neither the response nor the work larger. Method: a topic with many partitions is named
/// thousands of times; the response contains it once.
#[test]
fn what_is_named_often_is_described_once() {
    let fixture = Fixture::in_memory();
    let mut client = fixture.connect();
    client.create_topic("t", 1_000);
    let named = MetadataRequestTopic::default().with_name(Some(topic("t")));
    let request = MetadataRequest::default().with_topics(Some(vec![named; 100_000]));
    assert_eq!(client.call(9, &request).topics.len(), 1);
    let resource = DescribeConfigsResource::default().with_resource_type(2).with_resource_name(text("t"));
    let resource = resource.with_configuration_keys(None);
    let request = DescribeConfigsRequest::default().with_resources(vec![resource; 50_000]);
    assert_eq!(client.call(4, &request).results.len(), 1);
    let creatable: Vec<CreatableTopic> =
        (0..100_000).map(|at| CreatableTopic::default().with_name(topic(&format!("/{at}")))).collect();
    let answer = client.call(7, &CreateTopicsRequest::default().with_topics(creatable));
    assert!(answer.topics.iter().all(|topic| topic.error_code == ResponseError::InvalidTopicException.code()));
}

/// A batch that claims more records than it can hold would use up offsets that nobody can read.
#[test]
fn a_batch_cannot_claim_offsets_for_records_it_has_not() {
    let fixture = Fixture::in_memory();
    let mut client = fixture.connect();
    client.create_topic("t", 1);
    let mut lying = batch(&Batch::default()).to_vec();
    lying[23..27].copy_from_slice(&(i32::MAX - 1).to_be_bytes());
    lying[57..61].copy_from_slice(&i32::MAX.to_be_bytes());
    let checksum = crc32c::crc32c(&lying[21..]);
    lying[17..21].copy_from_slice(&checksum.to_be_bytes());
    let answer = client.produce(9, ("t", 0), lying.into());
    assert_eq!(answer.error_code, ResponseError::InvalidRecord.code());
    assert_eq!(client.produce_some(("t", 0), 1), 0);
}
