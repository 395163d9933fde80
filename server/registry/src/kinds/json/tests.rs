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

/// The types that the reader is said to lack, which must be the only difference.
fn check_lacking(writer: &str, reader: &str, types: &str) {
    let found = differences(&parse(reader), &parse(writer));
    let text = format!("The reader does not accept the type {types} at path '#/properties/a', which the writer does");
    assert_eq!(found.iter().map(|difference| &*difference.description).collect::<Vec<_>>(), [text]);
}

#[test]
fn only_types_that_the_writer_accepts_are_lacking() {
    let of = |a: &str| format!(r##"{{"type":"object","properties":{{"a":{a}}},"$defs":{{"n":{{"type":"null"}}}}}}"##);
    let integer = of(r#"{"type":"integer"}"#);
    check_lacking(&of(r#"{"oneOf":[{"type":"null"},{"type":"integer"}]}"#), &integer, "null");
    check_lacking(&of(r##"{"anyOf":[{"$ref":"#/$defs/n"},{"type":["string","integer"]}]}"##), &integer, "null, string");
    check_lacking(&of(r#"{"allOf":[{"type":["boolean","integer"]},{}]}"#), &integer, "boolean");
    check_lacking(
        &of(r#"{"type":"number","oneOf":[{"type":"integer"},{"type":"null"}]}"#),
        &of(r#"{"type":"string"}"#),
        "integer",
    );
    check_lacking(&of(r#"{"enum":["a",1,"b"]}"#), &integer, "string");
    check_lacking(&of("{}"), &of(r#"{"type":["object","array","string","number"]}"#), "null, boolean");
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
    check_error(r##"{"$ref":"#/definitions/a"}"##, "the reference \"#/definitions/a\" cannot be resolved");
    check_error(r#"{"$ref":"a.json"}"#, "the reference \"a.json\" cannot be resolved");
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

/// An `$id` completes the names in its document, and those of the references.
#[test]
fn references_are_completed_by_the_id() {
    let number = || r#"{"type":"number"}"#.to_owned();
    for (name, reference) in [
        ("http://x/dir/o.json", "o.json"),
        ("http://x/o.json", "../o.json#"),
        ("o.json", "http://x/dir/o.json"),
        ("./o.json", "o.json"),
    ] {
        let text = format!(r#"{{"$id":"http://x/dir/top.json","properties":{{"a":{{"$ref":"{reference}"}}}}}}"#);
        let other = Referenced { name: name.to_owned(), text: number() };
        let parsed = JsonSchema::parse(&text, &[other]);
        assert!(parsed.is_ok(), "{reference} of {name}: {:?}", parsed.err());
    }
    check_error(r#"{"$id":"http://x/top.json","$ref":"o.json"}"#, "the reference \"o.json\" cannot be resolved");
}

/// A writer with two sums is in a branch of each of them.
#[test]
fn one_sum_of_the_writer_is_enough() {
    let both = r#"{"oneOf":[{"type":"null"},{"type":"integer"}],"anyOf":[{}]}"#;
    check(both, both, &[]);
    let wider = r#"{"oneOf":[{"type":"null"},{"type":"string"}],"anyOf":[{}]}"#;
    assert!(!differences(&parse(both), &parse(wider)).is_empty());
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

/// An object schema.
fn object(properties: &str, patterns: &str, additional: &str) -> String {
    format!(
        r#"{{"type":"object","properties":{{{properties}}},"patternProperties":{{{patterns}}},"additionalProperties":{additional}}}"#
    )
}

#[test]
fn patterns_that_fit_a_property_apply_to_it_too() {
    let of = |properties: &str, patterns: &str| object(properties, patterns, "false");
    let text = r#""ab":{"type":"string"}"#;
    let too_long: &[(&str, &str)] = &[("MAX_LENGTH_ADDED", "#/properties/ab/maxLength")];
    let short = r#""^a":{"maxLength":1}"#;
    check(&of(text, ""), &of(text, short), too_long);
    check(&of(text, ""), &of(text, r#""^b":{"maxLength":1}"#), &[]);
    check(&of(text, short), &of(text, ""), &[("PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL", "#/patternProperties/^a")]);
    check(&of(r#""ab":{"type":"string","maxLength":1}"#, ""), &of(text, short), &[]);
    check(&of(text, short), &of(r#""ab":{"maxLength":1}"#, short), &[]);
    // All patterns that fit count, not only the first one.
    let any = r#""a":{},"b":{"maxLength":1}"#;
    check(
        &of(text, ""),
        &of("", any),
        &[("PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", "#/properties/ab")],
    );
    check(&of("", any), &of(r#""ab":{"maxLength":1}"#, any), &[]);
    check(
        &of("", any),
        &of(r#""ab":{"maxLength":0}"#, any),
        &[("PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL", "#/properties/ab")],
    );
}

#[test]
fn new_patterns_apply_to_what_other_patterns_fit() {
    let of = |patterns: &str| object("", patterns, "false");
    let (a, b) = (r#""^a":{"type":"string"}"#, r#""b":{"type":"integer"}"#);
    check(&of(a), &of(&format!("{a},{b}")), &[("TYPE_CHANGED", "#/patternProperties/b")]);
    check(&of(a), &of(&format!(r#"{a},"^b":{{"type":"integer"}}"#)), &[]);
}

#[test]
fn patterns_that_are_not_supported_are_differences() {
    let of = |properties: &str, pattern: &str, additional: &str| {
        object(properties, &format!(r#""{pattern}":{{"type":"integer"}}"#), additional)
    };
    let (ahead, large) = ("^(?!x)", r"^\\w{1000}");
    for pattern in [ahead, large] {
        check(&of("", pattern, "false"), &of("", pattern, "false"), &[]);
        // It may fit the new property.
        let text = r#""y":{"type":"string"}"#;
        let added: &[(&str, &str)] = &[("PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL", "#/properties/y")];
        check(&of("", pattern, "false"), &of(text, pattern, "false"), added);
        check(&of("", pattern, r#"{"type":"string"}"#), &of(text, pattern, r#"{"type":"string"}"#), added);
        check(&of("", pattern, "false"), &of(r#""y":{}"#, pattern, "false"), &[]);
        // It may fit the old property.
        let path = format!("#/patternProperties/{}", pattern.replace(r"\\", r"\"));
        let added: &[(&str, &str)] = &[("PATTERN_PROPERTY_NOT_SUPPORTED", &path)];
        check(&object(text, "", "false"), &of(text, pattern, "false"), added);
    }
}

#[test]
fn patterns_are_compiled_once_and_count() {
    let properties = |prefix: &str| {
        let all: Vec<_> = (0..300).map(|i| format!(r#""{prefix}{i}":{{"type":"string"}}"#)).collect();
        all.join(",")
    };
    let few = |properties: &str| object(properties, r#""^x":{"type":"string"}"#, "false");
    check(&few(""), &few(&properties("a")), &[]);
    let many = object("", &properties("^a"), "false");
    check(&many, &many, &[("SCHEMA_TOO_COMPLEX", "#")]);
}

#[test]
fn keywords_beside_a_reference_count() {
    let of = |draft: &str, more: &str| {
        let draft = if draft.is_empty() { String::new() } else { format!(r#""$schema":"{draft}/schema","#) };
        format!(r##"{{{draft}"$ref":"#/$defs/a","$defs":{{"a":{{"type":"string"}}}}{more}}}"##)
    };
    let (old, new) = ("http://json-schema.org/draft-07", "https://json-schema.org/draft/2020-12");
    let five = r#","maxLength":5"#;
    let added: &[(&str, &str)] = &[("MAX_LENGTH_ADDED", "#/maxLength")];
    let text = r#"{"type":"string","maxLength":5}"#;
    for draft in ["", new] {
        check(&of(draft, ""), &of(draft, five), added);
        check(r#"{"type":"string"}"#, &of(draft, five), added);
        check(&of(draft, five), &of(draft, five), &[]);
        check(&of(draft, five), &of(draft, r#","maxLength":6"#), &[]);
        check(&of(draft, r#","maxLength":6"#), &of(draft, five), added);
        check(text, &of(draft, five), &[]);
    }
    check(&of(old, ""), &of(old, five), &[]);
    // What the writer says only perhaps does not count.
    check(&of(new, five), r#"{"maxLength":5}"#, &[]);
    for draft in ["", old] {
        check(&of(draft, five), r#"{"maxLength":5}"#, added);
        check(&of(draft, five), &of(new, five), added);
    }
    // What only describes counts for nothing.
    check(&of("", ""), &of("", r#","title":"t","connect.index":1"#), &[]);
    // Beside a reference to another site, and beside one in a branch.
    let site = |more: &str| format!(r#"{{"$ref":"http://a/b"{more}}}"#);
    check(&site(five), &site(five), &[]);
    check(&site(""), &site(five), &[("REFERENCE_CHANGED", "#")]);
    let branch = r##"{"$defs":{"a":{"type":["string","null"]}},"anyOf":[{"$ref":"#/$defs/a","maxLength":1}]}"##;
    check(r#"{"type":["string","null"]}"#, branch, &[("SUM_TYPE_NARROWED", "#/anyOf")]);
}

#[test]
fn references_in_what_must_stay_the_same_are_followed() {
    let of = |keyword: &str, kind: &str| {
        let a = format!(r##"{{"$ref":"#/$defs/b"}},"b":{{"type":"{kind}"}}"##);
        format!(r##"{{"{keyword}":{{"$ref":"#/$defs/a"}},"$defs":{{"a":{a}}}}}"##)
    };
    for (keyword, difference) in [("not", "NOT_TYPE_EXTENDED"), ("contains", "KEYWORD_CHANGED")] {
        check(&of(keyword, "string"), &of(keyword, "string"), &[]);
        check(&of(keyword, "string"), &of(keyword, "integer"), &[(difference, &format!("#/{keyword}"))]);
    }
    let of = |kind: &str| {
        format!(r##"{{"dependencies":{{"x":{{"$ref":"#/$defs/a"}}}},"$defs":{{"a":{{"type":"{kind}"}}}}}}"##)
    };
    check(&of("string"), &of("string"), &[]);
    check(&of("string"), &of("integer"), &[("DEPENDENCY_CHANGED", "#/dependencies/x")]);
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
