//! Requests to a Schema Registry, as a serializer sends them, without a client that might forgive something.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a registry may be away while another process takes it over.
const AWAY_MAX: Duration = Duration::from_secs(60);

/// The status and the body of an answer. Waits for a registry that is not there yet.
pub fn ask(registry: SocketAddr, method: &str, target: &str, body: &Value) -> (u16, Value) {
    let limit = Instant::now() + AWAY_MAX;
    loop {
        match try_ask(registry, method, target, body) {
            Ok(answer) => return answer,
            Err(error) => assert!(Instant::now() < limit, "{method} {target} of {registry}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn try_ask(registry: SocketAddr, method: &str, target: &str, body: &Value) -> std::io::Result<(u16, Value)> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut stream = TcpStream::connect(registry)?;
    let head = format!("{method} {target} HTTP/1.1\r\nHost: {registry}\r\nConnection: close");
    let kind = "Content-Type: application/vnd.schemaregistry.v1+json";
    write!(stream, "{head}\r\n{kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let ended = || std::io::Error::other("the connection ended early");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(ended)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(ended)?;
    Ok((status, serde_json::from_str(body)?))
}
