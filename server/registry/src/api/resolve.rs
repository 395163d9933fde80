//! What several requests need: versions by their names, and schemas with what they refer to.
//!
//! Separate because a reference is a subject and a version, which only the state can follow.

use std::collections::HashSet;

use headwater_registry::SubjectVersion;

use super::Ask;
use crate::fault::Fault;
use crate::kinds::{Parsed, Referenced};
use crate::state::{Content, State, Version};
use crate::wire::{self, SchemaBody, Sent};

/// How many schemas one may refer to, directly or not.
const REFERENCES_MAX: usize = 1_000;

impl Ask<'_> {
    /// A version of a subject, which may be called `latest`. Deleted ones count if the request says so.
    pub(super) fn find(self, subject: &str, name: &str, deleted: bool) -> Result<(u32, Version), Fault> {
        let name = VersionName::parse(name)?;
        let versions = self.state.versions(subject).ok_or_else(|| Fault::SubjectNotFound(subject.to_owned()))?;
        let mut living = versions.iter().filter(|(_, version)| deleted || !version.deleted).peekable();
        if living.peek().is_none() {
            return Err(Fault::SubjectNotFound(subject.to_owned()));
        }
        let found = match name {
            VersionName::Latest => living.next_back(),
            VersionName::Number(number) => living.find(|(other, _)| **other == number),
        };
        found.map(|(number, version)| (*number, *version)).ok_or_else(|| Fault::VersionNotFound(name.to_string()))
    }

    /// The schema in the body of the request: its content, and the parsed schema.
    pub(super) fn sent(self) -> Result<(Content, Parsed), Fault> {
        let Sent { kind, text, references } = wire::read::<SchemaBody>(&self.request.body)?.sent()?;
        let references = references.into_iter().map(|(name, subject, version)| {
            let version = version.map_or_else(|| "latest".to_owned(), |version| version.to_string());
            let (version, _) = self.find(&subject, &version, false).map_err(|_| {
                let problem = format!("version {version} of \"{subject}\" does not exist");
                Fault::InvalidSchema(format!("the reference \"{name}\" cannot be resolved: {problem}"))
            })?;
            Ok(SubjectVersion { name, subject, version })
        });
        let content = Content { kind, text, references: references.collect::<Result<_, Fault>>()? };
        let parsed = parse(self.state, &content).map_err(Fault::InvalidSchema)?;
        let text = if self.request.query.is("normalize") { parsed.normalized() } else { parsed.canonical() };
        Ok((Content { text, ..content }, parsed))
    }
}

/// How a version is called in a path.
#[derive(Clone, Copy)]
pub(super) enum VersionName {
    Latest,
    Number(u32),
}

impl VersionName {
    fn parse(name: &str) -> Result<Self, Fault> {
        if name == "latest" || name == "-1" {
            return Ok(Self::Latest);
        }
        let valid = name.parse().ok().filter(|number| (1..=i32::MAX.unsigned_abs()).contains(number));
        valid.map(Self::Number).ok_or_else(|| Fault::InvalidVersion(name.to_owned()))
    }
}

impl std::fmt::Display for VersionName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

/// Parses a schema with what it refers to.
pub(super) fn parse(state: &State, content: &Content) -> Result<Parsed, String> {
    let mut found = Vec::new();
    follow(state, content, &mut HashSet::new(), &mut found)?;
    Parsed::parse(content.kind, &content.text, &found).map_err(|error| error.to_string())
}

/// Adds what a schema refers to, before what refers to it. Each name counts once: all refer to the same by it.
fn follow<'a>(
    state: &'a State,
    content: &'a Content,
    names: &mut HashSet<&'a str>,
    found: &mut Vec<Referenced>,
) -> Result<(), String> {
    // What is referred to was there before, so there are no cycles; the chain is as long as there are references.
    for SubjectVersion { name, subject, version } in &content.references {
        if !names.insert(name) {
            continue;
        }
        if names.len() > REFERENCES_MAX {
            return Err(format!("there are more than {REFERENCES_MAX} references"));
        }
        let referenced = state.version(subject, *version).and_then(|version| state.content(version.id));
        let referenced = referenced.ok_or_else(|| format!("version {version} of \"{subject}\" does not exist"))?;
        if referenced.kind != content.kind {
            return Err(format!("the reference \"{name}\" is not of the type {}", content.kind));
        }
        follow(state, referenced, names, found)?;
        found.push(Referenced { name: name.clone(), text: referenced.text.clone() });
    }
    Ok(())
}
