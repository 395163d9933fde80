//! Types, and what is said of strings and numbers.
//!
//! Separate because they are tables: each keyword is a bound that may be moved in one direction.

use serde_json::Value;

use super::super::document::Place;
use super::Comparison;

const TYPES: [&str; 6] = ["null", "boolean", "number", "string", "array", "object"];

/// A bound: its keyword, whether the reader's must be at least the writer's, and what its differences are called.
type Bound = (&'static str, bool, &'static str, &'static str);

const STRING_BOUNDS: [Bound; 2] = [
    ("maxLength", true, "MAX_LENGTH_ADDED", "MAX_LENGTH_DECREASED"),
    ("minLength", false, "MIN_LENGTH_ADDED", "MIN_LENGTH_INCREASED"),
];

const NUMBER_BOUNDS: [Bound; 4] = [
    ("maximum", true, "MAXIMUM_ADDED", "MAXIMUM_DECREASED"),
    ("minimum", false, "MINIMUM_ADDED", "MINIMUM_INCREASED"),
    ("exclusiveMaximum", true, "EXCLUSIVE_MAXIMUM_ADDED", "EXCLUSIVE_MAXIMUM_DECREASED"),
    ("exclusiveMinimum", false, "EXCLUSIVE_MINIMUM_ADDED", "EXCLUSIVE_MINIMUM_INCREASED"),
];

impl<'a> Comparison<'a> {
    /// Compares what both say of the types that the writer accepts.
    pub(super) fn typed(&mut self, reader: Place<'a>, writer: Place<'a>, path: &str) {
        self.typed_as(reader, writer, &types(writer.value), path);
    }

    /// The same for some of those types.
    pub(super) fn typed_as(&mut self, reader: Place<'a>, writer: Place<'a>, written: &[&str], path: &str) {
        if self.lacks_types(reader, written, path) {
            return;
        }
        if written.contains(&"string") {
            self.strings(reader, writer, path);
        }
        if written.contains(&"number") || written.contains(&"integer") {
            self.numbers(reader, writer, path);
        }
        if written.contains(&"array") {
            self.arrays(reader, writer, path);
        }
        if written.contains(&"object") {
            self.objects(reader, writer, path);
        }
    }

    /// Adds those of the types that the reader does not accept, and says whether there are any.
    pub(super) fn lacks_types(&mut self, reader: Place<'a>, written: &[&str], path: &str) -> bool {
        if reader.value.get("type").is_none() {
            return false;
        }
        let accepted = types(reader.value);
        let missing: Vec<_> = written.iter().filter(|name| !includes(&accepted, name)).copied().collect();
        if missing.is_empty() {
            return false;
        }
        let kind = if missing.len() == written.len() { "TYPE_CHANGED" } else { "TYPE_NARROWED" };
        let list = missing.join(", ");
        let text = format!("The reader does not accept the type {list} at path '{path}', which the writer does");
        self.add(kind, path, text);
        true
    }

    /// The types that the writer accepts, without those that its own `allOf`, `anyOf` and `oneOf` rule out. What those
    /// have inside their elements is not looked at.
    pub(super) fn types_of_parts(&self, writer: Place<'a>) -> Vec<&'a str> {
        let of = |part| self.writer.target(part).map_or_else(|| TYPES.to_vec(), |part: Place<'a>| types(part.value));
        let mut accepted = types(writer.value);
        for part in writer.list("allOf") {
            accepted = common(&accepted, &of(part));
        }
        for keyword in ["anyOf", "oneOf"] {
            if writer.value.get(keyword).is_some() {
                accepted = common(&accepted, &each_once(writer.list(keyword).flat_map(of)));
            }
        }
        accepted
    }

    fn strings(&mut self, reader: Place<'a>, writer: Place<'a>, path: &str) {
        self.bounds(&STRING_BOUNDS, reader, writer, path);
        if let Some(pattern) = reader.value.get("pattern") {
            match writer.value.get("pattern") {
                Some(other) if other == pattern => {}
                Some(_) => self.say("PATTERN_CHANGED", &format!("{path}/pattern")),
                None => self.say("PATTERN_ADDED", &format!("{path}/pattern")),
            }
        }
    }

    fn numbers(&mut self, reader: Place<'a>, writer: Place<'a>, path: &str) {
        self.bounds(&NUMBER_BOUNDS, reader, writer, path);
        // In draft 4 they are flags of the bounds.
        for keyword in ["exclusiveMaximum", "exclusiveMinimum"] {
            let flag = |place: Place<'a>| place.value.get(keyword).and_then(Value::as_bool).unwrap_or_default();
            if flag(reader) && !flag(writer) {
                self.say("EXCLUSIVE_BOUND_ADDED", &format!("{path}/{keyword}"));
            }
        }
        if let Some(step) = reader.number("multipleOf") {
            let path = format!("{path}/multipleOf");
            match writer.number("multipleOf") {
                None => self.say("MULTIPLE_OF_ADDED", &path),
                Some(other) if (other / step).fract() == 0.0 => {}
                Some(_) => self.say("MULTIPLE_OF_CHANGED", &path),
            }
        }
    }

    pub(super) fn bounds(&mut self, bounds: &[Bound], reader: Place<'a>, writer: Place<'a>, path: &str) {
        for (keyword, upper, added, moved) in bounds {
            let Some(bound) = reader.number(keyword) else { continue };
            let path = format!("{path}/{keyword}");
            match writer.number(keyword) {
                // A lower bound of no elements is none.
                None if !upper && bound <= 0.0 && keyword.starts_with("min") && *keyword != "minimum" => {}
                None => self.say(added, &path),
                Some(other) if (*upper && bound < other) || (!upper && bound > other) => self.say(moved, &path),
                Some(_) => {}
            }
        }
    }

    /// A difference whose name says everything.
    pub(super) fn say(&mut self, kind: &'static str, path: &str) {
        let words = kind.to_lowercase().replace('_', " ");
        self.add(kind, path, format!("The reader is stricter than the writer at path '{path}': {words}"));
    }
}

/// The types that a schema accepts, each once: without any, those of the values that it lists, or all.
fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => each_once(names.iter().filter_map(Value::as_str)),
        _ => match (schema.get("const"), schema.get("enum")) {
            (Some(value), _) => vec![type_of(value)],
            (None, Some(Value::Array(values))) => each_once(values.iter().map(type_of)),
            _ => TYPES.to_vec(),
        },
    }
}

/// There may be many names, of few types.
fn each_once<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    names.fold(Vec::new(), |mut types, name| {
        if !types.contains(&name) {
            types.push(name);
        }
        types
    })
}

/// Whether a type is among others, of which `number` includes `integer`.
fn includes(types: &[&str], name: &str) -> bool {
    types.contains(&name) || (name == "integer" && types.contains(&"number"))
}

/// The types that both accept, in the order of the first ones.
fn common<'a>(some: &[&'a str], others: &[&'a str]) -> Vec<&'a str> {
    let both = |name: &&'a str| match *name {
        name if includes(others, name) => Some(name),
        "number" if others.contains(&"integer") => Some("integer"),
        _ => None,
    };
    some.iter().filter_map(both).collect()
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
