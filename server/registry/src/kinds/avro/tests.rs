//! Texts in, canonical texts or errors out.

use headwater_formats::format::avro::AvroSchema;

use super::Avro;
use crate::kinds::Referenced;

fn check(text: &str, expected: &str) {
    check_with(text, &[], expected);
}

fn check_with(text: &str, references: &[(&str, &str)], expected: &str) {
    let referenced = |(name, text): &(&str, &str)| Referenced { name: (*name).into(), text: (*text).into() };
    let references: Vec<_> = references.iter().map(referenced).collect();
    let found = match Avro::parse(text, &references) {
        Ok(schema) => schema.canonical(),
        Err(error) => error.to_string(),
    };
    assert_eq!(found, expected, "{text}");
    if let Ok(again) = Avro::parse(&found, &references) {
        assert_eq!(again.canonical(), found, "printed again");
    }
}

#[test]
fn attributes_have_one_order() {
    check(" { \"type\" : \"int\" } ", r#""int""#);
    check("int", r#""int""#);
    check(r#"{"logicalType":"date","type":"int"}"#, r#"{"type":"int","logicalType":"date"}"#);
    check(r#"{"x":1,"items":"string","type":"array"}"#, r#"{"type":"array","items":"string","x":1}"#);
    check(
        r#"{"fields":[{"type":"int","order":"ascending","name":"a","default":1,"doc":"d"}],"name":"R","type":"record","namespace":"n.m","aliases":["n.m.Q","P"]}"#,
        r#"{"type":"record","name":"R","namespace":"n.m","fields":[{"name":"a","type":"int","doc":"d","default":1}],"aliases":["Q","P"]}"#,
    );
    check(
        r#"{"symbols":["A"],"name":"n.E","type":"enum","default":"A"}"#,
        r#"{"type":"enum","name":"E","namespace":"n","symbols":["A"],"default":"A"}"#,
    );
    check(r#"{"size":4,"name":"F","type":"fixed"}"#, r#"{"type":"fixed","name":"F","size":4}"#);
    check(r#"{"type":{"type":"map","values":"int"}}"#, r#"{"type":"map","values":"int"}"#);
}

#[test]
fn names_are_as_short_as_they_can_be() {
    let record = |name: &str, fields: &str| format!(r#"{{"type":"record","name":{name},"fields":[{fields}]}}"#);
    let inner = record(r#""n.B""#, r#"{"name":"x","type":"n.A"}"#);
    check(
        &record(r#""n.A""#, &format!(r#"{{"name":"b","type":{inner}}},{{"name":"c","type":["null","B"]}}"#)),
        r#"{"type":"record","name":"A","namespace":"n","fields":[{"name":"b","type":{"type":"record","name":"B","fields":[{"name":"x","type":"A"}]}},{"name":"c","type":["null","B"]}]}"#,
    );
    // In another namespace, the name is written in full, and an inner type without one says so.
    let inner = record(r#""B","namespace":"""#, r#"{"name":"x","type":"n.A"}"#);
    check(
        &record(r#""n.A""#, &format!(r#"{{"name":"b","type":{inner}}}"#)),
        r#"{"type":"record","name":"A","namespace":"n","fields":[{"name":"b","type":{"type":"record","name":"B","namespace":"","fields":[{"name":"x","type":"n.A"}]}}]}"#,
    );
}

#[test]
fn references_define_types() {
    let order = r#"{"type":"record","name":"Order","namespace":"t","fields":[]}"#;
    check_with(r#"["null","t.Order"]"#, &[("t.Order", order)], r#"["null","t.Order"]"#);
    check_with(order, &[("t.Order", order)], "type \"t.Order\" is defined twice");
}

#[test]
fn what_is_wrong_is_said() {
    check("{", "not valid JSON: EOF while parsing an object at line 1 column 1");
    check("1", "1 is not a schema");
    check(r#"{"type":"nothing"}"#, "type \"nothing\" is not defined");
    check(r#"{"name":"x"}"#, "{\"name\":\"x\"} has no type");
    check(r#"["int","int"]"#, "\"int\" appears twice in a union");
    check(r#"["null",["int"]]"#, "a union is directly in another one");
    check(r#"{"type":"array"}"#, "{\"type\":\"array\"} has no \"items\"");
    check(r#"{"type":"fixed","name":"F","size":-1}"#, "type \"F\": -1 is not a valid size");
    check(r#"{"type":"enum","name":"E","symbols":["a","a"]}"#, "type \"E\": symbol \"a\" appears twice");
    check(r#"{"type":"enum","name":"E","symbols":["a b"]}"#, "type \"E\": \"a b\" is not a valid symbol");
    check(
        r#"{"type":"enum","name":"E","symbols":["a"],"default":"b"}"#,
        "type \"E\": its default \"b\" is not one of its symbols",
    );
    check(r#"{"type":"record","name":"int","fields":[]}"#, "a type must not be called \"int\"");
    check(r#"{"type":"record","name":"a-b","fields":[]}"#, "\"a-b\" is not a valid name");
    let field = |field: &str| format!(r#"{{"type":"record","name":"R","fields":[{field}]}}"#);
    check(&field(r#"{"name":"a","type":"int"},{"name":"a","type":"int"}"#), "type \"R\": field \"a\" appears twice");
    check(
        &field(r#"{"name":"a","type":"int","default":"x"}"#),
        "type \"R\": the default of field \"a\" is not a value of its type",
    );
    check(&field(r#"{"name":"a","type":"Q"}"#), "type \"R\": field \"a\": type \"Q\" is not defined");
    check(
        &field(r#"{"name":"a","type":"int","order":"up"}"#),
        "type \"R\": field \"a\": its order is not one of ascending, descending and ignore",
    );
}

#[test]
fn defaults_are_values_of_their_types() {
    let is_valid = |of: &str, default: &str| {
        let text =
            format!(r#"{{"type":"record","name":"R","fields":[{{"name":"a","type":{of},"default":{default}}}]}}"#);
        Avro::parse(&text, &[]).is_ok()
    };
    for (of, valid, invalid) in [
        ("\"int\"", "1", "2147483648"),
        ("\"long\"", "2147483648", "1.5"),
        ("\"double\"", "1", "true"),
        ("\"string\"", "\"\"", "null"),
        (r#"["null","int"]"#, "null", "\"x\""),
        (r#"{"type":"array","items":"int"}"#, "[1]", "[null]"),
        (r#"{"type":"map","values":"int"}"#, r#"{"a":1}"#, r#"{"a":""}"#),
        (r#"{"type":"record","name":"N","fields":[{"name":"x","type":"int"}]}"#, r#"{"x":1}"#, "{}"),
        (r#"["null","R"]"#, "null", "[]"),
    ] {
        assert!(is_valid(of, valid), "{of} {valid}");
        assert!(!is_valid(of, invalid), "{of} {invalid}");
    }
}

#[test]
fn names_are_those_of_java() {
    check(
        r#"{"type":"record","name":"R","namespace":"com.my-shop","fields":[{"name":"größe","type":["null","com.my-shop.R"]},{"name":"e","type":{"type":"enum","name":"Größe","symbols":["groß","klein"]}}]}"#,
        r#"{"type":"record","name":"R","namespace":"com.my-shop","fields":[{"name":"größe","type":["null","R"]},{"name":"e","type":{"type":"enum","name":"Größe","symbols":["groß","klein"]}}]}"#,
    );
    let of = |space: &str, simple: &str, field: &str| {
        let fields = format!(r#"[{{"name":"{field}","type":"int"}}]"#);
        format!(r#"{{"type":"record","name":"{simple}","namespace":"{space}","fields":{fields}}}"#)
    };
    for (space, simple, field, is_valid) in [
        ("a.1-b c", "R", "x", true),
        ("a", "R1", "_x1", true),
        ("a", "名", "é", true),
        ("a", "my-shop", "x", false),
        ("a", "R", "my-size", false),
        ("a", "1R", "x", false),
        ("a", "R", "1x", false),
        ("a", "R", "", false),
    ] {
        let text = of(space, simple, field);
        assert_eq!(Avro::parse(&text, &[]).is_ok(), is_valid, "{text}");
        assert_eq!(AvroSchema::parse_text(&text).is_ok(), is_valid, "as the formats read it: {text}");
    }
}

#[test]
fn defaults_are_checked_in_a_bounded_number_of_steps() {
    // A value of `x` is tried as A and as B, at each depth.
    let b = r#"{"type":"record","name":"B","fields":[{"name":"x","type":["int","A","B"]}]}"#;
    let a = format!(r#"{{"type":"record","name":"A","fields":[{{"name":"x","type":["int","A",{b}]}}]}}"#);
    let parse = |depth: usize, inner: &str| {
        let default = format!("{}{inner}{}", r#"{"x":"#.repeat(depth), "}".repeat(depth));
        let field = format!(r#"{{"name":"d","type":["A","B"],"default":{default}}}"#);
        let text = format!(r#"[{a},{{"type":"record","name":"C","fields":[{field}]}}]"#);
        Avro::parse(&text, &[]).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(parse(50, "5"), Ok(()));
    let problem = |what: &str| Err(format!("type \"C\": the default of field \"d\" is {what}"));
    assert_eq!(parse(5, "true"), problem("not a value of its type"));
    assert_eq!(parse(50, "true"), problem("too complex to be checked"));
}

#[test]
fn cycles_of_types_are_compared_in_a_bounded_number_of_steps() {
    // Types of two cycles of different lengths: all have the same last name, so that each is a pair with each.
    let cycle = |space: &str, count: usize| {
        let record = |i: usize| {
            let next = format!(r#"{{"name":"next","type":"{space}{}.R"}}"#, i - 1);
            format!(r#"{{"type":"record","name":"{space}{i}.R","fields":[{next}]}}"#)
        };
        let others: Vec<String> = (1..count).map(record).collect();
        let others = format!(r#"{{"type":"array","items":[{}]}}"#, others.join(","));
        let others = format!(r#"{{"name":"{space}","type":{others},"default":[]}}"#);
        let next = format!(r#"{{"name":"next","type":"{space}{}.R"}}"#, count - 1);
        let text = format!(r#"{{"type":"record","name":"{space}0.R","fields":[{others},{next}]}}"#);
        Avro::parse(&text, &[]).expect("it is valid")
    };
    let kinds = |reader, writer| {
        let found = super::differences(&cycle("r", reader), &cycle("w", writer));
        found.iter().map(|difference| difference.kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds(100, 101), Vec::<&str>::new());
    assert_eq!(kinds(1_000, 1_001), ["SCHEMA_TOO_COMPLEX"]);
}

#[test]
fn long_chains_of_types_are_compared() {
    // Each record has the next one: as deep as there are records, were they compared inside each other.
    let count = 5_000;
    let record = |i: usize| {
        let next = if i == 0 { "\"int\"".to_owned() } else { format!("\"R{}\"", i - 1) };
        format!(r#"{{"type":"record","name":"R{i}","fields":[{{"name":"next","type":{next}}}]}}"#)
    };
    let branches: Vec<String> = (0..count).map(record).collect();
    let schema = Avro::parse(&format!("[{}]", branches.join(",")), &[]).expect("it is valid");
    assert_eq!(super::differences(&schema, &schema), []);
    let text = schema.canonical();
    assert_eq!(Avro::parse(&text, &[]).expect("it is valid").canonical(), text);
}
