//! The HTTP server of the registry, on loopback.
//!
//! Separate because it is nothing but HTTP: it reads a request of bounded length and writes an answer.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, ORIGIN};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::fault::Fault;
use crate::kinds::TEXT_BYTES_MAX;
use crate::log::SchemaLog;
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

/// How long the requests that are being answered may take when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// A registry that answers on a port. It stops when this is dropped.
pub struct Server {
    registry: Arc<SchemaRegistry>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    /// One for each address.
    tasks: Vec<JoinHandle<()>>,
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
}

impl Server {
    /// Starts to answer. Port 0 is any free one. The log is read at the first request; if that fails, the request is
    /// answered with the error, and the next one tries again.
    ///
    /// # Errors
    /// The address is not on loopback or is in use.
    pub async fn start(address: SocketAddr, log: impl SchemaLog + 'static) -> Result<Self, StartError> {
        let (listener, address) = listen(address).await?;
        let registry = Arc::new(SchemaRegistry::new(Box::new(log)));
        let (stop, stopped) = watch::channel(false);
        let tasks = vec![tokio::spawn(accept(listener, Arc::clone(&registry), stopped))];
        Ok(Self { registry, address, stop, tasks })
    }

    /// Answers at another address, too.
    ///
    /// # Errors
    /// The address is not on loopback or is in use.
    pub async fn listen_also(&mut self, address: SocketAddr) -> Result<(), StartError> {
        let (listener, _) = listen(address).await?;
        self.tasks.push(tokio::spawn(accept(listener, Arc::clone(&self.registry), self.stop.subscribe())));
        Ok(())
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

    /// Stops, after the requests that are being answered, for which it waits two seconds at most.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        let ended = async {
            for task in &mut self.tasks {
                // It ends in any case, unless it panicked, which was reported.
                let _ = task.await;
            }
        };
        if tokio::time::timeout(STOP_TIMEOUT, ended).await.is_err() {
            tracing::warn!("the schema registry stopped while it was answering requests");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    if !address.ip().is_loopback() {
        return Err(StartError::NotLoopback(address));
    }
    let failed = |error| StartError::Listen { address, error };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
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
    let service = service_fn(|request| respond(Arc::clone(&registry), request));
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
    registry: Arc<SchemaRegistry>,
    request: hyper::Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    let answer = match read(request).await {
        // In a task of its own, which goes on when the client goes away: a change must not be left half-way.
        Ok(request) => match tokio::spawn(async move { registry.answer(request).await }).await {
            Ok(answer) => answer,
            Err(panic) => Fault::Internal(panic.to_string()).answer(),
        },
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
    // Any web page can have a browser on this machine send a change, and only what a page sends has an origin.
    if head.headers.contains_key(ORIGIN) && method != Method::Get {
        return Err(Fault::NotPermitted("the embedded registry refuses changes by web pages"));
    }
    let body = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, BODY_BYTES_MAX).collect()).await;
    let body = body.map_err(|_| Fault::BadBody("it did not arrive in time".to_owned()))?;
    let body = body.map_err(|error| match error.is::<http_body_util::LengthLimitError>() {
        true => Fault::TooLong(BODY_BYTES_MAX),
        false => Fault::BadBody(error.to_string()),
    })?;
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    Ok(Request::new(method, target, body.to_bytes().to_vec()))
}
