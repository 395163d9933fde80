//! Keywords that combine schemas, and those that list values.
//!
//! Separate because they apply to values of every type. A schema is the conjunction of its parts; the reader must accept
//! by each of its parts what the writer accepts by all of its own, for which it is enough that one of them implies it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::document::{Place, Target};
use super::{Comparison, Difference, accepts_all};

/// Keywords whose meaning is not compared: they may be dropped or stay as they are.
const OPAQUE: [&str; 9] = [
    "if",
    "contains",
    "minContains",
    "maxContains",
    "propertyNames",
    "unevaluatedProperties",
    "unevaluatedItems",
    "dependentRequired",
    "dependentSchemas",
];

impl<'a> Comparison<'a> {
    pub(super) fn combined(&mut self, reader: Place<'a>, writer: Place<'a>, path: &str) {
        self.own_part(reader, writer, path);
        for (i, part) in reader.list("allOf").enumerate() {
            self.conjunct(part, writer, &format!("{path}/allOf/{i}"));
        }
        for keyword in ["anyOf", "oneOf"] {
            if reader.value.get(keyword).is_some() {
                self.sum(reader, keyword, writer, path);
            }
        }
        self.listed(reader, writer, path);
        self.negated(reader, writer, path);
        self.opaque(reader, writer, path);
    }

    /// What the reader says of types. Parts of the writer may imply it where the writer itself says nothing.
    fn own_part(&mut self, reader: Place<'a>, writer: Place<'a>, path: &str) {
        let own = self.attempt(|this| this.typed(reader, writer, path));
        if own.is_empty() {
            return;
        }
        let by_part = |this: &mut Self, part| this.attempt(|this| this.own_part_of(reader, part, path)).is_empty();
        if writer.list("allOf").any(|part| by_part(self, part)) {
            return;
        }
        for keyword in ["anyOf", "oneOf"] {
            let mut branches = writer.list(keyword).peekable();
            if branches.peek().is_some() && branches.all(|branch| by_part(self, branch)) {
                return;
            }
        }
        // Nobody would find types in the writer that its parts rule out.
        let types = self.types_of_parts(writer);
        let of_types = self.attempt(|this| _ = this.lacks_types(reader, &types, path));
        self.found.extend(if of_types.is_empty() { own } else { of_types });
    }

    fn own_part_of(&mut self, reader: Place<'a>, part: Place<'a>, path: &str) {
        let Some(part) = self.writer.target(part) else {
            return self.add("REFERENCE_CHANGED", path, format!("The schema at path '{path}' is elsewhere"));
        };
        self.step(path, |this| this.own_part(reader, part, path));
    }

    /// An element of `allOf`: the writer implies it, or one of its own elements does.
    fn conjunct(&mut self, part: Place<'a>, writer: Place<'a>, path: &str) {
        let whole = self.attempt(|this| this.schemas(part, writer, path));
        if whole.is_empty() {
            return;
        }
        let implied = writer.list("allOf").any(|other| self.attempt(|this| this.schemas(part, other, path)).is_empty());
        if !implied {
            self.found.extend(whole);
            let text = format!("The element of allOf at path '{path}' is not in the writer");
            self.add("PRODUCT_TYPE_EXTENDED", path, text);
        }
    }

    /// `anyOf` and `oneOf`: a branch of the reader accepts each thing that the writer can be.
    fn sum(&mut self, reader: Place<'a>, keyword: &str, writer: Place<'a>, path: &str) {
        let path = format!("{path}/{keyword}");
        let branches: Vec<_> = reader.list(keyword).collect();
        if self.some_branch(&branches, writer, &path).is_none() {
            return;
        }
        let mut missing = None;
        // A value is in a branch of each, so one of them is enough.
        for of_writer in ["anyOf", "oneOf"] {
            let mut of_writer = writer.list(of_writer).peekable();
            if of_writer.peek().is_none() {
                continue;
            }
            match of_writer.find_map(|branch| self.some_branch(&branches, branch, &path)) {
                None => return,
                failed => missing = failed,
            }
        }
        self.found.extend(missing.into_iter().flatten());
        if self.each_type(&branches, writer, &path) {
            return;
        }
        let text = format!("The writer accepts values that no branch at path '{path}' of the reader accepts");
        self.add("SUM_TYPE_NARROWED", &path, text);
    }

    /// What differs from the branch that comes closest; nothing if one accepts all that the writer does.
    fn some_branch(&mut self, branches: &[Place<'a>], writer: Place<'a>, path: &str) -> Option<Vec<Difference>> {
        let mut closest: Option<Vec<Difference>> = None;
        for (i, branch) in branches.iter().enumerate() {
            let found = self.attempt(|this| this.schemas(*branch, writer, &format!("{path}/{i}")));
            if found.is_empty() {
                return None;
            }
            if closest.as_ref().is_none_or(|other| found.len() < other.len()) {
                closest = Some(found);
            }
        }
        Some(closest.unwrap_or_default())
    }

    /// Whether each of several types of the writer is accepted by a branch that says nothing else.
    fn each_type(&mut self, branches: &[Place<'a>], writer: Place<'a>, path: &str) -> bool {
        let types: Vec<&str> = match writer.value.get("type") {
            Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
            _ => return false,
        };
        types.iter().all(|name| {
            branches.iter().any(|branch| {
                let resolved = self.reader.resolve(*branch);
                let (Target::Schema(branch), []) = (resolved.target, &*resolved.beside) else { return false };
                let found = self.attempt(|this| this.typed_as(branch, writer, &[name], path));
                found.is_empty()
                    && branch.value.as_object().is_some_and(|object| {
                        !object
                            .keys()
                            .any(|key| matches!(key.as_str(), "allOf" | "anyOf" | "oneOf" | "not" | "enum" | "const"))
                    })
            })
        })
    }

    /// `enum` and `const`.
    fn listed(&mut self, reader: Place<'a>, writer: Place<'a>, path: &str) {
        let Some(accepted) = values(reader.value) else { return };
        let path = format!("{path}/enum");
        match values(writer.value) {
            Some(written) => {
                let missing: Vec<_> = written.difference(&accepted).cloned().collect();
                if !missing.is_empty() {
                    let list = missing.join(", ");
                    let text = format!("The values [{list}] at path '{path}' are missing in the reader");
                    self.add("ENUM_ARRAY_NARROWED", &path, text);
                }
            }
            None if self.is_listed_by_branches(&accepted, writer) => {}
            None => {
                let text = format!("The reader accepts only some values at path '{path}', the writer accepts others");
                self.add("ENUM_ARRAY_CHANGED", &path, text);
            }
        }
    }

    /// Whether all branches of the writer list values, and the reader accepts them.
    fn is_listed_by_branches(&self, accepted: &BTreeSet<String>, writer: Place<'a>) -> bool {
        let listed = |branch: Place<'a>| {
            let branch = self.writer.target(branch)?;
            values(branch.value).map(|values| values.is_subset(accepted))
        };
        ["anyOf", "oneOf"].iter().any(|keyword| {
            let mut branches = writer.list(keyword).peekable();
            branches.peek().is_some() && branches.all(|branch| listed(branch) == Some(true))
        })
    }

    /// `not`: what the reader excludes, the writer must exclude, too.
    fn negated(&mut self, reader: Place<'a>, writer: Place<'a>, path: &str) {
        let Some(excluded) = reader.get("not") else { return };
        // The other way round would need the documents to change sides, so only the same schema counts.
        if writer.get("not").is_none_or(|other| !self.is_same(excluded, other)) {
            let path = format!("{path}/not");
            self.add("NOT_TYPE_EXTENDED", &path, format!("The reader excludes other values at path '{path}'"));
        }
    }

    fn opaque(&mut self, reader: Place<'a>, writer: Place<'a>, path: &str) {
        for keyword in OPAQUE {
            if reader.value.get(keyword).is_none_or(accepts_all) {
                continue;
            }
            let all: &[&str] = if keyword == "if" { &["if", "then", "else"] } else { &[keyword] };
            let is_same = all.iter().all(|keyword| match (reader.get(keyword), writer.get(keyword)) {
                (Some(reader), Some(writer)) => self.is_same(reader, writer),
                (None, None) => true,
                _ => false,
            });
            if !is_same {
                let path = format!("{path}/{keyword}");
                self.add(
                    "KEYWORD_CHANGED",
                    &path,
                    format!("The keyword at path '{path}' is another one in the reader"),
                );
            }
        }
    }
}

/// The values that a schema lists, if it does, as their texts.
fn values(schema: &Value) -> Option<BTreeSet<String>> {
    match (schema.get("const"), schema.get("enum")) {
        (Some(value), _) => Some(BTreeSet::from([text(value)])),
        (None, Some(Value::Array(values))) => Some(values.iter().map(text).collect()),
        _ => None,
    }
}

/// The text of a value, which is the same for the same value: members of objects have no order.
fn text(value: &Value) -> String {
    let mut value = value.clone();
    value.sort_all_objects();
    value.to_string()
}
