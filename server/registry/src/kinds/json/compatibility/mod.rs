//! Whether one JSON schema accepts every value that another one does.
//!
//! Separate from the schemas themselves: these are the rules. They are those of Confluent's registry, whose names for
//! differences they have, and err on the side of a difference. A new schema may
//!
//! * widen: types, enums, bounds, lengths, `items`, `additionalProperties`, more branches of `anyOf` and `oneOf`;
//! * drop: keywords, entries of `required`, elements of `allOf`;
//! * add a property where the old schema is closed (`additionalProperties: false`), or allows it only values that the
//!   new one accepts; where it is open, such a property may already be there with any value;
//! * drop a property where it is itself open, or allows what the property was;
//! * require a property that has a default.
//!
//! `oneOf` counts as `anyOf`. `format` and what only describes count for nothing. `if`, `contains`, `propertyNames`,
//! `unevaluatedProperties` and the like may be dropped but not changed.
//!
//! | file | keywords |
//! |---|---|
//! | `combined` | `allOf`, `anyOf`, `oneOf`, `not`, `enum`, `const`, and those that must stay the same |
//! | `scalar` | `type`, lengths, bounds, patterns |
//! | `object` | properties |
//! | `array` | items |

mod array;
mod combined;
mod object;
mod scalar;

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::super::difference::{DIFFERENCES_MAX, Difference};
use super::JsonSchema;
use super::document::{Documents, Place};

pub(crate) fn differences(reader: &JsonSchema, writer: &JsonSchema) -> Vec<Difference> {
    let mut comparison = Comparison {
        reader: &reader.documents,
        writer: &writer.documents,
        under_way: HashSet::new(),
        failed: HashMap::new(),
        steps: 0,
        depth: 0,
        found: Vec::new(),
    };
    comparison.schemas(reader.documents.start(), writer.documents.start(), "#");
    comparison.found
}

/// How many pairs of schemas are compared, and how many inside each other, before they count as different.
const STEPS_MAX: usize = 50_000;
const DEPTH_MAX: usize = 100;

struct Comparison<'a> {
    reader: &'a Documents,
    writer: &'a Documents,
    /// Pairs that are being compared: if one appears in itself, whatever differs is found around it.
    under_way: HashSet<Pair>,
    failed: HashMap<Pair, Vec<Difference>>,
    steps: usize,
    depth: usize,
    found: Vec<Difference>,
}

/// The addresses of two schemas, which live as long as the comparison.
type Pair = (*const Value, *const Value);

impl<'a> Comparison<'a> {
    /// Compares two schemas, and adds what differs to what was found.
    fn schemas(&mut self, reader: Place<'a>, writer: Place<'a>, path: &str) {
        self.step(path, |this| this.references(reader, writer, path));
    }

    /// A step of the comparison, unless there were too many.
    fn step(&mut self, path: &str, compare: impl FnOnce(&mut Self)) {
        self.steps += 1;
        if self.steps > STEPS_MAX || self.depth >= DEPTH_MAX {
            return self.add("SCHEMA_TOO_COMPLEX", path, "The schemas are too complex to be compared");
        }
        self.depth += 1;
        compare(self);
        self.depth -= 1;
    }

    fn references(&mut self, reader: Place<'a>, writer: Place<'a>, path: &str) {
        if accepts_all(reader.value) || writer.value == &Value::Bool(false) {
            return;
        }
        let (Some(r), Some(w)) = (self.reader.resolve(reader), self.writer.resolve(writer)) else {
            // They lead to another site. The same one is the same schema.
            if reader.value.get("$ref") != writer.value.get("$ref") {
                self.add(
                    "REFERENCE_CHANGED",
                    path,
                    format!("The reference at path '{path}' is another one in the reader"),
                );
            }
            return;
        };
        let pair = (std::ptr::from_ref(r.value), std::ptr::from_ref(w.value));
        if let Some(failed) = self.failed.get(&pair) {
            self.found.extend_from_slice(&failed.clone());
            return self.found.truncate(DIFFERENCES_MAX);
        }
        if !self.under_way.insert(pair) {
            return;
        }
        let before = self.found.len();
        self.resolved(r, w, path);
        self.under_way.remove(&pair);
        if self.found.len() > before {
            self.failed.insert(pair, self.found[before..].to_vec());
        }
    }

    fn resolved(&mut self, reader: Place<'a>, writer: Place<'a>, path: &str) {
        if accepts_all(reader.value) || writer.value == &Value::Bool(false) {
            return;
        }
        if reader.value == &Value::Bool(false) {
            let text = format!("The reader accepts no value at path '{path}'");
            return self.add("TYPE_CHANGED", path, text);
        }
        self.combined(reader, writer, path);
    }

    /// What differs between two schemas, without counting it yet.
    fn attempt(&mut self, compare: impl FnOnce(&mut Self)) -> Vec<Difference> {
        let before = self.found.len();
        compare(self);
        self.found.split_off(before.min(self.found.len()))
    }

    fn add(&mut self, kind: &'static str, path: &str, description: impl Into<String>) {
        // Attempts rely on a difference being there, so the limit is not exact.
        if self.found.len() < DIFFERENCES_MAX * 2 {
            self.found.push(Difference::new(kind, path, description));
        }
    }
}

/// Whether a schema accepts every value.
fn accepts_all(schema: &Value) -> bool {
    match schema {
        Value::Bool(accepts) => *accepts,
        Value::Object(object) => object.keys().all(|keyword| DESCRIBING.contains(&keyword.as_str())),
        _ => false,
    }
}

/// Keywords that no value is checked against.
const DESCRIBING: [&str; 16] = [
    "$schema",
    "$id",
    "id",
    "$comment",
    "title",
    "description",
    "default",
    "examples",
    "readOnly",
    "writeOnly",
    "deprecated",
    "definitions",
    "$defs",
    "$anchor",
    "format",
    "connect.type",
];

impl<'a> Place<'a> {
    /// The schema under a keyword.
    fn get(self, keyword: &str) -> Option<Place<'a>> {
        self.value.get(keyword).map(|value| self.at(value))
    }

    fn at(self, value: &'a Value) -> Self {
        Place { document: self.document, value }
    }

    /// The schemas in an array under a keyword.
    fn list(self, keyword: &str) -> impl Iterator<Item = Place<'a>> {
        self.value.get(keyword).and_then(Value::as_array).into_iter().flatten().map(move |value| self.at(value))
    }

    fn number(self, keyword: &str) -> Option<f64> {
        self.value.get(keyword).and_then(Value::as_f64)
    }
}
