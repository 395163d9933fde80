//! Texts in, canonical texts, errors or differences out.

use super::{JsonSchema, differences};
use crate::kinds::Referenced;

fn parse(text: &str) -> JsonSchema {
    JsonSchema::parse(text, &[]).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn check_error(text: &str, expected: &str) {
    assert_eq!(JsonSchema::parse(text, &[]).map(|_| ()).map_err(|error| error.to_string()), Err(expected.to_owned()));
}

/// What keeps the reader from accepting what the writer does: kinds and paths.
fn check(writer: &str, reader: &str, expected: &[(&str, &str)]) {
    let found = differences(&parse(reader), &parse(writer));
    let found: Vec<_> = found.iter().map(|difference| (difference.kind, difference.path.as_str())).collect();
    assert_eq!(found, expected, "{writer} read by {reader}");
}

#[test]
fn texts_are_kept_without_white_space() {
    assert_eq!(parse("{ \"b\" : 1.0,\n\"a\": { } }").canonical(), r#"{"b":1.0,"a":{}}"#);
    assert_eq!(parse(r#"{"b":1.0,"a":{"d":1,"c":2}}"#).normalized(), r#"{"a":{"c":2,"d":1},"b":1.0}"#);
}

#[test]
fn what_is_wrong_is_said() {
    check_error("[]", "a JSON schema is an object, true or false");
    check_error("{", "not valid JSON: EOF while parsing an object at line 1 column 1");
    check_error(r#"{"type":"nothing"}"#, "#/type is not a type, or an array of types");
    check_error(r#"{"properties":{"a":1}}"#, "#/properties/a is not a schema");
    check_error(r#"{"items":[{"maxLength":-1}]}"#, "#/items/0/maxLength is not a whole number that is not negative");
    check_error(r#"{"allOf":[]}"#, "#/allOf is not an array of schemas");
    check_error(r##"{"$ref":"#/definitions/a"}"##, "the reference \"#/definitions/a\" leads nowhere");
    check_error(r#"{"$ref":"a.json"}"#, "the reference \"a.json\" leads nowhere");
    // What is a value, or unknown, is not looked at.
    parse(r##"{"enum":[{"$ref":"#/x"}],"default":{"type":1},"unknown":{"type":1}}"##);
}

#[test]
fn references_lead_to_definitions_ids_and_documents() {
    let writer = r#"{"type":"object","properties":{"a":{"type":"integer"}},"additionalProperties":false}"#;
    let reader = |reference: &str| {
        format!(
            r#"{{"type":"object","properties":{{"a":{{"$ref":"{reference}"}}}},"additionalProperties":false,"$defs":{{"a/b":{{"$anchor":"x","type":"string"}},"c":{{"$id":"c.json","type":"integer"}}}}}}"#
        )
    };
    let changed: &[(&str, &str)] = &[("TYPE_CHANGED", "#/properties/a")];
    check(writer, &reader("#/$defs/a~1b"), changed);
    check(writer, &reader("#x"), changed);
    check(writer, &reader("c.json"), &[]);
    let other = Referenced { name: "o.json".into(), text: r#"{"$defs":{"n":{"type":"number"}}}"#.into() };
    let text = r#"{"type":"object","properties":{"a":{"$ref":"o.json#/$defs/n"}},"additionalProperties":false}"#;
    let reader = JsonSchema::parse(text, &[other]).expect("the reference is there");
    assert_eq!(differences(&reader, &parse(writer)), []);
    assert_eq!(differences(&parse(writer), &reader).len(), 1);
}

#[test]
fn ids_below_a_long_name_are_found() {
    // Each would have a way of its own of 400 KB.
    let schemas: Vec<_> = (0..25_000).map(|i| format!(r#"{{"$id":"i{i}","maxLength":{i}}}"#)).collect();
    let text =
        format!(r#"{{"$ref":"i24999","$defs":{{"{}":{{"allOf":[{}]}}}}}}"#, "a".repeat(100_000), schemas.join(","));
    check(&text, r#"{"maxLength":24998}"#, &[("MAX_LENGTH_DECREASED", "#/maxLength")]);
    check(&text, r#"{"maxLength":24999}"#, &[]);
}

#[test]
fn recursive_schemas_are_compared() {
    let node = |value: &str, more: &str| {
        format!(
            r##"{{"$ref":"#/definitions/N","definitions":{{"N":{{"type":"object","properties":{{"v":{{"type":"{value}"}},"next":{{"$ref":"#/definitions/N"}}}},"additionalProperties":false{more}}}}}}}"##
        )
    };
    check(&node("integer", ""), &node("number", ""), &[]);
    check(&node("number", ""), &node("integer", ""), &[("TYPE_CHANGED", "#/properties/v")]);
    // A schema that is nothing but itself.
    check(r##"{"allOf":[{"$ref":"#"}]}"##, r##"{"allOf":[{"$ref":"#"}],"type":"object"}"##, &[("TYPE_NARROWED", "#")]);
    check(r##"{"$ref":"#"}"##, r##"{"$ref":"#"}"##, &[]);
}

#[test]
fn unions_of_connect_are_compared() {
    // ksqlDB and Connect write nullable columns so.
    let row = |columns: &str| format!(r#"{{"type":"object","properties":{{{columns}}},"additionalProperties":false}}"#);
    let nullable = |name: &str, of: &str, i: usize| {
        format!(
            r#""{name}":{{"connect.index":{i},"oneOf":[{{"type":"null"}},{{"type":"{of}","connect.type":"int64"}}]}}"#
        )
    };
    let one = row(&nullable("a", "integer", 0));
    let two = row(&format!("{},{}", nullable("a", "integer", 0), nullable("b", "string", 1)));
    check(&one, &two, &[]);
    check(&two, &one, &[("PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL", "#/properties/b")]);
    check(
        &one,
        &row(&nullable("a", "string", 0)),
        &[("TYPE_CHANGED", "#/properties/a/oneOf/0"), ("SUM_TYPE_NARROWED", "#/properties/a/oneOf")],
    );
    check(r#"{"type":["string","null"]}"#, r#"{"anyOf":[{"type":"null"},{"type":"string"}]}"#, &[]);
}

#[test]
fn parts_may_imply_each_other() {
    let of = |list: &str| format!(r#"{{"allOf":[{list}]}}"#);
    let (a, b) = (r#"{"type":"string"}"#, r#"{"maxLength":5}"#);
    check(&of(&format!("{a},{b}")), a, &[]);
    check(&of(&format!("{a},{b}")), &of(a), &[]);
    check(
        &of(a),
        &of(&format!("{a},{b}")),
        &[("MAX_LENGTH_ADDED", "#/allOf/1/maxLength"), ("PRODUCT_TYPE_EXTENDED", "#/allOf/1")],
    );
    check(r#"{"type":"string","enum":["a"]}"#, r#"{"enum":["a","b"]}"#, &[]);
    check(r#"{"const":1}"#, r#"{"type":"integer"}"#, &[]);
    check(r#"{"not":{"type":"string"}}"#, r#"{}"#, &[]);
    check(r#"{"type":"integer"}"#, r#"{"type":"integer","not":{"const":1}}"#, &[("NOT_TYPE_EXTENDED", "#/not")]);
}

#[test]
fn complex_schemas_end() {
    // Every branch of one has to be compared with every branch of the other, at every level.
    let mut text = r#"{"type":"integer"}"#.to_owned();
    for i in 0..12 {
        text = format!(
            r#"{{"anyOf":[{{"type":"array","items":{text}}},{{"type":"object","properties":{{"p{i}":{text}}}}}]}}"#
        );
    }
    let other = text.replace("integer", "string");
    assert!(!differences(&parse(&other), &parse(&text)).is_empty());
    let mut deep = "{}".to_owned();
    for i in 0..60 {
        deep = format!(r#"{{"properties":{{"p{i}":{deep}}}}}"#);
    }
    assert_eq!(differences(&parse(&deep), &parse(&deep)), []);
}
