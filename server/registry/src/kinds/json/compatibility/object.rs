//! What is said of objects: their properties, and how many there are.
//!
//! Separate because a property that one schema names may be allowed or forbidden by the other without being named.

use std::collections::HashSet;

use serde_json::Value;

use super::super::document::Place;
use super::super::segment;
use super::patterns::{Fit, are_disjoint};
use super::{Comparison, accepts_all};

const BOUNDS: [(&str, bool, &str, &str); 2] = [
    ("maxProperties", true, "MAX_PROPERTIES_ADDED", "MAX_PROPERTIES_DECREASED"),
    ("minProperties", false, "MIN_PROPERTIES_ADDED", "MIN_PROPERTIES_INCREASED"),
];

/// What an object schema says of a property.
enum Said<'a> {
    /// It may have any value: an open content model, if the property is not named.
    Open,
    /// It may not be there: a closed content model.
    Closed,
    /// Its value must be valid by all of these: a partially open content model, if the property is not named.
    Schemas(Vec<Place<'a>>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Reader,
    Writer,
}

impl<'a> Comparison<'a> {
    pub(super) fn objects(&mut self, reader: Place<'a>, writer: Place<'a>, path: &str) {
        self.bounds(&BOUNDS, reader, writer, path);
        for (pattern, _) in [reader, writer].into_iter().flat_map(|object| members(object, "patternProperties")) {
            let steps = self.patterns.compile(pattern);
            if self.is_too_much(steps) {
                return self.say("SCHEMA_TOO_COMPLEX", path);
            }
        }
        self.properties(reader, writer, path);
        self.required(reader, writer, path);
        self.pattern_properties(reader, writer, path);
        self.additional(reader, writer, path);
        self.dependencies(reader, writer, path);
    }

    fn properties(&mut self, reader: Place<'a>, writer: Place<'a>, path: &str) {
        for (name, written) in members(writer, "properties") {
            let path = format!("{path}/properties/{}", segment(name));
            let writes = match self.said(writer, Side::Writer, name) {
                Said::Schemas(writes) => writes,
                Said::Open | Said::Closed => vec![written],
            };
            match self.said(reader, Side::Reader, name) {
                Said::Schemas(reads) if property(reader, name).is_some() => self.all(&reads, &writes, &path),
                reads => self.dropped(&reads, &writes, &path),
            }
            if self.patterns.is_exhausted() {
                return self.say("SCHEMA_TOO_COMPLEX", &path);
            }
        }
        for (name, read) in members(reader, "properties").filter(|(name, _)| property(writer, name).is_none()) {
            let path = format!("{path}/properties/{}", segment(name));
            let reads = match self.said(reader, Side::Reader, name) {
                Said::Schemas(reads) => reads,
                Said::Open | Said::Closed => vec![read],
            };
            let writes = self.said(writer, Side::Writer, name);
            self.added(&reads, &writes, &path);
            if self.patterns.is_exhausted() {
                return self.say("SCHEMA_TOO_COMPLEX", &path);
            }
        }
    }

    /// What a schema says of a property: by its name and by all patterns that fit, or else as of all others.
    fn said(&mut self, object: Place<'a>, side: Side, name: &str) -> Said<'a> {
        let named = property(object, name);
        let (mut is_said, mut may_be_said) = (named.is_some(), false);
        let mut schemas: Vec<_> = named.into_iter().collect();
        for (pattern, schema) in members(object, "patternProperties") {
            match self.patterns.fit(pattern, name) {
                Fit::Yes => {
                    is_said = true;
                    schemas.push(schema);
                }
                Fit::No => {}
                Fit::Unknown => may_be_said = true,
            }
        }
        schemas.retain(|schema| !accepts_all(schema.value));
        match is_said {
            true if schemas.is_empty() => Said::Open,
            true => Said::Schemas(schemas),
            // If the pattern fits, what is said of all others does not count. That of a reader is a difference of its own.
            false if may_be_said && side == Side::Writer => Said::Open,
            false => additional_of(object),
        }
    }

    /// Each of the reader's schemas is implied by one of the writer's, of which there is at least one.
    fn all(&mut self, reads: &[Place<'a>], writes: &[Place<'a>], path: &str) {
        let [written, others @ ..] = writes else { return };
        for read in reads {
            let found = self.attempt(|this| this.schemas(*read, *written, path));
            let mut implies = |other: &Place<'a>| self.attempt(|this| this.schemas(*read, *other, path)).is_empty();
            if !found.is_empty() && !others.iter().any(&mut implies) {
                self.found.extend(found);
            }
        }
    }

    /// A property that only the writer names.
    fn dropped(&mut self, reader: &Said<'a>, writes: &[Place<'a>], path: &str) {
        match reader {
            Said::Open => {}
            Said::Closed if writes.iter().any(|written| written.value == &Value::Bool(false)) => {}
            Said::Closed => self.say("PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL", path),
            Said::Schemas(reads) => {
                if !self.attempt(|this| this.all(reads, writes, path)).is_empty() {
                    self.say("PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", path);
                }
            }
        }
    }

    /// A property that only the reader names.
    fn added(&mut self, reads: &[Place<'a>], writer: &Said<'a>, path: &str) {
        match writer {
            Said::Closed => {}
            Said::Open if reads.iter().all(|read| accepts_all(read.value)) => {}
            Said::Open => self.say("PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL", path),
            Said::Schemas(writes) => {
                if !self.attempt(|this| this.all(reads, writes, path)).is_empty() {
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

    fn pattern_properties(&mut self, reader: Place<'a>, writer: Place<'a>, path: &str) {
        for (pattern, read) in members(reader, "patternProperties").filter(|(_, read)| !accepts_all(read.value)) {
            let path = format!("{path}/patternProperties/{}", segment(pattern));
            match writer.get("patternProperties").and_then(|patterns| patterns.get(pattern)) {
                Some(written) => self.schemas(read, written, &path),
                // Nobody knows which of the writer's properties it is for.
                None if !self.patterns.is_supported(pattern) => self.say("PATTERN_PROPERTY_NOT_SUPPORTED", &path),
                None => self.pattern_added(pattern, read, writer, &path),
            }
        }
        for (pattern, written) in members(writer, "patternProperties") {
            let kept = reader.get("patternProperties").is_some_and(|patterns| patterns.get(pattern).is_some());
            if !kept {
                let path = format!("{path}/patternProperties/{}", segment(pattern));
                self.dropped(&additional_of(reader), &[written], &path);
            }
        }
    }

    /// A pattern that only the reader has. It may fit what patterns of the writer fit, and what is additional there.
    fn pattern_added(&mut self, pattern: &str, read: Place<'a>, writer: Place<'a>, path: &str) {
        let others = members(writer, "patternProperties").filter(|(other, _)| !are_disjoint(pattern, other));
        others.for_each(|(_, written)| self.schemas(read, written, path));
        match additional_of(writer) {
            Said::Closed => {}
            Said::Schemas(writes) => self.all(&[read], &writes, path),
            Said::Open => self.say("PATTERN_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL", path),
        }
    }

    fn additional(&mut self, reader: Place<'a>, writer: Place<'a>, path: &str) {
        let path = format!("{path}/additionalProperties");
        match (additional_of(reader), additional_of(writer)) {
            (Said::Open, _) | (_, Said::Closed) => {}
            (Said::Closed, _) => self.say("ADDITIONAL_PROPERTIES_REMOVED", &path),
            (Said::Schemas(_), Said::Open) => self.say("ADDITIONAL_PROPERTIES_NARROWED", &path),
            (Said::Schemas(reads), Said::Schemas(writes)) => self.all(&reads, &writes, &path),
        }
    }

    fn dependencies(&mut self, reader: Place<'a>, writer: Place<'a>, path: &str) {
        for (name, read) in members(reader, "dependencies") {
            let path = format!("{path}/dependencies/{}", segment(name));
            let written = writer.get("dependencies").and_then(|all| all.get(name));
            match (read.value, written) {
                (_, None) => self.say("DEPENDENCY_ADDED", &path),
                (Value::Array(read), Some(Place { value: Value::Array(written), .. })) => {
                    let written: HashSet<_> = written.iter().filter_map(Value::as_str).collect();
                    if !read.iter().filter_map(Value::as_str).all(|name| written.contains(name)) {
                        self.say("DEPENDENCY_ARRAY_EXTENDED", &path);
                    }
                }
                (_, Some(written)) if self.is_same(read, written) => {}
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

/// What is said of all properties that have no name and fit no pattern.
fn additional_of(place: Place<'_>) -> Said<'_> {
    match place.get("additionalProperties") {
        None => Said::Open,
        Some(schema) if accepts_all(schema.value) => Said::Open,
        Some(schema) if schema.value == &Value::Bool(false) => Said::Closed,
        Some(schema) => Said::Schemas(vec![schema]),
    }
}
