//! Requests to the registry, whichever of its URLs answers.
//!
//! Separate because failing over is the same for every call: the URL that answered last is asked first, and the others
//! in turn if it does not answer or says that it cannot serve anyone now.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use url::{Position, Url};

use crate::connector::{Answer, Connector, Failure};
use crate::error::{Attempt, RegistryError, SettingsError};
use crate::settings::{Credentials, Settings, TOKEN, URL, USER_INFO};
use crate::wire::Refusal;

const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";
const ACCEPTED: &str = "application/vnd.schemaregistry.v1+json, application/json";

/// What a segment of a path may contain as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The registries, which have the same content.
pub(crate) struct Http {
    urls: Vec<Url>,
    /// The one that answered last.
    preferred: AtomicUsize,
    authorization: Option<HeaderValue>,
    /// The setting to look at if it is refused.
    credentials_setting: &'static str,
    connector: Connector,
}

/// A request without its registry.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a [&'a str],
    pub(crate) query: &'a str,
    pub(crate) body: Option<Vec<u8>>,
}

impl<'a> Call<'a> {
    pub(crate) fn get(path: &'a [&'a str], query: &'a str) -> Self {
        Self { method: Method::GET, path, query, body: None }
    }

    pub(crate) fn delete(path: &'a [&'a str], query: &'a str) -> Self {
        Self { method: Method::DELETE, path, query, body: None }
    }

    pub(crate) fn post(path: &'a [&'a str], query: &'a str, body: Vec<u8>) -> Self {
        Self { method: Method::POST, path, query, body: Some(body) }
    }

    pub(crate) fn put(path: &'a [&'a str], body: Vec<u8>) -> Self {
        Self { method: Method::PUT, path, query: "", body: Some(body) }
    }
}

impl Http {
    pub(crate) fn new(settings: Settings) -> Result<Self, SettingsError> {
        let connector = Connector::new(&settings)?;
        let credentials_setting = match settings.credentials {
            Some(Credentials::Bearer(_)) => TOKEN,
            _ => USER_INFO,
        };
        let authorization = settings.credentials.as_ref().map(authorization).transpose()?;
        Ok(Self { urls: settings.urls, preferred: AtomicUsize::new(0), authorization, credentials_setting, connector })
    }

    /// Sends a request and reads the answer.
    pub(crate) async fn call<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, RegistryError> {
        let mut attempts = Vec::new();
        let mut setting = URL;
        let first = self.preferred.load(Ordering::Relaxed);
        for i in (0..self.urls.len()).map(|i| (first + i) % self.urls.len()) {
            let url = &self.urls[i];
            let failure = match self.ask(url, &call).await {
                Ok(answer) => match unable(&answer) {
                    None => match self.read(url, &answer) {
                        // That may be something else than a registry, and another URL is one.
                        Err(RegistryError::Other { status, message, setting, .. }) if self.urls.len() > 1 => {
                            Failure { setting, ..Failure::answered(status, &message) }
                        }
                        answer => {
                            self.preferred.store(i, Ordering::Relaxed);
                            return answer;
                        }
                    },
                    Some(failure) => failure,
                },
                Err(failure) => failure,
            };
            let Failure { reason, setting: to_look_at, answered } = failure;
            tracing::debug!(url = %shown(url), reason, "a schema registry cannot be used");
            setting = to_look_at.unwrap_or(setting);
            attempts.push(Attempt { url: shown(url), reason, answered, by_setting: to_look_at.is_some() });
        }
        Err(RegistryError::Unavailable { attempts, setting })
    }

    async fn ask(&self, url: &Url, call: &Call<'_>) -> Result<Answer, Failure> {
        let request = self.request(url, call).map_err(|error| Failure::at_url(error.to_string()))?;
        self.connector.exchange(url, request).await
    }

    fn request(&self, url: &Url, call: &Call<'_>) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let mut target = url.path().trim_end_matches('/').to_owned();
        for segment in call.path {
            target.push('/');
            target.extend(utf8_percent_encode(segment, SEGMENT));
        }
        if !call.query.is_empty() {
            target.push('?');
            target.push_str(call.query);
        }
        let mut request = Request::builder()
            .method(&call.method)
            .uri(target)
            .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
            .header(ACCEPT, ACCEPTED)
            .header(USER_AGENT, concat!("headwater/", env!("CARGO_PKG_VERSION")));
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value);
        }
        if call.body.is_some() {
            request = request.header(CONTENT_TYPE, MEDIA_TYPE);
        }
        request.body(Full::from(call.body.clone().unwrap_or_default()))
    }

    fn read<T: DeserializeOwned>(&self, url: &Url, answer: &Answer) -> Result<T, RegistryError> {
        if !answer.status.is_success() {
            let refusal = Refusal::read(answer.status, &answer.body);
            return Err(refusal.into_error(shown(url), self.credentials_setting));
        }
        serde_json::from_slice(&answer.body).map_err(|error| RegistryError::Other {
            url: shown(url),
            status: answer.status.as_u16(),
            message: format!("the answer is not that of a schema registry: {error}"),
            setting: Some(URL),
        })
    }
}

/// Why this registry cannot serve anyone now, if it says so. Others, or the same one later, may.
fn unable(answer: &Answer) -> Option<Failure> {
    let status = answer.status.as_u16();
    if !matches!(status, 408 | 429 | 500 | 502..=504) {
        return None;
    }
    let refusal = Refusal::read(answer.status, &answer.body);
    // The log could not be reached, did not answer in time, or the leader is not known.
    let is_passing = status != 500 || matches!(refusal.code, 50001..=50004);
    is_passing.then(|| Failure::answered(status, &refusal.message))
}

fn authorization(credentials: &Credentials) -> Result<HeaderValue, SettingsError> {
    let (text, setting) = match credentials {
        Credentials::Basic { user, password } => {
            (format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))), USER_INFO)
        }
        Credentials::Bearer(token) => (format!("Bearer {token}"), TOKEN),
    };
    let mut value =
        HeaderValue::try_from(text).map_err(|_| SettingsError::new(setting, "has characters that cannot be sent"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A URL as it is shown: the settings keep it without credentials.
fn shown(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}
