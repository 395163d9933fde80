//! The API: which request is answered by what.
//!
//! Separate because it is still: a request and the state in, an answer and changes out. Each file has the requests of one
//! kind, in the order of the table.

mod compatibility;
mod config;
mod delete;
mod ids;
mod register;
mod resolve;
mod subjects;

use serde_json::json;

use crate::fault::Fault;
use crate::record::Change;
use crate::request::{Answer, Method, Request};
use crate::state::State;

/// What a request leads to: the changes come first, and the answer is given when they are in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) changes: Vec<Change>,
    pub(crate) answer: Answer,
}

type Handled = Result<Outcome, Fault>;

impl Outcome {
    /// An answer without a change.
    fn ok(body: serde_json::Value) -> Handled {
        Ok(Self { changes: Vec::new(), answer: Answer::ok(&body) })
    }

    fn with(changes: Vec<Change>, body: serde_json::Value) -> Handled {
        Ok(Self { changes, answer: Answer::ok(&body) })
    }
}

/// A request with the state that it asks.
#[derive(Clone, Copy)]
struct Ask<'a> {
    state: &'a State,
    request: &'a Request,
}

/// Whether a request may change something.
pub(crate) fn is_change(request: &Request) -> bool {
    match request.method {
        Method::Get | Method::Other => false,
        // Others look something up.
        Method::Post => request.path.first().is_some_and(|part| part == "subjects") && request.path.len() == 3,
        Method::Put | Method::Delete => true,
    }
}

/// The outcome of any request.
pub(crate) fn handle(state: &State, request: &Request) -> Outcome {
    let ask = Ask { state, request };
    ask.route().unwrap_or_else(|fault| Outcome { changes: Vec::new(), answer: fault.answer() })
}

impl Ask<'_> {
    fn route(self) -> Handled {
        use Method::{Delete, Get, Post, Put};
        let path: Vec<&str> = self.request.path.iter().map(String::as_str).collect();
        match (self.request.method, path.as_slice()) {
            (Get, []) => Outcome::ok(json!({})),

            (Get, ["subjects"]) => self.subjects(),
            (Get, ["subjects", subject, "versions"]) => self.versions(subject),
            (Get, ["subjects", subject, "versions", version]) => self.version(subject, version),
            (Get, ["subjects", subject, "versions", version, "schema"]) => self.version_text(subject, version),
            (Get, ["subjects", subject, "versions", version, "referencedby"]) => self.referenced_by(subject, version),
            (Post, ["subjects", subject]) => self.look_up(subject),
            (Post, ["subjects", subject, "versions"]) => self.register(subject),
            (Delete, ["subjects", subject]) => self.delete_subject(subject),
            (Delete, ["subjects", subject, "versions", version]) => self.delete_version(subject, version),

            (Get, ["schemas"]) => self.schemas(),
            (Get, ["schemas", "types"]) => Outcome::ok(json!(["JSON", "PROTOBUF", "AVRO"])),
            (Get, ["schemas", "ids", id]) => self.schema(id),
            (Get, ["schemas", "ids", id, "schema"]) => self.schema_text(id),
            (Get, ["schemas", "ids", id, "subjects"]) => self.subjects_of(id),
            (Get, ["schemas", "ids", id, "versions"]) => self.versions_of(id),

            (Post, ["compatibility", "subjects", subject, "versions"]) => self.compare(subject, None),
            (Post, ["compatibility", "subjects", subject, "versions", version]) => self.compare(subject, Some(version)),

            (Get, ["config"]) => self.level(None),
            (Get, ["config", subject]) => self.level(Some(subject)),
            (Put, ["config"]) => self.set_level(None),
            (Put, ["config", subject]) => self.set_level(Some(subject)),
            (Delete, ["config"]) => self.unset_level(None),
            (Delete, ["config", subject]) => self.unset_level(Some(subject)),

            (Get, ["mode", subject]) if !self.request.query.is("defaultToGlobal") => {
                Err(Fault::NoMode((*subject).to_owned()))
            }
            (Get, ["mode"] | ["mode", _]) => Outcome::ok(json!({ "mode": "READWRITE" })),
            (Put | Delete, ["mode"] | ["mode", _]) => {
                Err(Fault::NotPermitted("the mode of the embedded registry is always READWRITE"))
            }

            (Get, ["contexts"]) => Outcome::ok(json!(["."])),
            (Get, ["v1", "metadata", "id"]) => Outcome::ok(json!({ "scope": { "path": [], "clusters": {} } })),
            (Get, ["v1", "metadata", "version"]) => {
                Outcome::ok(json!({ "version": env!("CARGO_PKG_VERSION"), "commitId": "headwater" }))
            }
            (_, path) if is_known(path) => Err(Fault::WrongMethod),
            _ => Err(Fault::NoSuchPath),
        }
    }
}

/// Whether a path exists, with another method.
fn is_known(path: &[&str]) -> bool {
    matches!(
        path,
        [] | ["subjects" | "schemas" | "config" | "mode" | "contexts"]
            | ["subjects" | "config" | "mode", _]
            | ["subjects", _, "versions"]
            | ["subjects", _, "versions", _]
            | ["subjects", _, "versions", _, "schema" | "referencedby"]
            | ["schemas", "types"]
            | ["schemas", "ids", _]
            | ["schemas", "ids", _, "schema" | "subjects" | "versions"]
            | ["compatibility", "subjects", _, "versions"]
            | ["compatibility", "subjects", _, "versions", _]
    )
}
