//! The documents of a JSON schema, and what a `$ref` in one of them means.
//!
//! Separate because a reference leads from one document to another: a schema is known together with its document.

use std::collections::HashMap;

use headwater_formats::schema::completed;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::super::InvalidSchema;
use super::is_describing;

/// A schema and those that it may refer to.
#[derive(Debug)]
pub(super) struct Documents {
    /// The first is the schema itself.
    all: Vec<Value>,
    /// The others by what they are called, and by their own ids.
    by_name: HashMap<String, usize>,
    /// Schemas inside of documents by their `$id` or `$anchor`: where the way to each ends.
    by_id: HashMap<(usize, String), usize>,
    /// The ways down to the arrays and objects of all documents. They share their beginnings: a long name around many
    /// ids is kept once.
    ways: Vec<Way>,
}

/// One step down to a value, after those to the value around it, of which there are none at the top of a document.
#[derive(Debug)]
struct Way {
    above: Option<usize>,
    child: Child,
}

#[derive(Debug)]
enum Child {
    Element(usize),
    Member(String),
}

/// A schema in a document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) document: usize,
    pub(super) value: &'a Value,
}

impl<'a> Place<'a> {
    pub(super) fn reference(self) -> Option<&'a str> {
        self.value.get("$ref").and_then(Value::as_str)
    }

    /// Whether there is more beside the `$ref` than what only describes.
    fn restricts_beside_reference(self) -> bool {
        let keywords = self.value.as_object().into_iter().flatten().map(|(keyword, _)| keyword.as_str());
        keywords.into_iter().any(|keyword| keyword != "$ref" && !is_describing(keyword))
    }
}

/// What a schema says: what its `$ref` leads to, and the keywords beside each `$ref` on the way there.
#[derive(Debug)]
pub(super) struct Resolved<'a> {
    pub(super) target: Target<'a>,
    /// Schemas with a `$ref`, which counts no more here: only the keywords beside it do.
    pub(super) beside: Vec<Place<'a>>,
}

/// Where a chain of references ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target<'a> {
    Schema(Place<'a>),
    /// The last reference of a chain that leads to another site, or into a cycle.
    Unknown(&'a str),
}

/// Whether the keywords beside a `$ref` count in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// From draft 2019-09 on.
    Counts,
    /// In the drafts before.
    Ignored,
    /// The document names no draft.
    Unknown,
}

/// How many references are followed from one to the next.
const CHAIN_MAX: usize = 64;

impl Documents {
    pub(super) fn new(root: Value, others: Vec<(String, Value)>) -> Self {
        let mut documents = Self { all: vec![root], by_name: HashMap::new(), by_id: HashMap::new(), ways: Vec::new() };
        for (name, other) in others {
            if let Some(name) = resolved(&documents.all[0], &name) {
                documents.by_name.entry(name).or_insert(documents.all.len());
            }
            documents.by_name.insert(name, documents.all.len());
            documents.all.push(other);
        }
        for (i, document) in documents.all.iter().enumerate() {
            if let Some(id) = id(document) {
                documents.by_name.entry(id.trim_end_matches('#').to_owned()).or_insert(i);
            }
            let mut ids = Ids { document: i, by_id: &mut documents.by_id, ways: &mut documents.ways };
            ids.collect(document, None);
        }
        documents
    }

    pub(super) fn root(&self) -> &Value {
        &self.all[0]
    }

    pub(super) fn start(&self) -> Place<'_> {
        Place { document: 0, value: self.root() }
    }

    /// The schema that the references of a schema lead to, without the keywords beside them. `None` if it is unknown.
    pub(super) fn target<'a>(&'a self, place: Place<'a>) -> Option<Place<'a>> {
        match self.resolve(place).target {
            Target::Schema(target) => Some(target),
            Target::Unknown(_) => None,
        }
    }

    /// Follows the references of a schema.
    pub(super) fn resolve<'a>(&'a self, place: Place<'a>) -> Resolved<'a> {
        let (mut place, mut beside, mut last) = (place, Vec::new(), "");
        for _ in 0..CHAIN_MAX {
            let Some(reference) = place.reference() else {
                return Resolved { target: Target::Schema(place), beside };
            };
            if place.restricts_beside_reference() {
                beside.push(place);
            }
            last = reference;
            match self.find(place.document, reference) {
                Some(next) => place = next,
                None => break,
            }
        }
        Resolved { target: Target::Unknown(last), beside }
    }

    /// Whether the keywords beside a `$ref` count, by the draft of the document or of the schema itself.
    pub(super) fn beside(&self, place: Place<'_>) -> Beside {
        let draft = |document: &Value| document.get("$schema").and_then(Value::as_str).map(str::to_owned);
        match draft(&self.all[place.document]).or_else(|| draft(self.root())) {
            Some(draft) if ["draft-03", "draft-04", "draft-06", "draft-07"].iter().any(|old| draft.contains(old)) => {
                Beside::Ignored
            }
            Some(draft) if ["2019-09", "2020-12"].iter().any(|new| draft.contains(new)) => Beside::Counts,
            _ => Beside::Unknown,
        }
    }

    /// What a reference in a document leads to.
    pub(super) fn find(&self, document: usize, reference: &str) -> Option<Place<'_>> {
        let (name, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        if fragment.is_empty()
            && let Some(place) = self.with_id(document, name)
        {
            return Some(place);
        }
        let document = if name.is_empty() { document } else { self.named(document, name)? };
        if let Some(place) = self.with_id(document, fragment) {
            return Some(place);
        }
        let pointer = percent_decode_str(fragment).decode_utf8().ok()?;
        let value = self.all[document].pointer(&pointer)?;
        Some(Place { document, value })
    }

    fn with_id(&self, document: usize, id: &str) -> Option<Place<'_>> {
        let mut way = Some(*self.by_id.get(&(document, id.to_owned()))?);
        let mut children = Vec::new();
        while let Some(Way { above, child }) = way.map(|way| &self.ways[way]) {
            children.push(child);
            way = *above;
        }
        let value = children.into_iter().rev().try_fold(&self.all[document], |value, child| match child {
            Child::Element(i) => value.get(i),
            Child::Member(name) => value.get(name),
        });
        value.map(|value| Place { document, value })
    }

    /// What a name in a document is the name of: the document called so, or by what the `$id` around it makes of the name; or
    /// else by its last part.
    fn named(&self, document: usize, name: &str) -> Option<usize> {
        let resolved = || resolved(&self.all[document], name).and_then(|name| self.by_name.get(&name));
        let last = name.rsplit('/').next().unwrap_or(name);
        self.by_name.get(name).or_else(resolved).or_else(|| self.by_name.get(last)).copied()
    }

    /// Rejects references that cannot be resolved. Those to other sites are left alone: nothing here goes there.
    pub(super) fn check_references(&self) -> Result<(), InvalidSchema> {
        let mut open = vec![self.root()];
        while let Some(value) = open.pop() {
            if let Some(reference) = value.get("$ref").and_then(Value::as_str)
                && !reference.contains("://")
                && self.find(0, reference).is_none()
            {
                return Err(InvalidSchema(format!("the reference \"{reference}\" cannot be resolved")));
            }
            match value {
                Value::Array(values) => open.extend(values),
                Value::Object(object) => {
                    // What is a value to compare with is not a schema.
                    let schemas = object
                        .iter()
                        .filter(|(name, _)| !matches!(name.as_str(), "enum" | "const" | "default" | "examples"));
                    open.extend(schemas.map(|(_, value)| value));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A relative name in a document, as its `$id` completes it.
fn resolved(document: &Value, name: &str) -> Option<String> {
    completed(id(document)?, name)
}

fn id(schema: &Value) -> Option<&str> {
    ["$id", "id"].iter().find_map(|word| schema.get(word)?.as_str())
}

/// Remembers where the ids and anchors of a document are.
struct Ids<'a> {
    document: usize,
    by_id: &'a mut HashMap<(usize, String), usize>,
    ways: &'a mut Vec<Way>,
}

impl Ids<'_> {
    /// Those in a value, where `way` leads to it.
    fn collect(&mut self, value: &Value, way: Option<usize>) {
        if let Some(way) = way {
            let own = id(value).map(|id| id.trim_start_matches('#'));
            for id in own.into_iter().chain(value.get("$anchor").and_then(Value::as_str)) {
                self.by_id.entry((self.document, id.to_owned())).or_insert(way);
            }
        }
        match value {
            Value::Array(values) => {
                for (i, value) in values.iter().enumerate() {
                    self.collect_child(value, way, || Child::Element(i));
                }
            }
            Value::Object(object) => {
                for (name, value) in object {
                    self.collect_child(value, way, || Child::Member(name.clone()));
                }
            }
            _ => {}
        }
    }

    fn collect_child(&mut self, value: &Value, above: Option<usize>, child: impl FnOnce() -> Child) {
        if value.is_array() || value.is_object() {
            self.ways.push(Way { above, child: child() });
            self.collect(value, Some(self.ways.len() - 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_to_ids_are_not_longer_than_the_text() {
        let ids: Vec<_> = (0..1_000).map(|i| format!(r#"{{"$id":"i{i}"}}"#)).collect();
        let text = format!(r#"{{"{}":{{"allOf":[{}]}}}}"#, "a".repeat(10_000), ids.join(","));
        let documents = Documents::new(serde_json::from_str(&text).expect("it is JSON"), Vec::new());
        let kept = documents.ways.iter().map(|way| match &way.child {
            Child::Element(_) => 0,
            Child::Member(name) => name.len(),
        });
        assert!(kept.sum::<usize>() < text.len());
        let found = documents.find(0, "i999").expect("it is there");
        assert_eq!(found.value, &serde_json::json!({ "$id": "i999" }));
    }
}
