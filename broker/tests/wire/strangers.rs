//! What does not speak Kafka, or another Kafka: it is sent away, and the broker goes on.

use std::io::Write;

use bytes::{Buf, BufMut, BytesMut};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::Decodable;

use crate::client::{Client, Fixture};

/// A request's first fields and what follows.
fn raw(key: i16, version: i16, rest: &[u8]) -> BytesMut {
    let mut body = BytesMut::new();
    body.put_i16(key);
    body.put_i16(version);
    body.put_i32(77);
    body.put_slice(rest);
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

/// Goal: no bytes make the broker fall over. Method: every request of a kind that is offered, with bodies of
/// noise from a fixed seed; it answers or closes.
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
