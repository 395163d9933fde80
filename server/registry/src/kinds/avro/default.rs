//! Checks that the default of each field is a value of its type.
//!
//! Separate because it comes after parsing: a default may be one of a type that is being defined around it.

use serde_json::Value;

use super::{Avro, InvalidSchema, Node, Primitive, Shape};

/// How many values, fields and symbols are looked at for all defaults of a schema. A value is tried as each branch of its
/// union, which may be unions again, so that a short default can have any number of them.
const STEPS_MAX: usize = 10_000_000;

pub(super) fn check(schema: &Avro) -> Result<(), InvalidSchema> {
    let mut checker = Checker { schema, steps_left: STEPS_MAX };
    for named in &schema.types[schema.referenced..] {
        let Shape::Record { fields, .. } = &named.shape else { continue };
        for field in fields {
            if field.default.as_ref().is_some_and(|default| !checker.is_value(&field.node, default)) {
                let problem = match checker.steps_left {
                    0 => format!("the default of field \"{}\" is too complex to be checked", field.name),
                    _ => format!("the default of field \"{}\" is not a value of its type", field.name),
                };
                return Err(InvalidSchema(format!("type \"{}\": {problem}", named.name)));
            }
        }
    }
    Ok(())
}

struct Checker<'a> {
    schema: &'a Avro,
    steps_left: usize,
}

impl Checker<'_> {
    /// Whether a default is a value of a type. It descends with the value, whose depth is limited.
    fn is_value(&mut self, node: &Node, value: &Value) -> bool {
        if !self.may_take(1) {
            return false;
        }
        let schema = self.schema;
        match (node, value) {
            (Node::Primitive(primitive, _), _) => is_primitive(*primitive, value),
            // The specification wants one of the first branch; Java's library accepts any.
            (Node::Union(branches), _) => branches.iter().any(|branch| self.is_value(branch, value)),
            (Node::Array(items, _), Value::Array(values)) => values.iter().all(|value| self.is_value(items, value)),
            (Node::Map(values, _), Value::Object(object)) => object.values().all(|value| self.is_value(values, value)),
            (Node::Named(index), _) => self.is_value_of(&schema.types[*index].shape, value),
            _ => false,
        }
    }

    fn is_value_of(&mut self, shape: &Shape, value: &Value) -> bool {
        match (shape, value) {
            (Shape::Record { fields, .. }, Value::Object(object)) => {
                self.may_take(fields.len())
                    && fields.iter().all(|field| match object.get(&field.name) {
                        Some(value) => self.is_value(&field.node, value),
                        None => field.default.is_some(),
                    })
            }
            (Shape::Enum { symbols, .. }, Value::String(symbol)) => {
                self.may_take(symbols.len()) && symbols.contains(symbol)
            }
            (Shape::Fixed { .. }, Value::String(_)) => true,
            _ => false,
        }
    }

    /// Whether that many steps are left, which are taken.
    fn may_take(&mut self, steps: usize) -> bool {
        self.steps_left = self.steps_left.saturating_sub(steps);
        self.steps_left > 0
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
