//! Goal: the server takes requests as HTTP clients send them, within its limits. Method: bytes over a socket.

use headwater_schema_registry::{MemoryLog, Server, StartError, TEXT_BYTES_MAX};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn start() -> Server {
    Server::start("127.0.0.1:0".parse().expect("an address"), MemoryLog::default()).await.expect("it starts")
}

/// What is answered to these bytes until the connection ends.
async fn send(server: &Server, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).await.expect("it listens");
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn answers_have_the_media_type_of_the_api() {
    let server = start().await;
    let answer = send(&server, b"GET /subjects HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-type: application/vnd.schemaregistry.v1+json\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n[]"), "{answer}");
}

#[tokio::test]
async fn bodies_may_come_in_chunks() {
    let server = start().await;
    let request =
        b"POST /subjects/a/versions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
        9\r\n{\"schema\"\r\n9\r\n:\"int\"}  \r\n0\r\n\r\n";
    let answer = send(&server, request).await;
    assert!(answer.ends_with("{\"id\":1}"), "{answer}");
}

#[tokio::test]
async fn long_requests_are_rejected() {
    let server = start().await;
    let long = "x".repeat(TEXT_BYTES_MAX + 1);
    let post = |body: &str| {
        let head = "POST /subjects/a/versions HTTP/1.1\r\nHost: x\r\nConnection: close";
        format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    };
    let answer = send(&server, &post(&format!("{{\"schema\": \"{long}\"}}"))).await;
    assert!(answer.contains("the schema is longer than 900000 bytes"), "{answer}");
    let answer = send(&server, &post(&long.repeat(3))).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let answer = send(&server, &[b'x'; 1 << 20]).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    let answer = send(&server, b"GET /subjects HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.ends_with("[]"), "the server is still there: {answer}");
}

#[tokio::test]
async fn web_pages_change_nothing() {
    let server = start().await;
    let rest = "Host: x\r\nOrigin: http://elsewhere\r\nConnection: close\r\n";
    let post =
        format!("POST /subjects/a/versions HTTP/1.1\r\n{rest}Content-Length: 20\r\n\r\n{{\"schema\":\"\\\"int\\\"\"}}");
    let answer = send(&server, post.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 422 ") && answer.contains("42205"), "{answer}");
    let answer = send(&server, format!("GET /subjects HTTP/1.1\r\n{rest}\r\n").as_bytes()).await;
    assert!(answer.ends_with("[]"), "{answer}");
}

#[tokio::test]
async fn it_answers_at_two_addresses() {
    let mut server = start().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let second = free.local_addr().expect("it is bound");
    drop(free);
    server.listen_also(second).await.expect("the port is free");
    let mut stream = TcpStream::connect(second).await.expect("it listens");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it is answered");
    assert!(answer.ends_with("{}"), "{answer}");
    server.shutdown().await;
    assert!(TcpStream::connect(second).await.is_err());
}

#[tokio::test]
async fn it_listens_on_loopback_only() {
    let refused = Server::start("0.0.0.0:0".parse().expect("an address"), MemoryLog::default()).await;
    assert!(matches!(refused, Err(StartError::NotLoopback(_))), "{refused:?}");
    let server = start().await;
    let taken = Server::start(server.address(), MemoryLog::default()).await;
    assert!(matches!(taken, Err(StartError::Listen { .. })), "{taken:?}");
}

#[tokio::test]
async fn what_is_registered_is_there_after_a_restart() {
    let log = MemoryLog::default();
    let address = "127.0.0.1:0".parse().expect("an address");
    let server = Server::start(address, log.clone()).await.expect("it starts");
    let request = b"POST /subjects/a/versions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 20\r\n\r\n{\"schema\":\"\\\"int\\\"\"} ";
    let answer = send(&server, request).await;
    assert!(answer.ends_with("{\"id\":1}"), "{answer}");
    server.shutdown().await;
    let server = Server::start(address, log).await.expect("it starts");
    let answer = send(&server, b"GET /subjects HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.ends_with("[\"a\"]"), "{answer}");
}
