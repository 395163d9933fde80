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
//! Keywords beside a `$ref` count from draft 2019-09 on, and are ignored before. Where a schema names no draft, those of
//! the reader count, and those of the writer only for them.
//!
//! | file | keywords |
//! |---|---|
//! | `combined` | `allOf`, `anyOf`, `oneOf`, `not`, `enum`, `const`, and those that must stay the same |
//! | `scalar` | `type`, lengths, bounds, patterns |
//! | `object` | properties |
//! | `patterns` | which properties the patterns of an object fit |
//! | `array` | items |

mod array;
mod combined;
mod object;
mod patterns;
mod scalar;

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::super::difference::{DIFFERENCES_MAX, Difference};
use super::document::{Beside, Documents, Place, Target};
use super::{JsonSchema, is_describing, shortened};
use patterns::Patterns;

pub(crate) fn differences(reader: &JsonSchema, writer: &JsonSchema) -> Vec<Difference> {
    let mut comparison = Comparison {
        reader: &reader.documents,
        writer: &writer.documents,
        under_way: HashSet::new(),
        failed: HashMap::new(),
        failed_bytes: 0,
        patterns: Patterns::default(),
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

/// How many bytes the differences have that are remembered.
const FAILED_BYTES_MAX: usize = 16 << 20;

struct Comparison<'a> {
    reader: &'a Documents,
    writer: &'a Documents,
    /// Pairs that are being compared: if one appears in itself, whatever differs is found around it.
    under_way: HashSet<Pair>,
    /// The differences of pairs that were compared, as far as there is space for them.
    failed: HashMap<Pair, Vec<Difference>>,
    failed_bytes: usize,
    patterns: Patterns<'a>,
    steps: usize,
    depth: usize,
    found: Vec<Difference>,
}

/// The addresses of two schemas, which live as long as the comparison.
type Pair = (*const Value, *const Value);

impl<'a> Comparison<'a> {
    /// Compares two schemas, and adds what differs to what was found.
    fn schemas(&mut self, reader: Place<'a>, writer: Place<'a>, path: &str) {
        let path = &*shortened(path);
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

    /// Whether there are too many steps with these.
    fn is_too_much(&mut self, steps: usize) -> bool {
        self.steps += steps;
        self.steps > STEPS_MAX
    }

    fn references(&mut self, reader: Place<'a>, writer: Place<'a>, path: &str) {
        if accepts_all(reader.value) || writer.value == &Value::Bool(false) {
            return;
        }
        let (reads, writes) = (self.reader.resolve(reader), self.writer.resolve(writer));
        let of_writer = |counts: &dyn Fn(Beside) -> bool| -> Vec<Place<'a>> {
            writes.beside.iter().copied().filter(|place| counts(self.writer.beside(*place))).collect()
        };
        let certain = of_writer(&|beside| beside == Beside::Counts);
        let all = of_writer(&|beside| beside != Beside::Ignored);
        self.conjuncts(reads.target, writes.target, &certain, path);
        for part in reads.beside {
            // If neither schema names a draft, the keywords beside count in both of them or in none.
            match self.reader.beside(part) {
                Beside::Ignored => {}
                Beside::Counts => self.conjuncts(Target::Schema(part), writes.target, &certain, path),
                Beside::Unknown => self.conjuncts(Target::Schema(part), writes.target, &all, path),
            }
        }
    }

    /// A part of the reader: what the writer's reference leads to implies it, or something beside the reference does.
    fn conjuncts(&mut self, reader: Target<'a>, writer: Target<'a>, beside: &[Place<'a>], path: &str) {
        if beside.is_empty() {
            return self.targets(reader, writer, path);
        }
        let found = self.attempt(|this| this.targets(reader, writer, path));
        let mut implies =
            |other: &Place<'a>| self.attempt(|this| this.targets(reader, Target::Schema(*other), path)).is_empty();
        if !found.is_empty() && !beside.iter().any(&mut implies) {
            self.found.extend(found);
        }
    }

    fn targets(&mut self, reader: Target<'a>, writer: Target<'a>, path: &str) {
        match (reader, writer) {
            (Target::Schema(reader), _) if accepts_all(reader.value) => {}
            (Target::Schema(reader), Target::Schema(writer)) => self.pair(reader, writer, path),
            // The same reference to another site is the same schema.
            (Target::Unknown(reader), Target::Unknown(writer)) if reader == writer => {}
            _ => {
                let text = format!("The reference at path '{path}' is another one in the reader");
                self.add("REFERENCE_CHANGED", path, text);
            }
        }
    }

    /// Compares two schemas without references, or what is beside them.
    fn pair(&mut self, r: Place<'a>, w: Place<'a>, path: &str) {
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
        let failed = &self.found[before..];
        let bytes: usize = failed.iter().map(|found| found.path.len() + found.description.len()).sum();
        if !failed.is_empty() && self.failed_bytes + bytes <= FAILED_BYTES_MAX {
            self.failed_bytes += bytes;
            self.failed.insert(pair, failed.to_vec());
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

    /// Whether two schemas are the same text, and what they refer to, too.
    fn is_same(&mut self, reader: Place<'a>, writer: Place<'a>) -> bool {
        /// How many values of a text are one step of the comparison.
        const STEP_VALUES: usize = 16;
        let (mut open, mut seen) = (vec![(reader, writer)], HashSet::new());
        while let Some((reader, writer)) = open.pop() {
            if !seen.insert((std::ptr::from_ref(reader.value), std::ptr::from_ref(writer.value))) {
                continue;
            }
            if reader.value != writer.value {
                return false;
            }
            let (mut values, mut count) = (vec![reader.value], 0);
            while let Some(value) = values.pop() {
                count += 1;
                if let Some(reference) = reader.at(value).reference() {
                    match (self.reader.find(reader.document, reference), self.writer.find(writer.document, reference)) {
                        (Some(reader), Some(writer)) => open.push((reader, writer)),
                        (None, None) => {}
                        _ => return false,
                    }
                }
                match value {
                    Value::Array(elements) => values.extend(elements),
                    Value::Object(members) => values.extend(members.values()),
                    _ => {}
                }
            }
            if self.is_too_much(1 + count / STEP_VALUES) {
                return false;
            }
        }
        true
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
        Value::Object(object) => object.keys().all(|keyword| is_describing(keyword)),
        _ => false,
    }
}

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
