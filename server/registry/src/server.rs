//! The HTTP server of the registry, on loopback.
//!
//! Separate because it is nothing but HTTP: it reads a request of bounded length and writes an answer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::fault::Fault;
use crate::kinds::TEXT_BYTES_MAX;
use crate::log::{LogError, SchemaLog};
use crate::registry::SchemaRegistry;
use crate::request::{Answer, Method, Request};

/// How long the body of a request may be, in bytes: a schema in which every second character is escaped.
const BODY_BYTES_MAX: usize = 2 * TEXT_BYTES_MAX + (1 << 16);

/// How many clients may be connected at once. Others wait.
const CONNECTIONS_MAX: usize = 256;

/// How long the headers of a request may take, and its body.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(60);
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.schemaregistry.v1+json");

/// A registry that answers on a port. It stops when this is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Why a registry did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is not on this machine alone: the registry has no authentication.
    #[error("{0} is not a loopback address: the embedded registry has no authentication")]
    NotLoopback(SocketAddr),
    /// The address could not be listened on.
    #[error("could not listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The log could not be read.
    #[error("could not read the schema log: {0}")]
    Log(#[from] LogError),
}

impl Server {
    /// Reads the log and starts to answer. Port 0 is any free one.
    ///
    /// # Errors
    /// The address is not on loopback or is in use, or the log could not be read.
    pub async fn start(address: SocketAddr, log: impl SchemaLog + 'static) -> Result<Self, StartError> {
        if !address.ip().is_loopback() {
            return Err(StartError::NotLoopback(address));
        }
        let listen = |error| StartError::Listen { address, error };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let registry = Arc::new(SchemaRegistry::open(Box::new(log)).await?);
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(accept(listener, registry, stopped));
        Ok(Self { address, stop, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL, for `schema.registry.url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops, after the requests that are being answered.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        // It ends in any case, unless it panicked, which was reported.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, registry: Arc<SchemaRegistry>, mut stopped: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // Too many open files, for example: others may be closed in a moment.
                Err(error) => {
                    tracing::warn!(%error, "the schema registry could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = stop(&mut stopped) => break,
        };
        let (registry, stopped) = (Arc::clone(&registry), stopped.clone());
        connections.spawn(async move {
            serve(stream, registry, stopped).await;
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
    while connections.join_next().await.is_some() {}
}

/// Answers the requests of one connection.
async fn serve(stream: TcpStream, registry: Arc<SchemaRegistry>, mut stopped: watch::Receiver<bool>) {
    let service = service_fn(|request| respond(&registry, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the schema registry ended");
    }
}

/// Returns when the server is to stop, or is gone.
async fn stop(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

async fn respond(
    registry: &SchemaRegistry,
    request: hyper::Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    let answer = match read(request).await {
        Ok(request) => registry.answer(&request).await,
        Err(fault) => fault.answer(),
    };
    let Answer { status, body } = answer;
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, MEDIA_TYPE);
    Ok(response)
}

async fn read(request: hyper::Request<Incoming>) -> Result<Request, Fault> {
    let (head, body) = request.into_parts();
    let method = match head.method {
        hyper::Method::GET => Method::Get,
        hyper::Method::POST => Method::Post,
        hyper::Method::PUT => Method::Put,
        hyper::Method::DELETE => Method::Delete,
        _ => Method::Other,
    };
    let body = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, BODY_BYTES_MAX).collect()).await;
    let body = body.map_err(|_| Fault::BadBody("it did not arrive in time".to_owned()))?;
    let body = body.map_err(|error| match error.is::<http_body_util::LengthLimitError>() {
        true => Fault::TooLong(BODY_BYTES_MAX),
        false => Fault::BadBody(error.to_string()),
    })?;
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    Ok(Request::new(method, target, body.to_bytes().to_vec()))
}
