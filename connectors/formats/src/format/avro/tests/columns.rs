//! Columns for schemas, and schemas for columns.

use arrow::datatypes::DataType;

use super::super::super::Layout;
use super::super::super::testing::{TIME, TIMESTAMP, array, bare, layout, map, record};
use super::super::super::types::sql_name;
use super::super::super::{Inferred, Names};
use super::super::{DEFAULT_FULL_NAME, infer, key_full_name, schema_of};
use super::schema;

fn listed(inferred: &Inferred) -> String {
    let column = |field: &arrow::datatypes::FieldRef| format!("{} {}", field.name(), sql_name(field.data_type()));
    inferred.fields.iter().map(column).collect::<Vec<_>>().join(", ")
}

fn inferred(text: &str) -> (String, Vec<String>) {
    let inferred = infer(&schema(text), Names::Upper, "ROWVAL");
    let dropped = inferred.dropped.iter().map(|dropped| format!("{}: {}", dropped.path, dropped.reason));
    (listed(&inferred), dropped.collect())
}

#[test]
fn columns_are_inferred() {
    let typed = |encoding: &str, logical: &str| format!(r#"{{"type": "{encoding}", "logicalType": "{logical}"}}"#);
    for (kind, column) in [
        ("\"boolean\"", "BOOLEAN"),
        ("\"int\"", "INT"),
        ("\"long\"", "BIGINT"),
        ("\"float\"", "DOUBLE"),
        ("\"double\"", "DOUBLE"),
        ("\"bytes\"", "BYTES"),
        ("\"string\"", "STRING"),
        (r#"{"type": "fixed", "name": "F", "size": 2}"#, "BYTES"),
        (r#"{"type": "enum", "name": "E", "symbols": ["A"]}"#, "STRING"),
        (&typed("int", "date"), "DATE"),
        (&typed("int", "time-millis"), "TIME"),
        (&typed("long", "time-micros"), "BIGINT"),
        (&typed("long", "timestamp-millis"), "TIMESTAMP"),
        (&typed("long", "timestamp-micros"), "BIGINT"),
        (&typed("long", "local-timestamp-millis"), "BIGINT"),
        (&typed("string", "uuid"), "STRING"),
        (&typed("bytes", "decimal"), "DECIMAL(64, 0)"),
        (r#"{"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}"#, "DECIMAL(9, 2)"),
        (
            r#"{"type": "fixed", "name": "F", "size": 9, "logicalType": "decimal", "precision": 39, "scale": 3}"#,
            "DECIMAL(39, 3)",
        ),
        (
            r#"{"type": "bytes", "connect.name": "org.apache.kafka.connect.data.Decimal",
                "connect.parameters": {"scale": "2", "connect.decimal.precision": "7"}}"#,
            "DECIMAL(7, 2)",
        ),
        (
            r#"{"type": "bytes", "connect.name": "org.apache.kafka.connect.data.Decimal",
                "connect.parameters": {"scale": "2"}}"#,
            "DECIMAL(64, 2)",
        ),
        (
            r#"{"type": "bytes", "connect.name": "org.apache.kafka.connect.data.Decimal", "connect.parameters": {"scale": 2}}"#,
            "DECIMAL(64, 2)",
        ),
        (
            r#"{"type": "bytes", "connect.name": "org.apache.kafka.connect.data.Decimal", "connect.parameters": {"scale": "-2"}}"#,
            "BYTES",
        ),
        (r#"["null", "int"]"#, "INT"),
        (r#"["string", "null"]"#, "STRING"),
        (r#"["int", "string", "null"]"#, "STRUCT<INT INT, STRING STRING>"),
        (r#"["int"]"#, "STRUCT<INT INT>"),
        (r#"{"type": "array", "items": ["null", "int"]}"#, "ARRAY<INT>"),
        (r#"{"type": "map", "values": {"type": "map", "values": "long"}}"#, "MAP<STRING, MAP<STRING, BIGINT>>"),
        (
            r#"{"type": "array", "items": {"type": "record", "name": "io.confluent.connect.avro.MapEntry",
                "fields": [{"name": "key", "type": "int"}, {"name": "value", "type": ["null", "string"]}]}}"#,
            "MAP<STRING, STRING>",
        ),
        (
            r#"{"type": "record", "name": "a.b.C", "fields": [{"name": "d", "type": "int"}, {"name": "e", "type": "null"}]}"#,
            "STRUCT<D INT>",
        ),
    ] {
        let record = format!(r#"{{"type": "record", "name": "R", "fields": [{{"name": "f", "type": {kind}}}]}}"#);
        assert_eq!(inferred(&record).0, format!("F {column}"), "{kind}");
    }
}

#[test]
fn schemas_that_are_no_records_have_one_column() {
    let key = infer(&schema("\"int\""), Names::Upper, "ROWKEY");
    assert_eq!((listed(&key), key.is_record), ("ROWKEY INT".into(), false));
    let record = r#"["null", {"type": "record", "name": "R", "fields": [{"name": "aB", "type": "int"}]}]"#;
    let kept = infer(&schema(record), Names::AsWritten, "ROWVAL");
    assert_eq!((listed(&kept), kept.is_record), ("aB INT".into(), true));
    assert_eq!(inferred("\"null\""), (String::new(), vec![": null alone is not a type of a column".to_owned()]));
}

#[test]
fn what_no_column_can_hold_is_dropped_and_named() {
    let text = r#"{"type": "record", "name": "a.Tree", "fields": [
        {"name": "value", "type": "int"},
        {"name": "children", "type": {"type": "array", "items": ["null", "Tree"]}},
        {"name": "meta", "type": {"type": "record", "name": "Meta", "fields": [
            {"name": "parent", "type": ["null", "Tree"]}, {"name": "age", "type": "int"}]}},
        {"name": "none", "type": {"type": "record", "name": "None", "fields": []}},
        {"name": "VALUE", "type": "int"},
        {"name": "huge", "type": {"type": "bytes", "logicalType": "decimal", "precision": 77}}]}"#;
    let (columns, dropped) = inferred(text);
    assert_eq!(columns, "META STRUCT<AGE INT>, VALUE INT");
    assert_eq!(
        dropped,
        [
            "value: there are two fields \"VALUE\"",
            "children: record a.Tree contains itself",
            "meta.parent: record a.Tree contains itself",
            "none: a.None has no field that a column can hold",
            "huge: a DECIMAL has up to 76 digits, not 77",
        ]
    );
}

/// Records doubled in each other unfold to more columns than there is room for.
#[test]
fn inference_has_an_end() {
    let mut fields =
        r#"{"name": "f0", "type": {"type": "record", "name": "R0", "fields": [{"name": "x", "type": "int"}]}}"#
            .to_owned();
    for at in 1..500 {
        let inner = at - 1;
        fields += &format!(
            r#", {{"name": "f{at}", "type": {{"type": "record", "name": "R{at}", "fields":
            [{{"name": "a", "type": "R{inner}"}}, {{"name": "b", "type": "R{inner}"}}]}}}}"#
        );
    }
    let (_, dropped) = inferred(&format!(r#"{{"type": "record", "name": "R", "fields": [{fields}]}}"#));
    assert!(dropped.iter().any(|dropped| dropped.contains("the schema has more than 10000 types")), "{dropped:?}");
    let mut deep = "\"int\"".to_owned();
    for _ in 0..100 {
        deep = format!(r#"{{"type": "array", "items": {deep}}}"#);
    }
    assert_eq!(inferred(&deep).1, [": types are nested more than 64 deep"]);
}

#[test]
fn schemas_are_generated() {
    let text = schema_of(&layout(&[("ID", DataType::Int64), ("NAME", DataType::Utf8)]), DEFAULT_FULL_NAME).unwrap();
    let expected = concat!(
        r#"{"type":"record","name":"KsqlDataSourceSchema","namespace":"io.confluent.ksql.avro_schemas","fields":["#,
        r#"{"name":"ID","type":["null","long"],"default":null},"#,
        r#"{"name":"NAME","type":["null","string"],"default":null}],"#,
        r#""connect.name":"io.confluent.ksql.avro_schemas.KsqlDataSourceSchema"}"#
    );
    assert_eq!(text, expected);
    let date = r#"{"type":"int","connect.version":1,"connect.name":"org.apache.kafka.connect.data.Date","logicalType":"date"}"#;
    let decimal = concat!(
        r#"{"type":"bytes","scale":2,"precision":9,"connect.version":1,"#,
        r#""connect.parameters":{"scale":"2","connect.decimal.precision":"9"},"#,
        r#""connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}"#
    );
    for (kind, expected) in [
        (DataType::Int32, "\"int\""),
        (DataType::Float64, "\"double\""),
        (DataType::Date32, date),
        (DataType::Decimal128(9, 2), decimal),
        (array(DataType::Int32), r#"{"type":"array","items":["null","int"]}"#),
        (map(DataType::Boolean), r#"{"type":"map","values":["null","boolean"]}"#),
    ] {
        assert_eq!(schema_of(&bare(kind.clone()), "Key").as_deref(), Ok(expected), "{kind}");
    }
}

#[test]
fn records_are_named_after_the_fields_around_them() {
    let point = record(&[("X", DataType::Int32)]);
    let columns = [("A", record(&[("B", point.clone())])), ("A_B", array(point.clone())), ("M", map(point.clone()))];
    let text = schema_of(&layout(&columns), "com.acme.Row").unwrap();
    let names: Vec<_> = text.split("\"connect.name\":\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let expected =
        ["com.acme.Row_A_B", "com.acme.Row_A", "com.acme.Row_A_B_2", "com.acme.Row_M_MapValue", "com.acme.Row"];
    assert_eq!(names, expected);
    let list = schema_of(&bare(array(point)), "com.acme.Key").unwrap();
    assert!(list.contains(r#""name":"Key","namespace":"com.acme""#), "{list}");
    assert_eq!(key_full_name("LEFT_TABLE"), "io.confluent.ksql.avro_schemas.LeftTableKey");
    assert_eq!(key_full_name("S1"), "io.confluent.ksql.avro_schemas.S1Key");
}

#[test]
fn names_that_avro_does_not_have_are_refused() {
    let refused = |layout: &Layout, name: &str| schema_of(layout, name).unwrap_err().to_string();
    let rule = "a name is letters, digits and _, and begins with no digit";
    assert_eq!(
        refused(&layout(&[("1A", DataType::Int32)]), "R"),
        format!("\"1A\" cannot be the name of a field in Avro: {rule}")
    );
    assert_eq!(
        refused(&layout(&[("A", DataType::Int32)]), "a..b"),
        "\"a..b\" is not a valid full name of an Avro schema"
    );
}

#[test]
fn generated_schemas_infer_their_columns() {
    let columns = layout(&[
        ("A", DataType::Decimal128(38, 10)),
        ("B", DataType::Decimal256(64, 2)),
        ("C", array(map(record(&[("D", TIME), ("E", TIMESTAMP)])))),
        ("F", DataType::Date32),
        ("G", DataType::Binary),
    ]);
    let text = schema_of(&columns, DEFAULT_FULL_NAME).unwrap();
    let inferred = infer(&schema(&text), Names::Upper, "ROWVAL");
    assert_eq!((inferred.fields, inferred.dropped), (columns.fields, Vec::new()));
    assert!(apache_avro::Schema::parse_str(&text).is_ok());
}
