//! What a user is told when the first connection does not come about. No broker is needed: dead and
//! misleading addresses are made here. Each case must end by itself, because librdkafka would try for ever.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::thread;

use headwater_connectors::transport::kafka::KafkaTransport;
use headwater_connectors::transport::{TransportError, TransportErrorKind};

/// The error of connecting with these properties.
fn refusal(properties: &[(&str, &str)]) -> TransportError {
    let properties: BTreeMap<_, _> = properties.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
    KafkaTransport::connect(properties).expect_err("nothing is there to connect to")
}

fn check(properties: &[(&str, &str)], kind: TransportErrorKind, setting: &str, says: &str) {
    let error = refusal(properties);
    assert_eq!((error.kind, error.setting.as_deref()), (kind, Some(setting)), "{error}");
    assert!(error.message.contains(says), "\"{}\" does not say \"{says}\"", error.message);
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}

/// A server that answers every connection with `greeting` and closes it, or keeps it open and says nothing.
fn server(greeting: Option<&'static [u8]>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut kept = Vec::new();
        for connection in listener.incoming().flatten() {
            match greeting {
                Some(greeting) => (&connection).write_all(greeting).unwrap_or_default(),
                None => kept.push(connection),
            }
        }
    });
    address
}

#[test]
fn an_address_where_nothing_listens() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let properties = [("bootstrap.servers", unused.as_str())];
    check(&properties, TransportErrorKind::Unreachable, "bootstrap.servers", "refused");
}

#[test]
fn a_host_that_does_not_resolve() {
    let properties = [("bootstrap.servers", "no-such-host.invalid:9092")];
    check(&properties, TransportErrorKind::Unreachable, "bootstrap.servers", "no-such-host.invalid");
}

#[test]
fn a_server_that_never_answers() {
    let address = server(None).to_string();
    check(&[("bootstrap.servers", &address)], TransportErrorKind::Unreachable, "bootstrap.servers", &address);
}

#[test]
fn a_server_that_closes_the_connection() {
    let address = server(Some(b"")).to_string();
    check(&[("bootstrap.servers", &address)], TransportErrorKind::Unreachable, "security.protocol", "TLS or SASL");
}

#[test]
fn tls_to_a_server_without_it() {
    let address = server(Some(b"HTTP/1.1 400 Bad Request\r\n\r\n")).to_string();
    let properties = [("bootstrap.servers", address.as_str()), ("security.protocol", "ssl")];
    check(&properties, TransportErrorKind::Tls, "security.protocol", "TLS handshake failed");
}

#[test]
fn properties_that_do_not_go_together() {
    let properties = [
        ("bootstrap.servers", "127.0.0.1:1"),
        ("security.protocol", "ssl"),
        ("ssl.ca.location", "/no/such/ca.pem"),
        ("ssl.key.password", "hunter2"),
    ];
    check(&properties, TransportErrorKind::Invalid, "ssl.ca.location", "ssl.ca.location");
}

#[test]
fn a_secret_is_not_shown() {
    let properties = [("bootstrap.servers", "127.0.0.1:1"), ("sasl.pasword", "hunter2")];
    check(&properties, TransportErrorKind::Invalid, "sasl.pasword", "sasl.password");
}
