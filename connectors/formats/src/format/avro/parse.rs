//! Parses the JSON of an Avro schema, as Avro's Java library reads it.
//!
//! Our own parser and not the one of `apache-avro`, because that one drops what ksqlDB uses (a decimal without a
//! precision has 64 digits) and refuses schemas that Java's producers register (defaults of another type), and for
//! the paths in its errors. Tests compare the two.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::logical;
use super::schema::{Aliases, AvroSchema, Enum, Field, Fixed, Kind, Node, NodeId, Record};
use crate::format::inferred::{REFERENCES_DEEP, SCHEMA_BYTES_MAX};
use crate::schema::{Reference, Schema, SchemaKind, is_avro_name};

impl AvroSchema {
    /// Parses a schema with everything that it refers to. The error says what is wrong and where, for users.
    pub fn parse(schema: &Schema) -> Result<Self, String> {
        if schema.kind != SchemaKind::Avro {
            return Err(format!("the schema is {}, not {}", schema.kind, SchemaKind::Avro));
        }
        let mut parser = Parser::default();
        parser.references(&schema.references, 0)?;
        let root = parser.text(&schema.text)?;
        Ok(Self { nodes: parser.nodes, root })
    }

    /// Parses a schema that refers to no other.
    pub fn parse_text(text: &str) -> Result<Self, String> {
        let mut parser = Parser::default();
        let root = parser.text(text)?;
        Ok(Self { nodes: parser.nodes, root })
    }
}

#[derive(Default)]
struct Parser {
    nodes: Vec<Node>,
    /// The schemas that were referred to so far: several others may refer to one, by different names.
    referred: HashSet<*const Schema>,
    /// Named types by their full names.
    named: HashMap<String, NodeId>,
}

impl Parser {
    fn references(&mut self, references: &[Reference], depth: usize) -> Result<(), String> {
        if depth > REFERENCES_DEEP {
            return Err(format!("schemas refer to others more than {REFERENCES_DEEP} deep"));
        }
        for Reference { name, schema } in references {
            if self.referred.insert(Arc::as_ptr(schema)) && !self.named.contains_key(name) {
                let within = |error: String| format!("in the reference \"{name}\": {error}");
                self.references(&schema.references, depth + 1).map_err(within)?;
                self.text(&schema.text).map_err(within)?;
            }
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<NodeId, String> {
        if text.len() > SCHEMA_BYTES_MAX {
            return Err(format!("the schema has more than {SCHEMA_BYTES_MAX} bytes"));
        }
        // A bare name is a schema, too, and the registry keeps it with or without its quotes.
        let value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(_) if is_full_name(text.trim()) => Value::String(text.trim().to_owned()),
            Err(error) => return Err(format!("the schema is not JSON: {error}")),
        };
        self.schema(&value, "")
    }

    /// A type in a namespace.
    fn schema(&mut self, value: &Value, namespace: &str) -> Result<NodeId, String> {
        match value {
            Value::String(name) => self.named_type(name, namespace),
            Value::Array(branches) => self.union(branches, namespace),
            Value::Object(object) => self.object(object, namespace),
            other => Err(format!("expected a type, found {other}")),
        }
    }

    fn push(&mut self, kind: Kind) -> NodeId {
        let is_empty = match &kind {
            Kind::Null => true,
            Kind::Fixed(fixed) => fixed.size == 0,
            // Each field is complete, or a record around this one, which cannot be without bytes.
            Kind::Record(record) => record.fields.iter().all(|field| self.nodes[field.node.0 as usize].is_empty),
            _ => false,
        };
        self.nodes.push(Node { kind, logical: None, is_empty });
        NodeId((self.nodes.len() - 1) as u32)
    }

    fn named_type(&mut self, name: &str, namespace: &str) -> Result<NodeId, String> {
        if let Some(kind) = primitive(name) {
            return Ok(self.push(kind));
        }
        let found = self.named.get(&qualified(name, namespace)).or_else(|| self.named.get(name));
        found.copied().ok_or_else(|| format!("the type \"{name}\" is not defined"))
    }

    fn union(&mut self, branches: &[Value], namespace: &str) -> Result<NodeId, String> {
        let mut ids = Vec::with_capacity(branches.len());
        let mut seen = HashSet::with_capacity(branches.len());
        for branch in branches {
            let id = self.schema(branch, namespace)?;
            let kind = &self.nodes[id.0 as usize].kind;
            let name = full_name_of(kind).unwrap_or(kind.type_name()).to_owned();
            match kind {
                Kind::Union(_) => return Err("a union cannot contain a union".to_owned()),
                _ if seen.contains(&name) => return Err(format!("\"{name}\" appears twice in a union")),
                _ => {}
            }
            seen.insert(name);
            ids.push(id);
        }
        Ok(self.push(Kind::Union(ids)))
    }

    fn object(&mut self, object: &Map<String, Value>, namespace: &str) -> Result<NodeId, String> {
        let id = match object.get("type") {
            None => return Err("a type has no \"type\"".to_owned()),
            Some(Value::String(name)) => match name.as_str() {
                "record" | "error" => return self.record(object, namespace),
                "enum" => self.enumeration(object, namespace)?,
                "fixed" => self.fixed(object, namespace)?,
                "array" => {
                    let items = object.get("items").ok_or("an array has no \"items\"")?;
                    let items = self.schema(items, namespace).map_err(|error| within("items", &error))?;
                    self.push(Kind::Array(items))
                }
                "map" => {
                    let values = object.get("values").ok_or("a map has no \"values\"")?;
                    let values = self.schema(values, namespace).map_err(|error| within("values", &error))?;
                    self.push(Kind::Map(values))
                }
                name => self.named_type(name, namespace)?,
            },
            Some(nested) => self.schema(nested, namespace)?,
        };
        let is_definition = object.get("type").is_some_and(|name| name == "fixed");
        let node = &mut self.nodes[id.0 as usize];
        // A fixed that is only referred to has the logical type of its definition.
        if node.logical.is_none() && (is_definition || full_name_of(&node.kind).is_none()) {
            node.logical = logical::of(&node.kind, object);
        }
        Ok(id)
    }

    fn enumeration(&mut self, object: &Map<String, Value>, namespace: &str) -> Result<NodeId, String> {
        let (full_name, _) = declared_name(object, namespace, "enum")?;
        let symbols = object.get("symbols").and_then(Value::as_array);
        let symbols = symbols.ok_or_else(|| format!("enum {full_name} has no array of \"symbols\""))?;
        let symbol = |value: &Value| value.as_str().map(Box::from);
        let symbols: Option<Vec<Box<str>>> = symbols.iter().map(symbol).collect();
        let symbols = symbols.ok_or_else(|| format!("a symbol of enum {full_name} is not a string"))?;
        let mut sorted: Vec<_> = symbols.iter().collect();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("\"{}\" appears twice in enum {full_name}", twice[0]));
        }
        let default = object.get("default").and_then(Value::as_str).map(Box::from);
        let id =
            self.push(Kind::Enum(Enum { full_name: full_name.clone(), aliases: aliases(object), symbols, default }));
        self.define(full_name, id)
    }

    fn fixed(&mut self, object: &Map<String, Value>, namespace: &str) -> Result<NodeId, String> {
        let (full_name, _) = declared_name(object, namespace, "fixed")?;
        let size = object.get("size").and_then(Value::as_u64).and_then(|size| i32::try_from(size).ok());
        let size = size.ok_or_else(|| format!("fixed {full_name} has no valid \"size\""))? as usize;
        let id = self.push(Kind::Fixed(Fixed { full_name: full_name.clone(), aliases: aliases(object), size }));
        self.define(full_name, id)
    }

    fn define(&mut self, full_name: String, id: NodeId) -> Result<NodeId, String> {
        match self.named.insert(full_name.clone(), id) {
            None => Ok(id),
            Some(_) => Err(format!("the type \"{full_name}\" is defined twice")),
        }
    }

    fn record(&mut self, object: &Map<String, Value>, namespace: &str) -> Result<NodeId, String> {
        let (full_name, namespace) = declared_name(object, namespace, "record")?;
        // Fields may refer to their record.
        let empty =
            Record { full_name: full_name.clone(), aliases: Vec::new(), fields: Vec::new(), is_map_entry: false };
        let id = self.push(Kind::Record(empty));
        self.nodes[id.0 as usize].is_empty = false;
        self.define(full_name.clone(), id)?;
        let fields = object.get("fields").and_then(Value::as_array);
        let fields = fields.ok_or_else(|| format!("record {full_name} has no array of \"fields\""))?;
        let mut record = Vec::with_capacity(fields.len());
        for field in fields {
            record.push(self.field(field, &namespace).map_err(|error| format!("record {full_name}: {error}"))?);
        }
        let mut names: Vec<_> = record.iter().map(|field: &Field| &field.name).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("record {full_name} has two fields \"{}\"", twice[0]));
        }
        let is_map_entry = object.get("connect.internal.type").is_some_and(|kind| kind == "MapEntry")
            || full_name == "io.confluent.connect.avro.MapEntry";
        let is_empty = record.iter().all(|field| self.nodes[field.node.0 as usize].is_empty);
        let kind = Kind::Record(Record { full_name, aliases: aliases(object), fields: record, is_map_entry });
        self.nodes[id.0 as usize] = Node { kind, logical: None, is_empty };
        Ok(id)
    }

    fn field(&mut self, field: &Value, namespace: &str) -> Result<Field, String> {
        let field = field.as_object().ok_or("a field has no \"name\"")?;
        let name = field.get("name").and_then(Value::as_str).ok_or("a field has no \"name\"")?;
        if !is_avro_name(name) {
            return Err(format!("\"{name}\" is not a valid name"));
        }
        let node = field.get("type").ok_or_else(|| format!("field \"{name}\" has no \"type\""))?;
        let node = self.schema(node, namespace).map_err(|error| within(&format!("field \"{name}\""), &error))?;
        Ok(Field { name: name.into(), aliases: aliases(field), node, default: field.get("default").cloned() })
    }
}

/// The aliases of a field or a type.
fn aliases(object: &Map<String, Value>) -> Aliases {
    let aliases = object.get("aliases").and_then(Value::as_array);
    aliases.into_iter().flatten().filter_map(Value::as_str).map(Box::from).collect()
}

fn within(what: &str, error: &str) -> String {
    format!("{what}: {error}")
}

fn primitive(name: &str) -> Option<Kind> {
    Some(match name {
        "null" => Kind::Null,
        "boolean" => Kind::Boolean,
        "int" => Kind::Int,
        "long" => Kind::Long,
        "float" => Kind::Float,
        "double" => Kind::Double,
        "bytes" => Kind::Bytes,
        "string" => Kind::String,
        _ => return None,
    })
}

fn full_name_of(kind: &Kind) -> Option<&str> {
    match kind {
        Kind::Fixed(Fixed { full_name, .. })
        | Kind::Enum(Enum { full_name, .. })
        | Kind::Record(Record { full_name, .. }) => Some(full_name),
        _ => None,
    }
}

/// The full name of a type that an object declares, and the namespace of the names in it.
fn declared_name(object: &Map<String, Value>, namespace: &str, what: &str) -> Result<(String, String), String> {
    let name = object.get("name").and_then(Value::as_str).ok_or_else(|| format!("a type {what} has no \"name\""))?;
    let namespace = match object.get("namespace").and_then(Value::as_str) {
        _ if name.contains('.') => "",
        Some(given) => given,
        None => namespace,
    };
    let full_name = qualified(name, namespace);
    // Namespaces may have any characters, as in Java's library.
    let (namespace, short) = full_name.rsplit_once('.').unwrap_or(("", &full_name));
    if !is_avro_name(short) || primitive(&full_name).is_some() {
        return Err(format!("\"{full_name}\" is not a valid name"));
    }
    let namespace = namespace.to_owned();
    Ok((full_name, namespace))
}

fn qualified(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

/// True for a name of a type with or without its namespace.
pub(super) fn is_full_name(name: &str) -> bool {
    name.split('.').all(is_avro_name)
}
