//! Connections to one registry: one for each request, so that none is ever stale.
//!
//! Separate from `http`, which chooses the registry. Answers are remembered, so a process sends a few requests for a
//! statement and none for a record: a connection that is kept would be idle nearly always, and closed by the other side
//! when it is needed.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use openssl::ssl::SslConnector;
use openssl::x509::X509VerifyResult;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_openssl::SslStream;
use url::Url;

use crate::error::SettingsError;
use crate::settings::{CA, CERTIFICATE, Settings, TlsFiles, URL, VERIFY};
use crate::tls;

/// How large an answer may be, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// How OpenSSL names the alerts by which the other side refuses the certificate of this one, or that there is none.
const CERTIFICATE_ALERTS: [&str; 7] = [
    "certificate required",
    "bad certificate",
    "unsupported certificate",
    "certificate revoked",
    "certificate expired",
    "certificate unknown",
    "unknown ca",
];

/// What OpenSSL says of an answer without TLS.
const NO_TLS: [&str; 2] = ["wrong version number", "packet length too long"];

/// Results of OpenSSL's verification that have nothing to do with the authorities.
const NOT_YET_VALID: i32 = 9;
const EXPIRED: i32 = 10;
const OTHER_HOST: i32 = 62;
const OTHER_ADDRESS: i32 = 64;

/// Makes connections.
pub(crate) struct Connector {
    /// Made only if a URL needs it or files are given: reading the authorities of a system takes a while.
    tls: Option<SslConnector>,
    verify_host: bool,
    connect_timeout: Duration,
    request_timeout: Duration,
}

/// An answer of a registry.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// Why a registry did not serve a call.
pub(crate) struct Failure {
    pub(crate) reason: String,
    /// The setting to look at, if one may be the reason.
    pub(crate) setting: Option<&'static str>,
    /// Whether it answered.
    pub(crate) answered: bool,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Connector {
    pub(crate) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let is_needed = settings.tls != TlsFiles::default() || settings.urls.iter().any(|url| url.scheme() == "https");
        Ok(Self {
            tls: is_needed.then(|| tls::connector(&settings.tls)).transpose()?,
            verify_host: settings.tls.verify_host,
            connect_timeout: settings.connect_timeout,
            request_timeout: settings.request_timeout,
        })
    }

    /// Sends a request to the host of the URL, and returns the answer.
    pub(crate) async fn exchange(&self, url: &Url, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        let late = |limit: Duration, what| Failure::at_url(format!("no {what} within {} ms", limit.as_millis()));
        let stream = timeout(self.connect_timeout, self.connect(url)).await;
        let stream = stream.map_err(|_| late(self.connect_timeout, "connection"))??;
        let answer = timeout(self.request_timeout, converse(stream, request)).await;
        answer.map_err(|_| late(self.request_timeout, "answer"))?.map_err(Failure::of_peer)
    }

    async fn connect(&self, url: &Url) -> Result<Box<dyn Stream>, Failure> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        // An IPv6 address is in brackets in a URL, and without them anywhere else.
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let tcp = TcpStream::connect((bare, port)).await.map_err(|error| Failure::at_url(words(&error)))?;
        let Some(connector) = self.tls.as_ref().filter(|_| url.scheme() == "https") else { return Ok(Box::new(tcp)) };
        let mut tls = self.handshake(connector, bare, tcp).map_err(|error| Failure::at_url(error.to_string()))?;
        match Pin::new(&mut tls).connect().await {
            Ok(()) => Ok(Box::new(tls)),
            Err(error) => Err(Failure::in_handshake(&tls, bare, &error)),
        }
    }

    fn handshake(
        &self,
        connector: &SslConnector,
        host: &str,
        tcp: TcpStream,
    ) -> Result<SslStream<TcpStream>, openssl::error::ErrorStack> {
        let configuration = connector.configure()?.verify_hostname(self.verify_host);
        SslStream::new(configuration.into_ssl(host)?, tcp)
    }
}

impl Failure {
    pub(crate) fn at_url(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), setting: Some(URL), answered: false }
    }

    /// An answer that does not serve the call. Unless more is known, it says nothing of settings.
    pub(crate) fn answered(status: u16, message: &str) -> Self {
        Self { reason: format!("answered {status} ({message})"), setting: None, answered: true }
    }

    /// One that the other side may have caused: with TLS 1.3 it refuses certificates after the handshake.
    fn of_peer(reason: String) -> Self {
        match CERTIFICATE_ALERTS.iter().find(|alert| reason.contains(**alert)) {
            Some(alert) => {
                let refusal = format!("the registry refused the certificate of this client, or misses one: {alert}");
                Self { setting: Some(CERTIFICATE), ..Self::at_url(refusal) }
            }
            None if NO_TLS.iter().any(|sign| reason.contains(sign)) => {
                Self::at_url("what answers does not speak TLS; is it http:// and not https://?")
            }
            None => Self::at_url(reason),
        }
    }

    fn in_handshake(stream: &SslStream<TcpStream>, host: &str, error: &openssl::ssl::Error) -> Self {
        let verified = stream.ssl().verify_result();
        if verified == X509VerifyResult::OK {
            return Self::of_peer(format!("TLS handshake failed: {error}"));
        }
        let (problem, setting) = unverified(verified, host);
        Self { setting, ..Self::at_url(format!("TLS handshake failed: {problem}")) }
    }
}

/// Why the certificate of a registry is not accepted, and the setting to look at.
fn unverified(result: X509VerifyResult, host: &str) -> (String, Option<&'static str>) {
    match result.as_raw() {
        OTHER_HOST | OTHER_ADDRESS => (format!("the certificate is not for the host \"{host}\""), Some(VERIFY)),
        EXPIRED => ("the certificate, or one that signed it, has expired".to_owned(), None),
        NOT_YET_VALID => ("the certificate, or one that signed it, is not valid yet".to_owned(), None),
        _ => (format!("the certificate could not be verified: {result}"), Some(CA)),
    }
}

async fn converse(stream: Box<dyn Stream>, request: Request<Full<Bytes>>) -> Result<Answer, String> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| with_causes(&error))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| with_causes(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| format!("could not read the answer: {error}"))?.to_bytes();
        Ok(Answer { status, body })
    };
    tokio::pin!(exchange);
    // The connection makes progress only while it is polled, and ends when the exchange has.
    tokio::select! {
        answer = &mut exchange => answer,
        _ = connection => exchange.await,
    }
}

/// An error with what is behind it.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        // Some errors say what is behind them themselves, those of OpenSSL for one.
        if text.ends_with(&cause) { text } else { format!("{text}: {cause}") }
    })
}

/// The usual words for the usual failures, without Rust's "(os error 111)".
fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        _ => error.to_string(),
    }
}
