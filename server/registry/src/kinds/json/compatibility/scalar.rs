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
        if reader.value.get("type").is_some() {
            let accepted = types(reader.value);
            let reads =
                |name: &&&str| accepted.contains(*name) || (**name == "integer" && accepted.contains(&"number"));
            let missing: Vec<_> = written.iter().filter(|name| !reads(name)).copied().collect();
            if !missing.is_empty() {
                let kind = if missing.len() == written.len() { "TYPE_CHANGED" } else { "TYPE_NARROWED" };
                let list = missing.join(", ");
                let text =
                    format!("The reader does not accept the type {list} at path '{path}', which the writer does");
                return self.add(kind, path, text);
            }
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

/// The types that a schema accepts: without any, those of the values that it lists, or all.
fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => match (schema.get("const"), schema.get("enum")) {
            (Some(value), _) => vec![type_of(value)],
            (None, Some(Value::Array(values))) => values.iter().map(type_of).collect(),
            _ => TYPES.to_vec(),
        },
    }
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
