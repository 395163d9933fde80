//! The documents of a JSON schema, and what a `$ref` in one of them means.
//!
//! Separate because a reference leads from one document to another: a schema is known together with its document.

use std::borrow::Cow;
use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::super::InvalidSchema;

/// A schema and those that it may refer to.
#[derive(Debug)]
pub(super) struct Documents {
    /// The first is the schema itself.
    all: Vec<Value>,
    /// The others by what they are called, and by their own ids.
    by_name: HashMap<String, usize>,
    /// Schemas inside of documents by their `$id` or `$anchor`, as document and pointer.
    by_id: HashMap<(usize, String), String>,
}

/// A schema in a document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) document: usize,
    pub(super) value: &'a Value,
}

/// How many references are followed from one to the next.
const CHAIN_MAX: usize = 64;

impl Documents {
    pub(super) fn new(root: Value, others: Vec<(String, Value)>) -> Self {
        let mut documents = Self { all: vec![root], by_name: HashMap::new(), by_id: HashMap::new() };
        for (name, other) in others {
            documents.by_name.insert(name, documents.all.len());
            documents.all.push(other);
        }
        for (i, document) in documents.all.iter().enumerate() {
            if let Some(id) = id(document) {
                documents.by_name.entry(id.trim_end_matches('#').to_owned()).or_insert(i);
            }
            collect_ids(document, i, &mut Vec::new(), &mut documents.by_id);
        }
        documents
    }

    pub(super) fn root(&self) -> &Value {
        &self.all[0]
    }

    pub(super) fn start(&self) -> Place<'_> {
        Place { document: 0, value: self.root() }
    }

    /// Follows the references of a schema. `None` if one leads nowhere, or in a circle.
    pub(super) fn resolve<'a>(&'a self, place: Place<'a>) -> Option<Place<'a>> {
        let mut place = place;
        for _ in 0..CHAIN_MAX {
            let Some(reference) = place.value.get("$ref").and_then(Value::as_str) else { return Some(place) };
            place = self.find(place.document, reference)?;
        }
        None
    }

    fn find(&self, document: usize, reference: &str) -> Option<Place<'_>> {
        let (name, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        if fragment.is_empty()
            && let Some(place) = self.with_id(document, name)
        {
            return Some(place);
        }
        let document = if name.is_empty() { document } else { self.named(name)? };
        if let Some(place) = self.with_id(document, fragment) {
            return Some(place);
        }
        let pointer = percent_decode_str(fragment).decode_utf8().ok()?;
        let value = self.all[document].pointer(&pointer)?;
        Some(Place { document, value })
    }

    fn with_id(&self, document: usize, id: &str) -> Option<Place<'_>> {
        let pointer = self.by_id.get(&(document, id.to_owned()))?;
        self.all[document].pointer(pointer).map(|value| Place { document, value })
    }

    /// A document by its name, or by the last part of it, which is what an `$id` makes of a relative name.
    fn named(&self, name: &str) -> Option<usize> {
        let last = name.rsplit('/').next().unwrap_or(name);
        self.by_name.get(name).or_else(|| self.by_name.get(last)).copied()
    }

    /// Rejects references that lead nowhere. Those to other sites are left alone: nothing here goes there.
    pub(super) fn check_references(&self) -> Result<(), InvalidSchema> {
        let mut open = vec![self.root()];
        while let Some(value) = open.pop() {
            if let Some(reference) = value.get("$ref").and_then(Value::as_str)
                && !reference.contains("://")
                && self.find(0, reference).is_none()
            {
                return Err(InvalidSchema(format!("the reference \"{reference}\" leads nowhere")));
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

fn id(schema: &Value) -> Option<&str> {
    ["$id", "id"].iter().find_map(|word| schema.get(word)?.as_str())
}

/// Remembers where ids and anchors are. The way down is made a pointer only where there is one.
fn collect_ids<'a>(
    value: &'a Value,
    document: usize,
    way: &mut Vec<Cow<'a, str>>,
    ids: &mut HashMap<(usize, String), String>,
) {
    let own = id(value).filter(|_| !way.is_empty()).map(|id| id.trim_start_matches('#'));
    for id in own.into_iter().chain(value.get("$anchor").and_then(Value::as_str)) {
        ids.entry((document, id.to_owned())).or_insert_with(|| pointer(way));
    }
    match value {
        Value::Array(values) => {
            for (i, value) in values.iter().enumerate() {
                way.push(i.to_string().into());
                collect_ids(value, document, way, ids);
                way.pop();
            }
        }
        Value::Object(object) => {
            for (name, value) in object {
                way.push(name.as_str().into());
                collect_ids(value, document, way, ids);
                way.pop();
            }
        }
        _ => {}
    }
}

fn pointer(way: &[Cow<'_, str>]) -> String {
    way.iter().map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1"))).collect()
}
