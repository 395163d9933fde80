//! Pairs of schemas, and whether the second one can read what was written with the first, and the reverse.
//!
//! `real` is what AxonOps' registry says where it differs, and why this one does not follow.

use headwater_formats::schema::SchemaKind;
use headwater_registry::{Level, NewSchema};

use crate::setup::Setup;

/// A pair: what it shows, the old and the new schema, and whether it is compatible backward and forward.
type Pair<'a> = (&'a str, &'a str, &'a str, bool, bool);

async fn check(kind: SchemaKind, pairs: &[Pair<'_>], real: &[(&str, bool, bool)]) {
    let setup = Setup::start().await;
    let mut wrong = Vec::new();
    for (what, old, new, backward, forward) in pairs {
        let subject = setup.subject("pair");
        let old = NewSchema::new(kind, *old);
        setup.registry.register(&subject, &old).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        let exception = real.iter().find(|(other, ..)| setup.is_real && other == what);
        let expected = exception.map_or((*backward, *forward), |(_, backward, forward)| (*backward, *forward));
        for (level, expected) in [(Level::Backward, expected.0), (Level::Forward, expected.1)] {
            setup.registry.set_level(Some(&subject), level).await.expect("it is set");
            let found = setup.registry.check(&subject, &NewSchema::new(kind, *new)).await;
            let found = found.unwrap_or_else(|error| panic!("{what}: {error}"));
            if found.is_compatible != expected {
                wrong.push(format!("{what}: {level} should be {expected}: {:?}", found.messages));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn record(fields: &str) -> String {
    format!(r#"{{"type":"record","name":"R","namespace":"n","fields":[{fields}]}}"#)
}

fn field(of: &str) -> String {
    record(&format!(r#"{{"name":"a","type":{of}}}"#))
}

#[tokio::test]
async fn avro_schemas() {
    let two = |second: &str| record(&format!(r#"{{"name":"a","type":"int"}},{second}"#));
    let of = |symbols: &str, more: &str| field(&format!(r#"{{"type":"enum","name":"E","symbols":[{symbols}]{more}}}"#));
    let nested = |fields: &str| field(&format!(r#"{{"type":"record","name":"N","fields":[{fields}]}}"#));
    let node = |more: &str| {
        let next = r#"{"name":"next","type":["null","R"],"default":null}"#;
        record(&format!("{next}{more}"))
    };
    let fixed = |size: u32| field(&format!(r#"{{"type":"fixed","name":"F","size":{size}}}"#));
    let pairs = [
        ("field with a default added", field("\"int\""), two(r#"{"name":"b","type":"int","default":1}"#), true, true),
        ("field without a default added", field("\"int\""), two(r#"{"name":"b","type":"int"}"#), false, true),
        ("int to long", field("\"int\""), field("\"long\""), true, false),
        ("long to double", field("\"long\""), field("\"double\""), true, false),
        ("int to string", field("\"int\""), field("\"string\""), false, false),
        ("string to bytes", field("\"string\""), field("\"bytes\""), true, true),
        ("type to a union with it", field("\"int\""), field(r#"["null","int"]"#), true, false),
        ("union without a branch", field(r#"["null","int","string"]"#), field(r#"["null","int"]"#), false, true),
        ("union with a wider branch", field(r#"["null","int"]"#), field(r#"["null","long"]"#), true, false),
        ("branches in another order", field(r#"["null","int"]"#), field(r#"["int","null"]"#), true, true),
        ("symbol added", of(r#""A","B""#, ""), of(r#""A","B","C""#, ""), true, false),
        ("symbol removed with a default", of(r#""A","B""#, ""), of(r#""A""#, r#","default":"A""#), true, true),
        ("fixed of another size", fixed(4), fixed(8), false, false),
        (
            "array of a wider type",
            field(r#"{"type":"array","items":"int"}"#),
            field(r#"{"type":"array","items":"long"}"#),
            true,
            false,
        ),
        (
            "map to array",
            field(r#"{"type":"map","values":"int"}"#),
            field(r#"{"type":"array","items":"int"}"#),
            false,
            false,
        ),
        (
            "nested field added",
            nested(r#"{"name":"x","type":"int"}"#),
            nested(r#"{"name":"x","type":"int"},{"name":"y","type":"int"}"#),
            false,
            true,
        ),
        ("field in a recursive record", node(""), node(r#",{"name":"v","type":"int"}"#), false, true),
        ("renamed record", field("\"int\""), field("\"int\"").replace("\"R\"", "\"S\""), false, false),
        ("another namespace", field("\"int\""), field("\"int\"").replace("\"n\"", "\"m\""), true, true),
        ("another logical type", field(r#"{"type":"int","logicalType":"date"}"#), field("\"int\""), true, true),
        (
            "renamed field with an alias",
            field("\"int\""),
            record(r#"{"name":"b","type":"int","aliases":["a"]}"#),
            true,
            false,
        ),
        ("primitive at the top", "\"int\"".to_owned(), "\"long\"".to_owned(), true, false),
    ];
    let pairs: Vec<Pair<'_>> = pairs.iter().map(|(what, old, new, b, f)| (*what, &**old, &**new, *b, *f)).collect();
    check(SchemaKind::Avro, &pairs, AVRO_REAL).await;
}

/// Java's library, which Confluent's registry uses, compares the last parts of names, and takes aliases of the reader only.
const AVRO_REAL: &[(&str, bool, bool)] =
    &[("another namespace", false, false), ("renamed field with an alias", true, true)];

fn message(body: &str) -> String {
    format!("syntax = \"proto3\"; package t; message M {{ {body} }} enum E {{ Z = 0; }} message N {{ int32 x = 1; }}")
}

#[tokio::test]
async fn protobuf_schemas() {
    let a = || message("int32 a = 1;");
    let two = |fields: &str| format!("syntax = \"proto2\"; message M {{ {fields} }}");
    let pairs = [
        ("field added", a(), message("int32 a = 1; string b = 2;"), true, true),
        ("field removed", message("int32 a = 1; string b = 2;"), a(), true, true),
        ("field renamed", a(), message("int32 b = 1;"), true, true),
        ("int32 to int64", a(), message("int64 a = 1;"), true, true),
        ("int32 to bool", a(), message("bool a = 1;"), true, true),
        ("int32 to enum", a(), message("E a = 1;"), true, true),
        ("int32 to sint32", a(), message("sint32 a = 1;"), false, false),
        ("int32 to string", a(), message("string a = 1;"), false, false),
        ("string to bytes", message("string a = 1;"), message("bytes a = 1;"), true, true),
        ("fixed32 to sfixed32", message("fixed32 a = 1;"), message("sfixed32 a = 1;"), true, true),
        ("int32 to message", a(), message("N a = 1;"), false, false),
        ("message added", a(), format!("{} message O {{}}", a()), true, false),
        ("package changed", a(), a().replace("package t", "package u"), false, false),
        ("one field moved to a oneof", a(), message("oneof o { int32 a = 1; }"), true, true),
        (
            "two fields moved to a oneof",
            message("int32 a = 1; int32 b = 2;"),
            message("oneof o { int32 a = 1; int32 b = 2; }"),
            false,
            true,
        ),
        (
            "field of a oneof removed",
            message("oneof o { int32 a = 1; int32 b = 2; }"),
            message("oneof o { int32 a = 1; }"),
            false,
            true,
        ),
        ("field made optional", a(), message("optional int32 a = 1;"), true, true),
        (
            "map value of another type",
            message("map<string, int32> a = 1;"),
            message("map<string, string> a = 1;"),
            false,
            false,
        ),
        ("message of another name", message("N a = 1;"), message("message P {} P a = 1;"), false, false),
        ("string repeated", message("string a = 1;"), message("repeated string a = 1;"), true, true),
        ("int32 repeated", a(), message("repeated int32 a = 1;"), false, false),
        (
            "required field added",
            two("optional int32 a = 1;"),
            two("optional int32 a = 1; required int32 b = 2;"),
            false,
            false,
        ),
        (
            "nested message changed",
            message("message P { int32 x = 1; } P p = 1;"),
            message("message P { string x = 1; } P p = 1;"),
            false,
            false,
        ),
    ];
    let pairs: Vec<Pair<'_>> = pairs.iter().map(|(what, old, new, b, f)| (*what, &**old, &**new, *b, *f)).collect();
    check(SchemaKind::Protobuf, &pairs, PROTOBUF_REAL).await;
}

/// Confluent's registry lets fields leave a oneof that is gone, and compares the values of maps and nested names.
const PROTOBUF_REAL: &[(&str, bool, bool)] = &[
    ("one field moved to a oneof", true, false),
    ("two fields moved to a oneof", false, false),
    ("map value of another type", true, true),
    ("message of another name", true, false),
];

#[tokio::test]
async fn json_schemas() {
    let open = |properties: &str| format!(r#"{{"type":"object","properties":{{{properties}}}}}"#);
    let closed =
        |properties: &str| format!(r#"{{"type":"object","properties":{{{properties}}},"additionalProperties":false}}"#);
    let (a, b) = (r#""a":{"type":"integer"}"#, r#""b":{"type":"string"}"#);
    let both = format!("{a},{b}");
    let required = |names: &str| format!(r#"{{"type":"object","properties":{{{both}}},"required":[{names}]}}"#);
    let number = |more: &str| format!(r#"{{"type":"integer"{more}}}"#);
    let text = |more: &str| format!(r#"{{"type":"string"{more}}}"#);
    let pairs = [
        ("property added, open", open(a), open(&both), false, true),
        ("property removed, open", open(&both), open(a), true, false),
        ("property added, closed", closed(a), closed(&both), true, false),
        ("property removed, closed", closed(&both), closed(a), false, true),
        ("closed to open", closed(a), open(a), true, false),
        ("property that was required", required(r#""a""#), required(""), true, false),
        ("property required", required(""), required(r#""a""#), false, true),
        ("integer to number", number(""), number("").replace("integer", "number"), true, false),
        ("integer to string", number(""), text(""), false, false),
        ("type to types", text(""), r#"{"type":["string","null"]}"#.to_owned(), true, false),
        ("maximum raised", number(r#","maximum":5"#), number(r#","maximum":6"#), true, false),
        ("maximum removed", number(r#","maximum":5"#), number(""), true, false),
        ("minimum raised", number(r#","minimum":5"#), number(r#","minimum":6"#), false, true),
        ("longer text", text(r#","maxLength":5"#), text(r#","maxLength":6"#), true, false),
        ("pattern removed", text(r#","pattern":"a""#), text(""), true, false),
        ("value added", r#"{"enum":["a"]}"#.to_owned(), r#"{"enum":["a","b"]}"#.to_owned(), true, false),
        ("branch added", r#"{"oneOf":[{"type":"string"}]}"#.to_owned(), r#"{"oneOf":[{"type":"string"},{"type":"integer"}]}"#.to_owned(), true, false),
        ("type to a branch", text(""), r#"{"oneOf":[{"type":"null"},{"type":"string"}]}"#.to_owned(), true, false),
        ("items widened", r#"{"type":"array","items":{"type":"integer"}}"#.to_owned(), r#"{"type":"array","items":{"type":"number"}}"#.to_owned(), true, false),
        ("title changed", text(r#","title":"a""#), text(r#","title":"b""#), true, true),
        ("definition moved", r#"{"type":"object","properties":{"a":{"type":"integer"}}}"#.to_owned(), r##"{"type":"object","properties":{"a":{"$ref":"#/definitions/A"}},"definitions":{"A":{"type":"integer"}}}"##.to_owned(), true, true),
    ];
    let pairs: Vec<Pair<'_>> = pairs.iter().map(|(what, old, new, b, f)| (*what, &**old, &**new, *b, *f)).collect();
    check(SchemaKind::Json, &pairs, JSON_REAL).await;
}

/// No difference is known.
const JSON_REAL: &[(&str, bool, bool)] = &[];
