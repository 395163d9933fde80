//! What is said of objects: their properties, and how many there are.
//!
//! Separate because a property that one schema names may be allowed or forbidden by the other without being named.

use std::collections::HashSet;

use regex::RegexBuilder;
use serde_json::Value;

use super::super::document::Place;
use super::super::segment;
use super::{Comparison, accepts_all};

const BOUNDS: [(&str, bool, &str, &str); 2] = [
    ("maxProperties", true, "MAX_PROPERTIES_ADDED", "MAX_PROPERTIES_DECREASED"),
    ("minProperties", false, "MIN_PROPERTIES_ADDED", "MIN_PROPERTIES_INCREASED"),
];

/// How large a compiled pattern may be, in bytes.
const PATTERN_BYTES_MAX: usize = 1 << 18;

/// How many names and patterns are tried with each other.
const MATCHES_MAX: usize = 20_000;

/// What an object schema says of a property that it does not name.
#[derive(Clone, Copy)]
enum Unnamed<'a> {
    /// Any value: an open content model.
    Open,
    /// No value: a closed content model.
    Closed,
    /// Some values: a partially open content model.
    Schema(Place<'a>),
}

impl<'a> Comparison<'a> {
    pub(super) fn objects(&mut self, reader: Place<'a>, writer: Place<'a>, path: &str) {
        self.bounds(&BOUNDS, reader, writer, path);
        self.properties(reader, writer, path);
        self.required(reader, writer, path);
        self.patterns(reader, writer, path);
        self.additional(reader, writer, path);
        self.dependencies(reader, writer, path);
    }

    fn properties(&mut self, reader: Place<'a>, writer: Place<'a>, path: &str) {
        let count = |keyword| members(reader, keyword).count() + members(writer, keyword).count();
        if count("properties") * count("patternProperties") > MATCHES_MAX {
            return self.say("SCHEMA_TOO_COMPLEX", path);
        }
        for (name, written) in members(writer, "properties") {
            let path = format!("{path}/properties/{}", segment(name));
            match property(reader, name) {
                Some(read) => self.schemas(read, written, &path),
                None => self.dropped(unnamed(reader, name), written, &path),
            }
        }
        for (name, read) in members(reader, "properties") {
            if property(writer, name).is_none() {
                self.added(read, unnamed(writer, name), &format!("{path}/properties/{}", segment(name)));
            }
        }
    }

    /// A property that only the writer names.
    fn dropped(&mut self, reader: Unnamed<'a>, written: Place<'a>, path: &str) {
        match reader {
            Unnamed::Open => {}
            Unnamed::Closed if written.value == &Value::Bool(false) => {}
            Unnamed::Closed => self.say("PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL", path),
            Unnamed::Schema(read) => {
                if !self.attempt(|this| this.schemas(read, written, path)).is_empty() {
                    self.say("PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", path);
                }
            }
        }
    }

    /// A property that only the reader names.
    fn added(&mut self, read: Place<'a>, writer: Unnamed<'a>, path: &str) {
        match writer {
            Unnamed::Closed => {}
            Unnamed::Open if accepts_all(read.value) => {}
            Unnamed::Open => self.say("PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL", path),
            Unnamed::Schema(written) => {
                if !self.attempt(|this| this.schemas(read, written, path)).is_empty() {
                    self.say("PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", path);
                }
            }
        }
    }

    fn required(&mut self, reader: Place<'a>, writer: Place<'a>, path: &str) {
        let before = names(writer);
        for name in reader.list("required").filter_map(|name| name.value.as_str()).filter(|name| !before.contains(name))
        {
            // Whoever reads can use the default.
            let has_default = property(reader, name).is_some_and(|place| place.value.get("default").is_some());
            if !has_default {
                let is_known = property(writer, name).is_some();
                let kind = if is_known {
                    "REQUIRED_ATTRIBUTE_ADDED"
                } else {
                    "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL"
                };
                self.say(kind, &format!("{path}/required/{}", segment(name)));
            }
        }
    }

    fn patterns(&mut self, reader: Place<'a>, writer: Place<'a>, path: &str) {
        for (pattern, read) in members(reader, "patternProperties") {
            let path = format!("{path}/patternProperties/{}", segment(pattern));
            let same = writer.get("patternProperties").and_then(|patterns| patterns.get(pattern));
            match (same, additional_of(writer)) {
                (Some(written), _) => self.schemas(read, written, &path),
                (None, Unnamed::Closed) => {}
                (None, Unnamed::Schema(written)) => self.schemas(read, written, &path),
                (None, Unnamed::Open) if accepts_all(read.value) => {}
                (None, Unnamed::Open) => self.say("PATTERN_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL", &path),
            }
        }
        for (pattern, written) in members(writer, "patternProperties") {
            let kept = reader.get("patternProperties").is_some_and(|patterns| patterns.get(pattern).is_some());
            if !kept {
                self.dropped(additional_of(reader), written, &format!("{path}/patternProperties/{}", segment(pattern)));
            }
        }
    }

    fn additional(&mut self, reader: Place<'a>, writer: Place<'a>, path: &str) {
        let path = format!("{path}/additionalProperties");
        match (additional_of(reader), additional_of(writer)) {
            (Unnamed::Open, _) | (_, Unnamed::Closed) => {}
            (Unnamed::Closed, _) => self.say("ADDITIONAL_PROPERTIES_REMOVED", &path),
            (Unnamed::Schema(_), Unnamed::Open) => self.say("ADDITIONAL_PROPERTIES_NARROWED", &path),
            (Unnamed::Schema(read), Unnamed::Schema(written)) => self.schemas(read, written, &path),
        }
    }

    fn dependencies(&mut self, reader: Place<'a>, writer: Place<'a>, path: &str) {
        for (name, read) in members(reader, "dependencies") {
            let path = format!("{path}/dependencies/{}", segment(name));
            let written = writer.get("dependencies").and_then(|all| all.get(name));
            match (read.value, written.map(|place| place.value)) {
                (_, None) => self.say("DEPENDENCY_ADDED", &path),
                (Value::Array(read), Some(Value::Array(written))) => {
                    let written: HashSet<_> = written.iter().filter_map(Value::as_str).collect();
                    if !read.iter().filter_map(Value::as_str).all(|name| written.contains(name)) {
                        self.say("DEPENDENCY_ARRAY_EXTENDED", &path);
                    }
                }
                (read, Some(written)) if read == written => {}
                _ => self.say("DEPENDENCY_CHANGED", &path),
            }
        }
    }
}

/// The members of an object under a keyword.
fn members<'a>(place: Place<'a>, keyword: &str) -> impl Iterator<Item = (&'a str, Place<'a>)> {
    let members = place.value.get(keyword).and_then(Value::as_object).into_iter().flatten();
    members.map(move |(name, value)| (name.as_str(), place.at(value)))
}

fn property<'a>(place: Place<'a>, name: &str) -> Option<Place<'a>> {
    place.get("properties").and_then(|properties| properties.get(name))
}

fn names(place: Place<'_>) -> HashSet<&str> {
    place.value.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// What a schema says of a property that it does not name: the pattern that fits, or what is said of all others.
fn unnamed<'a>(place: Place<'a>, name: &str) -> Unnamed<'a> {
    let fits = |pattern: &str| {
        let compiled = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build();
        compiled.is_ok_and(|compiled| compiled.is_match(name))
    };
    let pattern = members(place, "patternProperties").find(|(pattern, _)| fits(pattern));
    match pattern {
        Some((_, schema)) if accepts_all(schema.value) => Unnamed::Open,
        Some((_, schema)) => Unnamed::Schema(schema),
        None => additional_of(place),
    }
}

fn additional_of(place: Place<'_>) -> Unnamed<'_> {
    match place.get("additionalProperties") {
        None => Unnamed::Open,
        Some(schema) if accepts_all(schema.value) => Unnamed::Open,
        Some(schema) if schema.value == &Value::Bool(false) => Unnamed::Closed,
        Some(schema) => Unnamed::Schema(schema),
    }
}
