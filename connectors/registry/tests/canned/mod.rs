//! A server with canned answers, which remembers what it was asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A request that the server got.
#[derive(Clone, Debug)]
pub struct Request {
    pub target: String,
    pub authorization: Option<String>,
    pub body: String,
}

/// The server, which ends when it is dropped.
pub struct Canned {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

impl Canned {
    /// A server with these statuses and bodies.
    pub async fn start(answer: impl Fn(&Request) -> (u16, String) + Send + Sync + 'static) -> Self {
        Self::slow(Duration::ZERO, answer).await
    }

    /// The same, by the number of earlier requests.
    pub async fn counting(answer: impl Fn(usize) -> (u16, String) + Send + Sync + 'static) -> Self {
        let count = AtomicUsize::new(0);
        Self::start(move |_| answer(count.fetch_add(1, Ordering::Relaxed))).await
    }

    /// The same, after a while.
    pub async fn slow(delay: Duration, answer: impl Fn(&Request) -> (u16, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let answer = Arc::new(answer);
        let seen = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                tokio::spawn(async move {
                    serve(stream, delay, |request| {
                        seen.lock().push(request.clone());
                        answer(request)
                    })
                    .await;
                });
            }
        });
        Self { port, requests, task }
    }

    /// The URL of a port at which nobody listens.
    pub async fn closed() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        format!("http://{}", listener.local_addr().expect("it is bound"))
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().clone()
    }
}

impl Drop for Canned {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers one request.
pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    delay: Duration,
    answer: impl FnOnce(&Request) -> (u16, String),
) {
    let mut stream = BufReader::new(stream);
    let mut first = String::new();
    if stream.read_line(&mut first).await.is_err() {
        return;
    }
    let mut words = first.split(' ').map(str::to_owned);
    // After the method.
    let target = words.nth(1).unwrap_or_default();
    let mut request = Request { target, authorization: None, body: String::new() };
    let mut length = 0;
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|n| n > 2) {
        match line.trim_end().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().expect("a number"),
            Some(("authorization", value)) => request.authorization = Some(value.to_owned()),
            _ => {}
        }
        line.clear();
    }
    let mut body = vec![0; length];
    if stream.read_exact(&mut body).await.is_err() {
        return;
    }
    request.body = String::from_utf8(body).expect("text");
    let (status, body) = answer(&request);
    tokio::time::sleep(delay).await;
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
    let _ = stream.shutdown().await;
}
