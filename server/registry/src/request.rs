//! Requests and answers without HTTP.
//!
//! Separate so that the registry can be asked without a socket, and its server is nothing but one.

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// The parts of the path, decoded.
    pub(crate) path: Vec<String>,
    pub(crate) query: Query,
    pub(crate) body: Vec<u8>,
}

/// The methods of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Put,
    Delete,
    Other,
}

/// The parameters behind the path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Request {
    /// A request for a path with its query, as in the first line of HTTP.
    pub(crate) fn new(method: Method, target: &str, body: Vec<u8>) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = path.split('/').filter(|part| !part.is_empty()).map(|part| decoded(part, false)).collect();
        let query = query.split('&').filter(|part| !part.is_empty()).map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decoded(name, true), decoded(value, true))
        });
        Self { method, path, query: Query(query.collect()), body }
    }
}

fn decoded(text: &str, plus_is_space: bool) -> String {
    let text = if plus_is_space { text.replace('+', " ") } else { text.to_owned() };
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

impl Query {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether a flag is set.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// A number, or the default if it is missing or not valid.
    pub(crate) fn number(&self, name: &str, default: i64) -> i64 {
        self.get(name).and_then(|value| value.parse().ok()).unwrap_or(default)
    }

    /// The part of a list that `offset` and `limit` select.
    pub(crate) fn page<T>(&self, all: Vec<T>) -> Vec<T> {
        let offset = usize::try_from(self.number("offset", 0)).unwrap_or(0);
        let limit = usize::try_from(self.number("limit", -1)).unwrap_or(usize::MAX);
        all.into_iter().skip(offset).take(limit).collect()
    }
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self { status, body: body.to_string() }
    }

    pub(crate) fn ok(body: &Value) -> Self {
        Self::json(200, body)
    }
}
