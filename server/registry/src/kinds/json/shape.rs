//! Checks that the keywords of a JSON schema have values of the right form.
//!
//! Separate because it is a table. What it does not know it accepts, as the specification says.

use serde_json::Value;

use super::super::InvalidSchema;
use super::{segment, shortened};

/// The form of a keyword's value.
#[derive(Clone, Copy)]
enum Form {
    Schema,
    /// At least one schema.
    Schemas,
    /// Schemas by name.
    SchemaMap,
    SchemaOrSchemas,
    /// Of a property: a schema, or names.
    Dependencies,
    Types,
    Names,
    Values,
    Text,
    Count,
    Number,
    Positive,
    NumberOrFlag,
    Flag,
}

const KEYWORDS: &[(&str, Form)] = &[
    ("$ref", Form::Text),
    ("$id", Form::Text),
    ("$schema", Form::Text),
    ("type", Form::Types),
    ("enum", Form::Values),
    ("properties", Form::SchemaMap),
    ("patternProperties", Form::SchemaMap),
    ("additionalProperties", Form::Schema),
    ("propertyNames", Form::Schema),
    ("required", Form::Names),
    ("dependencies", Form::Dependencies),
    ("dependentSchemas", Form::SchemaMap),
    ("minProperties", Form::Count),
    ("maxProperties", Form::Count),
    ("items", Form::SchemaOrSchemas),
    ("prefixItems", Form::Schemas),
    ("additionalItems", Form::Schema),
    ("contains", Form::Schema),
    ("minItems", Form::Count),
    ("maxItems", Form::Count),
    ("uniqueItems", Form::Flag),
    ("minLength", Form::Count),
    ("maxLength", Form::Count),
    ("pattern", Form::Text),
    ("format", Form::Text),
    ("minimum", Form::Number),
    ("maximum", Form::Number),
    ("exclusiveMinimum", Form::NumberOrFlag),
    ("exclusiveMaximum", Form::NumberOrFlag),
    ("multipleOf", Form::Positive),
    ("allOf", Form::Schemas),
    ("anyOf", Form::Schemas),
    ("oneOf", Form::Schemas),
    ("not", Form::Schema),
    ("if", Form::Schema),
    ("then", Form::Schema),
    ("else", Form::Schema),
    ("definitions", Form::SchemaMap),
    ("$defs", Form::SchemaMap),
    ("title", Form::Text),
    ("description", Form::Text),
];

const TYPES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];

pub(super) fn check(schema: &Value) -> Result<(), InvalidSchema> {
    at(schema, "#")
}

fn at(schema: &Value, path: &str) -> Result<(), InvalidSchema> {
    let object = match schema {
        Value::Bool(_) => return Ok(()),
        Value::Object(object) => object,
        _ => return Err(InvalidSchema(format!("{path} is not a schema"))),
    };
    let path = shortened(path);
    for (keyword, value) in object {
        if let Some((_, form)) = KEYWORDS.iter().find(|(known, _)| known == keyword) {
            has_form(value, *form, &format!("{path}/{keyword}"))?;
        }
    }
    Ok(())
}

fn has_form(value: &Value, form: Form, path: &str) -> Result<(), InvalidSchema> {
    let expected = |holds: bool, what: &str| {
        if holds { Ok(()) } else { Err(InvalidSchema(format!("{path} is not {what}"))) }
    };
    match form {
        Form::Schema => at(value, path),
        Form::SchemaOrSchemas if value.is_array() => all(value, path),
        Form::SchemaOrSchemas => at(value, path),
        Form::Schemas => {
            expected(value.as_array().is_some_and(|list| !list.is_empty()), "an array of schemas")?;
            all(value, path)
        }
        Form::SchemaMap => {
            expected(value.is_object(), "an object")?;
            members(value, path, at)
        }
        Form::Dependencies => {
            expected(value.is_object(), "an object")?;
            members(value, path, |value, path| match value {
                Value::Array(_) => has_form(value, Form::Names, path),
                _ => at(value, path),
            })
        }
        Form::Types => {
            let is_type = |value: &Value| value.as_str().is_some_and(|name| TYPES.contains(&name));
            let is_list = value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(is_type));
            expected(is_type(value) || is_list, "a type, or an array of types")
        }
        Form::Names => {
            expected(value.as_array().is_some_and(|list| list.iter().all(Value::is_string)), "an array of names")
        }
        Form::Values => expected(value.is_array(), "an array"),
        Form::Text => expected(value.is_string(), "a string"),
        Form::Count => {
            let is_count = value.as_u64().is_some() || value.as_f64().is_some_and(|n| n >= 0.0 && n.fract() == 0.0);
            expected(is_count, "a whole number that is not negative")
        }
        Form::Number => expected(value.is_number(), "a number"),
        Form::Positive => expected(value.as_f64().is_some_and(|number| number > 0.0), "a number above zero"),
        Form::NumberOrFlag => expected(value.is_number() || value.is_boolean(), "a number"),
        Form::Flag => expected(value.is_boolean(), "true or false"),
    }
}

fn all(values: &Value, path: &str) -> Result<(), InvalidSchema> {
    let values = values.as_array().into_iter().flatten().enumerate();
    values.into_iter().try_for_each(|(i, value)| at(value, &format!("{path}/{i}")))
}

fn members(
    object: &Value,
    path: &str,
    check: impl Fn(&Value, &str) -> Result<(), InvalidSchema>,
) -> Result<(), InvalidSchema> {
    let members = object.as_object().into_iter().flatten();
    members.into_iter().try_for_each(|(name, value)| check(value, &format!("{path}/{}", segment(name))))
}
