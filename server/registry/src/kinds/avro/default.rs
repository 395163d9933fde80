//! Checks that the default of each field is a value of its type.
//!
//! Separate because it comes after parsing: a default may be one of a type that is being defined around it.

use serde_json::Value;

use super::{Avro, InvalidSchema, Node, Primitive, Shape};

pub(super) fn check(schema: &Avro) -> Result<(), InvalidSchema> {
    for named in &schema.types[schema.referenced..] {
        let Shape::Record { fields, .. } = &named.shape else { continue };
        for field in fields {
            if field.default.as_ref().is_some_and(|default| !is_value(schema, &field.node, default)) {
                let problem = format!("the default of field \"{}\" is not a value of its type", field.name);
                return Err(InvalidSchema(format!("type \"{}\": {problem}", named.name)));
            }
        }
    }
    Ok(())
}

/// Whether a default is a value of a type. It descends with the value, whose depth is limited.
fn is_value(schema: &Avro, node: &Node, value: &Value) -> bool {
    match (node, value) {
        (Node::Primitive(primitive, _), _) => is_primitive(*primitive, value),
        // The specification wants one of the first branch; Java's library accepts any.
        (Node::Union(branches), _) => branches.iter().any(|branch| is_value(schema, branch, value)),
        (Node::Array(items, _), Value::Array(values)) => values.iter().all(|value| is_value(schema, items, value)),
        (Node::Map(values, _), Value::Object(object)) => object.values().all(|value| is_value(schema, values, value)),
        (Node::Named(index), _) => match (&schema.types[*index].shape, value) {
            (Shape::Record { fields, .. }, Value::Object(object)) => {
                fields.iter().all(|field| match object.get(&field.name) {
                    Some(value) => is_value(schema, &field.node, value),
                    None => field.default.is_some(),
                })
            }
            (Shape::Enum { symbols, .. }, Value::String(symbol)) => symbols.contains(symbol),
            (Shape::Fixed { .. }, Value::String(_)) => true,
            _ => false,
        },
        _ => false,
    }
}

fn is_primitive(primitive: Primitive, value: &Value) -> bool {
    match primitive {
        Primitive::Null => value.is_null(),
        Primitive::Boolean => value.is_boolean(),
        Primitive::Int => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        Primitive::Long => value.as_i64().is_some(),
        Primitive::Float | Primitive::Double => value.is_number() || is_special(value),
        Primitive::Bytes | Primitive::String => value.is_string(),
    }
}

/// Numbers that JSON does not have.
fn is_special(value: &Value) -> bool {
    value.as_str().is_some_and(|text| matches!(text, "NaN" | "Infinity" | "-Infinity"))
}
