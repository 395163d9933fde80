//! Reads Avro schemas.
//!
//! Separate because it has the rules of what is valid. It is recursive, and serde_json has limited the depth.

use std::collections::{HashMap, HashSet};

use headwater_formats::schema::is_avro_name;
use serde_json::{Map, Value};

use super::name::Name;
use super::{Avro, Field, InvalidSchema, Named, Node, Primitive, Properties, Referenced, Shape, default};

/// How many types a schema may define, with those it refers to.
const TYPES_MAX: usize = 20_000;

pub(super) fn parse(text: &str, references: &[Referenced]) -> Result<Avro, InvalidSchema> {
    let mut parser = Parser::default();
    for reference in references {
        parser.text(&reference.text).map_err(|error| invalid(format!("reference \"{}\": {error}", reference.name)))?;
    }
    let referenced = parser.types.len();
    let root = parser.text(text)?;
    let types = parser.types.into_iter().collect::<Option<Vec<_>>>();
    let types = types.ok_or_else(|| invalid("a type has no end"))?;
    let schema = Avro { root, types, referenced };
    default::check(&schema)?;
    Ok(schema)
}

#[derive(Default)]
struct Parser {
    by_name: HashMap<Name, usize>,
    /// A type is empty while its own fields are read.
    types: Vec<Option<Named>>,
}

/// What belongs to the type itself, so that everything else is a property.
const TYPE_WORDS: [&str; 11] =
    ["type", "name", "namespace", "doc", "fields", "aliases", "symbols", "default", "size", "items", "values"];
const FIELD_WORDS: [&str; 6] = ["name", "type", "doc", "default", "order", "aliases"];

impl Parser {
    fn text(&mut self, text: &str) -> Result<Node, InvalidSchema> {
        match serde_json::from_str::<Value>(text) {
            Ok(value) => self.node(&value, ""),
            // Clients send the name of a primitive type without quotes.
            Err(error) => match Primitive::named(text.trim()) {
                Some(primitive) => Ok(Node::Primitive(primitive, Properties::new())),
                None => Err(invalid(format!("not valid JSON: {error}"))),
            },
        }
    }

    fn node(&mut self, value: &Value, space: &str) -> Result<Node, InvalidSchema> {
        match value {
            Value::String(name) => self.type_named(name, space),
            Value::Array(branches) => self.union(branches, space),
            Value::Object(object) => self.object(object, space),
            other => Err(invalid(format!("{} is not a schema", shown(other)))),
        }
    }

    fn type_named(&self, name: &str, space: &str) -> Result<Node, InvalidSchema> {
        if let Some(primitive) = Primitive::named(name) {
            return Ok(Node::Primitive(primitive, Properties::new()));
        }
        let found = self.by_name.get(&Name::parse(name, space)?);
        // Java's library takes the name in no namespace for one that is not in the namespace.
        let found = found.or_else(|| self.by_name.get(&Name { space: String::new(), simple: name.to_owned() }));
        found.map(|index| Node::Named(*index)).ok_or_else(|| invalid(format!("type \"{name}\" is not defined")))
    }

    fn union(&mut self, branches: &[Value], space: &str) -> Result<Node, InvalidSchema> {
        let mut nodes = Vec::with_capacity(branches.len());
        let mut seen = HashSet::new();
        for branch in branches {
            let node = self.node(branch, space)?;
            let kind = match &node {
                Node::Union(_) => return Err(invalid("a union is directly in another one")),
                Node::Primitive(primitive, _) => primitive.name().to_owned(),
                Node::Array(..) => "array".to_owned(),
                Node::Map(..) => "map".to_owned(),
                Node::Named(index) => format!("#{index}"),
            };
            if !seen.insert(kind) {
                return Err(invalid(format!("{} appears twice in a union", shown(branch))));
            }
            nodes.push(node);
        }
        Ok(Node::Union(nodes))
    }

    fn object(&mut self, object: &Map<String, Value>, space: &str) -> Result<Node, InvalidSchema> {
        let name = match object.get("type") {
            Some(Value::String(name)) => name.as_str(),
            // Some libraries write a type in a type, which Java's does not read: it is stored without the outer one.
            Some(nested @ Value::Object(_)) => return self.node(nested, space),
            _ => return Err(invalid(format!("{} has no type", shown(&Value::Object(object.clone()))))),
        };
        match name {
            "record" | "error" => self.named(object, space, |parser, space| parser.record(object, space)),
            "enum" => self.named(object, space, |_, _| enumeration(object)),
            "fixed" => self.named(object, space, |_, _| fixed(object)),
            "array" => Ok(Node::Array(Box::new(self.part(object, "items", space)?), properties(object, &TYPE_WORDS))),
            "map" => Ok(Node::Map(Box::new(self.part(object, "values", space)?), properties(object, &TYPE_WORDS))),
            other => match Primitive::named(other) {
                Some(primitive) => Ok(Node::Primitive(primitive, properties(object, &["type"]))),
                None => self.type_named(other, space),
            },
        }
    }

    fn part(&mut self, object: &Map<String, Value>, word: &str, space: &str) -> Result<Node, InvalidSchema> {
        self.node(need(object, word)?, space)
    }

    /// A type with a name, which is known inside itself.
    fn named(
        &mut self,
        object: &Map<String, Value>,
        space: &str,
        shape: impl FnOnce(&mut Self, &str) -> Result<Shape, InvalidSchema>,
    ) -> Result<Node, InvalidSchema> {
        let own_space = optional_text(object, "namespace")?;
        let name = Name::parse(need_text(object, "name")?, own_space.unwrap_or(space))?;
        if name.space.is_empty() && Primitive::named(&name.simple).is_some() {
            return Err(invalid(format!("a type must not be called \"{name}\"")));
        }
        let index = self.types.len();
        if index >= TYPES_MAX {
            return Err(invalid(format!("more than {TYPES_MAX} types are defined")));
        }
        if self.by_name.insert(name.clone(), index).is_some() {
            return Err(invalid(format!("type \"{name}\" is defined twice")));
        }
        self.types.push(None);
        let shape = shape(self, &name.space).map_err(|error| invalid(format!("type \"{name}\": {error}")))?;
        let aliases = texts(object, "aliases")?;
        let aliases = aliases.iter().map(|alias| Name::parse(alias, &name.space)).collect::<Result<_, _>>()?;
        self.types[index] = Some(Named {
            aliases,
            doc: optional_text(object, "doc")?.map(str::to_owned),
            properties: properties(object, &words_of(&shape)),
            shape,
            name,
        });
        Ok(Node::Named(index))
    }

    fn record(&mut self, object: &Map<String, Value>, space: &str) -> Result<Shape, InvalidSchema> {
        let Value::Array(values) = need(object, "fields")? else {
            return Err(invalid("its fields are not an array"));
        };
        let mut fields = Vec::with_capacity(values.len());
        let mut seen = HashSet::new();
        for value in values {
            let Value::Object(field) = value else {
                return Err(invalid(format!("{} is not a field", shown(value))));
            };
            let field = self.field(field, space)?;
            if !seen.insert(field.name.clone()) {
                return Err(invalid(format!("field \"{}\" appears twice", field.name)));
            }
            fields.push(field);
        }
        Ok(Shape::Record { fields, is_error: object.get("type").is_some_and(|name| name == "error") })
    }

    fn field(&mut self, object: &Map<String, Value>, space: &str) -> Result<Field, InvalidSchema> {
        let name = need_text(object, "name")?;
        if !is_avro_name(name) {
            return Err(invalid(format!("\"{name}\" is not a valid name of a field")));
        }
        let in_field = |error| invalid(format!("field \"{name}\": {error}"));
        let order = optional_text(object, "order").map_err(in_field)?;
        if order.is_some_and(|order| !["ascending", "descending", "ignore"].contains(&order)) {
            return Err(in_field(invalid("its order is not one of ascending, descending and ignore")));
        }
        Ok(Field {
            name: name.to_owned(),
            aliases: texts(object, "aliases").map_err(in_field)?,
            doc: optional_text(object, "doc").map_err(in_field)?.map(str::to_owned),
            node: self.part(object, "type", space).map_err(in_field)?,
            default: object.get("default").cloned(),
            order: order.map(str::to_owned),
            properties: properties(object, &FIELD_WORDS),
        })
    }
}

fn enumeration(object: &Map<String, Value>) -> Result<Shape, InvalidSchema> {
    need(object, "symbols")?;
    let symbols = texts(object, "symbols")?;
    let mut seen = HashSet::new();
    for symbol in &symbols {
        if !is_avro_name(symbol) {
            return Err(invalid(format!("\"{symbol}\" is not a valid symbol")));
        }
        if !seen.insert(symbol) {
            return Err(invalid(format!("symbol \"{symbol}\" appears twice")));
        }
    }
    let default = optional_text(object, "default")?.map(str::to_owned);
    match default {
        Some(default) if !symbols.contains(&default) => {
            Err(invalid(format!("its default \"{default}\" is not one of its symbols")))
        }
        default => Ok(Shape::Enum { symbols, default }),
    }
}

fn fixed(object: &Map<String, Value>) -> Result<Shape, InvalidSchema> {
    let size = need(object, "size")?;
    let valid = size.as_u64().filter(|size| *size <= i32::MAX as u64).and_then(|size| u32::try_from(size).ok());
    valid.map(|size| Shape::Fixed { size }).ok_or_else(|| invalid(format!("{} is not a valid size", shown(size))))
}

fn words_of(shape: &Shape) -> Vec<&'static str> {
    let common = ["type", "name", "namespace", "doc", "aliases"];
    let own: &[&str] = match shape {
        Shape::Record { .. } => &["fields"],
        Shape::Enum { .. } => &["symbols", "default"],
        Shape::Fixed { .. } => &["size"],
    };
    common.iter().chain(own).copied().collect()
}

/// The attributes other than the words.
fn properties(object: &Map<String, Value>, words: &[&str]) -> Properties {
    let other = object.iter().filter(|(name, _)| !words.contains(&name.as_str()));
    other.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn need<'a>(object: &'a Map<String, Value>, word: &str) -> Result<&'a Value, InvalidSchema> {
    object.get(word).ok_or_else(|| invalid(format!("{} has no \"{word}\"", shown(&Value::Object(object.clone())))))
}

fn need_text<'a>(object: &'a Map<String, Value>, word: &str) -> Result<&'a str, InvalidSchema> {
    let value = need(object, word)?;
    value.as_str().ok_or_else(|| invalid(format!("\"{word}\" is {}, which is not a string", shown(value))))
}

fn optional_text<'a>(object: &'a Map<String, Value>, word: &str) -> Result<Option<&'a str>, InvalidSchema> {
    match object.get(word) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => need_text(object, word).map(Some),
    }
}

/// An array of strings, empty if it is not there.
fn texts(object: &Map<String, Value>, word: &str) -> Result<Vec<String>, InvalidSchema> {
    let not_texts = || invalid(format!("\"{word}\" is not an array of strings"));
    match object.get(word) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(values)) => {
            values.iter().map(|value| value.as_str().map(str::to_owned)).collect::<Option<_>>().ok_or_else(not_texts)
        }
        Some(_) => Err(not_texts()),
    }
}

/// The beginning of a value, for a message.
fn shown(value: &Value) -> String {
    const SHOWN_MAX: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_MAX) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

fn invalid(message: impl Into<String>) -> InvalidSchema {
    InvalidSchema(message.into())
}
