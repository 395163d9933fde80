//! A JSON Schema with the schemas that it refers to, and the parts that references lead to.

use std::collections::HashMap;
use std::ptr;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::format::inferred::{REFERENCES_DEEP, SCHEMA_BYTES_MAX};
use crate::schema::{Reference, Schema, SchemaKind, completed};

/// How many schemas may belong together.
const DOCUMENTS_MAX: usize = 1_000;
/// How many steps may lead from one type to another: references, and unions of one.
const STEPS_MAX: usize = 64;
/// How many names an error lists.
const NAMES_LISTED_MAX: usize = 20;

/// The parsed texts of a schema and of those that it refers to; the first one is its own.
pub(super) struct Documents {
    all: Vec<Document>,
}

struct Document {
    root: Value,
    /// The others by the names that it calls them.
    references: HashMap<String, usize>,
}

/// A part of a document that is the schema of a value.
#[derive(Clone, Copy)]
pub(super) struct Node<'d> {
    document: usize,
    pub(super) value: &'d Value,
}

impl PartialEq for Node<'_> {
    /// The same part, not an equal one.
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self.value, other.value)
    }
}

impl Documents {
    /// Parses a schema and everything that it refers to. The error is for users.
    pub(super) fn parse(schema: &Schema) -> Result<Self, String> {
        let mut parser = Parser::default();
        parser.document(schema, 0)?;
        Ok(Self { all: parser.all.into_iter().flatten().collect() })
    }

    /// The whole schema, or the one with this name among its definitions. The title of the schema is its name.
    pub(super) fn named(&self, full_name: Option<&str>) -> Result<Node<'_>, String> {
        let root = self.root();
        let Some(name) = full_name.filter(|name| !name.is_empty()) else { return Ok(root) };
        if root.text("title") == Some(name) {
            return Ok(root);
        }
        let definitions = ["definitions", "$defs"].into_iter().filter_map(|key| root.value.get(key)?.as_object());
        let mut names: Vec<&str> = root.text("title").into_iter().collect();
        for (key, value) in definitions.flatten() {
            if key == name {
                return Ok(Node { value, ..root });
            }
            names.push(key);
        }
        names.truncate(NAMES_LISTED_MAX);
        let found = if names.is_empty() { "there are no names in it".to_owned() } else { names.join(", ") };
        Err(format!("the schema has no type {name}: {found}"))
    }

    fn root(&self) -> Node<'_> {
        Node { document: 0, value: &self.all[0].root }
    }

    /// The type behind references, unions with null and `allOf` with one element.
    pub(super) fn resolve<'d>(&'d self, mut node: Node<'d>) -> Result<Node<'d>, String> {
        for _ in 0..STEPS_MAX {
            node = match self.step(node)? {
                Some(next) => next,
                None => return Ok(node),
            };
        }
        Err(format!("more than {STEPS_MAX} references lead from one to the next"))
    }

    /// The type that stands for this one, if it is not one of its own.
    fn step<'d>(&'d self, node: Node<'d>) -> Result<Option<Node<'d>>, String> {
        if let Some(reference) = node.text("$ref") {
            return self.target(node, reference).map(Some);
        }
        // Beside a type these only restrict it.
        if node.value.get("type").is_some() || node.value.get("properties").is_some() {
            return Ok(None);
        }
        for key in ["oneOf", "anyOf", "allOf"] {
            if let Some(parts) = node.value.get(key).and_then(Value::as_array) {
                let others: Vec<_> = parts.iter().filter(|part| !is_null(part)).collect();
                return match others.as_slice() {
                    [only] => Ok(Some(Node { value: only, ..node })),
                    [] => Err("null alone is not a type of a column".to_owned()),
                    _ => Err(format!("{key} with {} types is not a type of a column", others.len())),
                };
            }
        }
        Ok(None)
    }

    /// The part that a reference leads to.
    pub(super) fn target<'d>(&'d self, node: Node<'d>, reference: &str) -> Result<Node<'d>, String> {
        let (base, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let document = &self.all[node.document];
        let own_id = document.root.get("$id").and_then(Value::as_str);
        let named = |name: &str| document.references.get(name);
        let completed = || named(&completed_in(&document.root, base)?);
        let index = match named(base).or_else(|| named(reference)).or_else(completed) {
            Some(other) => *other,
            None if base.is_empty() || own_id == Some(base) => node.document,
            None => return Err(format!("\"{reference}\" is not among the references of the schema")),
        };
        let value = self.all[index].root.pointer(fragment);
        let value = value.ok_or_else(|| format!("the reference \"{reference}\" leads nowhere"))?;
        Ok(Node { document: index, value })
    }
}

/// A relative name in a document, as its `$id` completes it.
fn completed_in(document: &Value, name: &str) -> Option<String> {
    completed(document.get("$id")?.as_str()?, name)
}

/// True for the schema of null.
pub(super) fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|name| name == "null") || schema.get("const").is_some_and(Value::is_null)
}

impl<'d> Node<'d> {
    /// A text among the members of the schema.
    pub(super) fn text(self, key: &str) -> Option<&'d str> {
        self.value.get(key).and_then(Value::as_str)
    }

    /// The schema that is a member of this one, if it is an object.
    pub(super) fn member(self, key: &str) -> Option<Self> {
        self.value.get(key).filter(|member| member.is_object()).map(|value| Self { value, ..self })
    }

    /// The members of a member.
    pub(super) fn members(self, key: &str) -> Option<&'d Map<String, Value>> {
        self.value.get(key).and_then(Value::as_object)
    }

    /// Another part of the same document.
    pub(super) fn beside(self, value: &'d Value) -> Self {
        Self { value, ..self }
    }
}

#[derive(Default)]
struct Parser {
    /// Those that are being parsed are missing.
    all: Vec<Option<Document>>,
    by_place: HashMap<*const Schema, usize>,
}

impl Parser {
    fn document(&mut self, schema: &Schema, depth: usize) -> Result<usize, String> {
        if schema.kind != SchemaKind::Json {
            return Err(format!("the schema is {}, not {}", schema.kind, SchemaKind::Json));
        }
        if depth > REFERENCES_DEEP {
            return Err(format!("schemas refer to others more than {REFERENCES_DEEP} deep"));
        }
        if schema.text.len() > SCHEMA_BYTES_MAX {
            return Err(format!("the schema has more than {SCHEMA_BYTES_MAX} bytes"));
        }
        if self.all.len() == DOCUMENTS_MAX {
            return Err(format!("the schema refers to more than {DOCUMENTS_MAX} others"));
        }
        let root: Value =
            serde_json::from_str(&schema.text).map_err(|error| format!("the schema is not JSON: {error}"))?;
        let index = self.all.len();
        self.all.push(None);
        let mut references = HashMap::new();
        for Reference { name, schema } in &schema.references {
            // A schema may be referred to by several others.
            let other = match self.by_place.get(&Arc::as_ptr(schema)) {
                Some(known) => *known,
                None => {
                    let within = |error: String| format!("in the reference \"{name}\": {error}");
                    self.document(schema, depth + 1).map_err(within)?
                }
            };
            self.by_place.insert(Arc::as_ptr(schema), other);
            if let Some(name) = completed_in(&root, name) {
                references.entry(name).or_insert(other);
            }
            references.insert(name.clone(), other);
        }
        self.all[index] = Some(Document { root, references });
        Ok(index)
    }
}
