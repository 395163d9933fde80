//! Options of Protobuf files as they are written, those that are extensions included.
//!
//! Separate because everything in a file has options, and all are written in the same way.

use std::fmt::Write;

use prost_reflect::{DynamicMessage, Kind, Value};

/// The options that are set, each as `name = value`, in the order of their names.
pub(super) fn settings(options: &DynamicMessage) -> Vec<String> {
    let own = options.fields().map(|(field, value)| (field.name().to_owned(), field.kind(), value));
    let extensions = options
        .extensions()
        .map(|(extension, value)| (format!("({})", extension.full_name()), extension.kind(), value));
    let mut all = Vec::new();
    for (name, kind, value) in own.chain(extensions) {
        // What the parser could not interpret was interpreted by the linker, and map entries are written as maps.
        if name == "uninterpreted_option" || name == "map_entry" {
            continue;
        }
        match value {
            Value::List(values) => all.extend(values.iter().map(|value| setting(&name, &kind, value))),
            value => all.push(setting(&name, &kind, value)),
        }
    }
    // The elements of one option stay in their order.
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    all.into_iter().map(|(name, value)| format!("{name} = {value}")).collect()
}

fn setting(name: &str, kind: &Kind, value: &Value) -> (String, String) {
    let text = match (kind, value) {
        (Kind::Enum(of), Value::EnumNumber(number)) => {
            of.get_value(*number).map_or_else(|| number.to_string(), |value| value.name().to_owned())
        }
        (_, Value::String(text)) => quoted(text.as_bytes()),
        (_, Value::Bytes(bytes)) => quoted(bytes),
        (_, Value::Message(message)) => format!("{{ {message} }}"),
        (_, other) => other.to_string(),
    };
    (name.to_owned(), text)
}

/// A string literal.
pub(super) fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => text.push_str("\\\""),
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                c if c.is_ascii_control() => octal(&mut text, c as u8),
                c => text.push(c),
            }
        }
        chunk.invalid().iter().for_each(|byte| octal(&mut text, *byte));
    }
    text.push('"');
    text
}

fn octal(text: &mut String, byte: u8) {
    // Writing to a string cannot fail.
    let _ = write!(text, "\\{byte:03o}");
}
