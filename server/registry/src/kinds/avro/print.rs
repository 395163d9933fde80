//! Writes Avro schemas as Java's library does: without white space, the attributes of each type in a fixed order, and
//! names as short as they can be.
//!
//! Separate because the text is what makes two schemas the same for a registry.

use serde_json::{Map, Value, json};

use super::{Avro, Field, Named, Node, Primitive, Properties, Shape};

/// In which order properties are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    AsGiven,
    ByName,
}

pub(super) fn print(schema: &Avro, order: Order) -> String {
    let defined = (0..schema.types.len()).map(|index| index < schema.referenced).collect();
    Printer { schema, defined, order }.node(&schema.root, "").to_string()
}

struct Printer<'a> {
    schema: &'a Avro,
    /// The types that can be named because their definition is elsewhere or was written.
    defined: Vec<bool>,
    order: Order,
}

impl Printer<'_> {
    fn node(&mut self, node: &Node, space: &str) -> Value {
        match node {
            Node::Primitive(primitive, properties) => self.primitive(*primitive, properties),
            Node::Array(items, properties) => self.collection("array", "items", items, properties, space),
            Node::Map(values, properties) => self.collection("map", "values", values, properties, space),
            Node::Union(branches) => branches.iter().map(|branch| self.node(branch, space)).collect(),
            Node::Named(index) if self.defined[*index] => self.schema.types[*index].name.short(space).into(),
            Node::Named(index) => {
                self.defined[*index] = true;
                let schema = self.schema;
                self.named(&schema.types[*index], space)
            }
        }
    }

    fn primitive(&self, primitive: Primitive, properties: &Properties) -> Value {
        if properties.is_empty() {
            return primitive.name().into();
        }
        let mut object = Map::new();
        object.insert("type".into(), primitive.name().into());
        self.properties(&mut object, properties);
        object.into()
    }

    fn collection(&mut self, name: &str, word: &str, inner: &Node, properties: &Properties, space: &str) -> Value {
        let mut object = Map::new();
        object.insert("type".into(), name.into());
        object.insert(word.into(), self.node(inner, space));
        self.properties(&mut object, properties);
        object.into()
    }

    fn named(&mut self, named: &Named, space: &str) -> Value {
        let kind = match named.shape {
            Shape::Record { is_error: false, .. } => "record",
            Shape::Record { .. } => "error",
            Shape::Enum { .. } => "enum",
            Shape::Fixed { .. } => "fixed",
        };
        let mut object = Map::new();
        object.insert("type".into(), kind.into());
        object.insert("name".into(), named.name.simple.as_str().into());
        if named.name.space != space {
            object.insert("namespace".into(), named.name.space.as_str().into());
        }
        if let Some(doc) = &named.doc {
            object.insert("doc".into(), doc.as_str().into());
        }
        self.shape(&mut object, named);
        self.properties(&mut object, &named.properties);
        if !named.aliases.is_empty() {
            let aliases = named.aliases.iter().map(|alias| Value::from(alias.short(&named.name.space))).collect();
            object.insert("aliases".into(), aliases);
        }
        object.into()
    }

    fn shape(&mut self, object: &mut Map<String, Value>, named: &Named) {
        match &named.shape {
            Shape::Record { fields, .. } => {
                let fields = fields.iter().map(|field| self.field(field, &named.name.space)).collect();
                object.insert("fields".into(), fields);
            }
            Shape::Enum { symbols, default } => {
                object.insert("symbols".into(), json!(symbols));
                if let Some(default) = default {
                    object.insert("default".into(), default.as_str().into());
                }
            }
            Shape::Fixed { size } => {
                object.insert("size".into(), (*size).into());
            }
        }
    }

    fn field(&mut self, field: &Field, space: &str) -> Value {
        let mut object = Map::new();
        object.insert("name".into(), field.name.as_str().into());
        object.insert("type".into(), self.node(&field.node, space));
        if let Some(doc) = &field.doc {
            object.insert("doc".into(), doc.as_str().into());
        }
        if let Some(default) = &field.default {
            object.insert("default".into(), default.clone());
        }
        // Ascending is the default.
        if let Some(order) = field.order.as_deref().filter(|order| *order != "ascending") {
            object.insert("order".into(), order.into());
        }
        if !field.aliases.is_empty() {
            object.insert("aliases".into(), json!(field.aliases));
        }
        self.properties(&mut object, &field.properties);
        object.into()
    }

    fn properties(&self, object: &mut Map<String, Value>, properties: &Properties) {
        let mut all: Vec<_> = properties.iter().collect();
        if self.order == Order::ByName {
            all.sort_by_key(|(name, _)| *name);
        }
        object.extend(all.into_iter().map(|(name, value)| (name.clone(), value.clone())));
    }
}
