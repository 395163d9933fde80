//! Columns for messages, and messages for columns.

use arrow::datatypes::DataType;

use crate::format::testing::{TIME, TIMESTAMP, array, layout, map, record};
use crate::format::{Layout, Names, Presence, infer, schema_of, sql_name};
use crate::schema::{Schema, SchemaKind};

fn schema(text: &str) -> Schema {
    Schema { kind: SchemaKind::Protobuf, text: text.into(), references: Vec::new() }
}

/// The columns of a message, and what is dropped.
fn inferred(text: &str, full_name: Option<&str>) -> Result<(String, Vec<String>), String> {
    let inferred = infer(&schema(text), full_name, Names::Upper, "ROWVAL")?;
    assert!(inferred.is_record);
    let column = |field: &arrow::datatypes::FieldRef| format!("{} {}", field.name(), sql_name(field.data_type()));
    let dropped = inferred.dropped.iter().map(|dropped| format!("{}: {}", dropped.path, dropped.reason));
    Ok((inferred.fields.iter().map(column).collect::<Vec<_>>().join(", "), dropped.collect()))
}

#[test]
fn each_type_has_a_column() {
    for (kind, column) in [
        ("bool", "BOOLEAN"),
        ("int32", "INT"),
        ("sint32", "INT"),
        ("sfixed32", "INT"),
        ("uint32", "BIGINT"),
        ("fixed32", "BIGINT"),
        ("int64", "BIGINT"),
        ("uint64", "BIGINT"),
        ("float", "DOUBLE"),
        ("double", "DOUBLE"),
        ("string", "STRING"),
        ("bytes", "BYTES"),
        ("E", "STRING"),
        ("google.protobuf.StringValue", "STRING"),
        ("google.protobuf.Timestamp", "TIMESTAMP"),
        ("google.type.Date", "DATE"),
        ("google.type.TimeOfDay", "TIME"),
        ("confluent.type.Decimal", "DECIMAL(64, 0)"),
        ("repeated int32", "ARRAY<INT>"),
        ("repeated E", "ARRAY<STRING>"),
        ("map<int64, double>", "MAP<STRING, DOUBLE>"),
        ("map<string, N>", "MAP<STRING, STRUCT<A INT>>"),
        ("repeated TagEntry", "MAP<STRING, INT>"),
        ("repeated Entry", "ARRAY<STRUCT<KEY STRING, OTHER INT>>"),
        ("N", "STRUCT<A INT>"),
    ] {
        let text = format!(
            "syntax = \"proto3\"; import \"google/protobuf/timestamp.proto\"; import \"google/type/date.proto\";
            import \"google/protobuf/wrappers.proto\"; import \"google/type/timeofday.proto\";
            import \"confluent/type/decimal.proto\";
            message M {{ {kind} v = 1; }} message N {{ int32 a = 1; }} enum E {{ ZERO = 0; }}
            message TagEntry {{ string key = 1; int32 value = 2; }}
            message Entry {{ string key = 1; int32 other = 2; }}"
        );
        assert_eq!(inferred(&text, Some("M")), Ok((format!("V {column}"), vec![])), "{kind}");
    }
}

/// Every library has these files, so that they are not among the references of a schema.
#[test]
fn files_without_registration_are_imported() {
    let text = "syntax = \"proto3\"; import \"google/type/money.proto\"; import \"google/type/interval.proto\";
        message M { google.type.Money price = 1; google.type.Interval valid = 2; }";
    let columns = "PRICE STRUCT<CURRENCY_CODE STRING, UNITS BIGINT, NANOS INT>, \
                   VALID STRUCT<START_TIME TIMESTAMP, END_TIME TIMESTAMP>";
    assert_eq!(inferred(text, None), Ok((columns.to_owned(), vec![])));
    for (name, _) in crate::protobuf_files::all() {
        let text = format!("syntax = \"proto3\"; import \"{name}\"; message M {{ int32 a = 1; }}");
        assert_eq!(inferred(&text, None), Ok(("A INT".to_owned(), vec![])), "{name}");
    }
    let missing = inferred("syntax = \"proto3\"; import \"google/type/mony.proto\";", None);
    assert!(missing.is_err_and(|error| error.contains("google/type/mony.proto")));
}

/// Confluent's parser knows the file of its options without an import.
#[test]
fn options_of_confluent_need_no_import() {
    let parameters = "[(confluent.field_meta) = { params: [{ key: \"precision\", value: \"4\" }] }]";
    let message = format!("message M {{ confluent.type.Decimal d = 1 {parameters}; }}");
    let import = "import \"confluent/type/decimal.proto\";";
    for text in [
        format!("syntax = \"proto3\"; {import} {message}"),
        format!("// A comment; before all else\nsyntax = \"proto3\"; {import} {message} // The end"),
        format!("/* syntax */ syntax = \"proto3\"; // Without \"confluent/meta.proto\"\n{import} {message}"),
        format!("{import} {}", message.replace("confluent.type", "optional confluent.type")),
        format!("syntax = \"proto3\"; {import} {message} import \"confluent/meta.proto\";"),
    ] {
        assert_eq!(inferred(&text, None), Ok(("D DECIMAL(4, 0)".to_owned(), vec![])), "{text}");
    }
}

#[test]
fn columns_are_in_the_order_of_the_fields() {
    let text = "syntax = \"proto3\"; message M { int32 z = 3; oneof o { string y = 9; bool x = 4; } N a = 1; }
        message N { int32 d = 2; int32 c = 1; }";
    let columns = "O_0 STRUCT<Y STRING, X BOOLEAN>, Z INT, A STRUCT<D INT, C INT>";
    assert_eq!(inferred(text, None), Ok((columns.to_owned(), vec![])));
}

#[test]
fn oneofs_come_first_and_messages_are_found_by_name() {
    let text = "syntax = \"proto3\"; package p;
        message M { int32 z = 1; oneof kind { int32 a = 2; N n = 3; } message N { string x = 1; } }
        message O { M.N b = 1; }";
    let first = "KIND_0 STRUCT<A INT, N STRUCT<X STRING>>, Z INT".to_owned();
    let other = "p.O: another message, which a SCHEMA_FULL_NAME chooses".to_owned();
    assert_eq!(inferred(text, None), Ok((first.clone(), vec![other])));
    assert_eq!(inferred(text, Some("p.M")), Ok((first, vec![])));
    assert_eq!(inferred(text, Some("p.O")), Ok(("B STRUCT<X STRING>".to_owned(), vec![])));
    assert_eq!(inferred(text, Some("p.M.N")), Ok(("X STRING".to_owned(), vec![])));
    let reason = "the schema has no message O; its messages are p.M, p.O, p.M.N";
    assert_eq!(inferred(text, Some("O")), Err(reason.to_owned()));
    assert_eq!(inferred("syntax = \"proto3\";", None), Err("the schema has no message".to_owned()));
}

#[test]
fn what_no_column_can_hold_is_dropped() {
    let text = "syntax = \"proto3\"; import \"confluent/meta.proto\"; import \"confluent/type/decimal.proto\";
        message M { int32 a = 1; Node n = 2; Empty e = 4;
            confluent.type.Decimal d = 5 [(confluent.field_meta) = { params: [{ key: \"precision\", value: \"77\" }] }];
        }
        message Node { int32 x = 1; Other o = 2; } message Other { Node n = 1; int32 y = 2; } message Empty {}";
    let dropped = [
        "n.o.n: the message contains itself: Node.o -> Other.n -> Node",
        "e: Empty has no field that a column can hold",
        "d: a DECIMAL has up to 76 digits, not 77",
    ];
    let columns = "A INT, N STRUCT<X INT, O STRUCT<Y INT>>".to_owned();
    assert_eq!(inferred(text, None), Ok((columns, dropped.map(str::to_owned).to_vec())));
}

#[test]
fn groups_have_no_column() {
    let text = "syntax = \"proto2\"; message M { optional int32 a = 1; optional group G = 2 { optional int32 x = 1; }
        oneof o { int32 b = 3; group H = 4 { optional int32 x = 1; } } optional N n = 5; }
        message N { required int32 y = 1; repeated group R = 2 { optional int32 x = 1; } }";
    let dropped = [
        "o_0.h: a group of proto2 cannot be read",
        "n.r: a group of proto2 cannot be read",
        "g: a group of proto2 cannot be read",
    ];
    let columns = "O_0 STRUCT<B INT>, A INT, N STRUCT<Y INT>".to_owned();
    assert_eq!(inferred(text, None), Ok((columns, dropped.map(str::to_owned).to_vec())));
}

#[test]
fn messages_beside_the_first_are_named() {
    let text = "syntax = \"proto3\"; package p; message M { int32 a = 1; M again = 2; N n = 3; } message N { O o = 1; }
        message O { int32 x = 1; } message P { message Q { R r = 1; } map<string, S> s = 1; } message R {} message S {}";
    let (_, dropped) = inferred(text, None).unwrap();
    let reason = "another message, which a SCHEMA_FULL_NAME chooses";
    let dropped: Vec<_> = dropped.iter().filter(|part| part.ends_with(reason)).collect();
    assert_eq!(dropped, [&format!("p.P: {reason}")]);
    let (_, dropped) = inferred(text, Some("p.R")).unwrap();
    assert!(!dropped.iter().any(|part| part.ends_with(reason)), "{dropped:?}");
}

#[test]
fn of_fields_that_differ_in_case_only_one_has_a_column() {
    let text = "syntax = \"proto2\"; message M { optional int32 a = 1; optional string A = 2; optional N n = 3; }
        message N { optional string Bc = 2; optional int32 bC = 1; }";
    let dropped = ["a: there are two fields \"A\"", "n.bC: there are two fields \"BC\""];
    let columns = "A STRING, N STRUCT<BC STRING>".to_owned();
    assert_eq!(inferred(text, None), Ok((columns, dropped.map(str::to_owned).to_vec())));
}

#[test]
fn schemas_that_unfold_without_end_are_refused() {
    // Each message has the next one twice: 2^40 columns.
    let twice = (0..40).map(|at| format!("message M{at} {{ M{0} a = 1; M{0} b = 2; }} ", at + 1));
    let text = format!("syntax = \"proto3\"; {} message M40 {{ int32 x = 1; }}", twice.collect::<String>());
    let (_, dropped) = inferred(&text, None).unwrap();
    assert!(dropped[0].ends_with("the schema has more than 10000 types"), "{}", dropped[0]);
    // Each message has the next one, 20 000 times.
    let once = (0..20_000).map(|at| format!("message M{at} {{ M{} a = 1; }} ", at + 1));
    let text = format!("syntax = \"proto3\"; {} message M20000 {{ int32 x = 1; }}", once.collect::<String>());
    let (_, dropped) = inferred(&text, None).unwrap();
    assert!(dropped[0].contains("nested more than 64 deep"), "{}", dropped[0]);
    let long = format!("syntax = \"proto3\"; // {}", "x".repeat(1 << 20));
    assert_eq!(inferred(&long, None), Err("the schema has more than 1048576 bytes".to_owned()));
}

fn text_of(layout: &Layout, full_name: &str) -> Result<String, String> {
    let schema = schema_of(SchemaKind::Protobuf, layout, full_name);
    schema.map(|schema| schema.text.to_string()).map_err(|error| error.to_string())
}

#[test]
fn messages_are_what_ksqldb_registers() {
    let inner = record(&[("X", DataType::Int32), ("Y", array(record(&[("Z", DataType::Utf8)])))]);
    let columns = layout(&[
        ("B", DataType::Boolean),
        ("N", DataType::Decimal128(4, 2)),
        ("D", DataType::Date32),
        ("T", TIME),
        ("TS", TIMESTAMP),
        ("L", array(DataType::Int64)),
        ("M", map(DataType::Float64)),
        ("S", inner),
        ("BY", DataType::Binary),
    ]);
    let expected = "syntax = \"proto3\";

import \"confluent/meta.proto\";
import \"confluent/type/decimal.proto\";
import \"google/type/date.proto\";
import \"google/type/timeofday.proto\";
import \"google/protobuf/timestamp.proto\";

message ConnectDefault1 {
  bool B = 1;
  confluent.type.Decimal N = 2 [(confluent.field_meta) = { params: [{ key: \"precision\", value: \"4\" }, { key: \"scale\", value: \"2\" }] }];
  google.type.Date D = 3;
  google.type.TimeOfDay T = 4;
  google.protobuf.Timestamp TS = 5;
  repeated int64 L = 6;
  repeated ConnectDefault2Entry M = 7;
  ConnectDefault3 S = 8;
  bytes BY = 9;

  message ConnectDefault2Entry {
    string key = 1;
    double value = 2;
  }

  message ConnectDefault3 {
    int32 X = 1;
    repeated ConnectDefault4 Y = 2;

    message ConnectDefault4 {
      string Z = 1;
    }
  }
}
";
    assert_eq!(text_of(&columns, "ConnectDefault1").as_deref(), Ok(expected));
}

#[test]
fn presence_and_packages_are_honoured() {
    let columns = layout(&[("A", DataType::Int32), ("M", map(DataType::Utf8)), ("D", DataType::Date32)]);
    let optional = Layout { presence: Presence::Optional, ..columns.clone() };
    let expected = "syntax = \"proto3\";
package a.b;

import \"google/type/date.proto\";

message C {
  optional int32 A = 1;
  repeated ConnectDefault1Entry M = 2;
  optional google.type.Date D = 3;

  message ConnectDefault1Entry {
    string key = 1;
    string value = 2;
  }
}
";
    assert_eq!(text_of(&optional, "a.b.C").as_deref(), Ok(expected));
    let wrapped = text_of(&Layout { presence: Presence::Wrapper, ..columns }, "ConnectDefault1").unwrap();
    for line in ["google.protobuf.Int32Value A = 1;", "google.protobuf.StringValue key = 1;"] {
        assert!(wrapped.contains(line), "{wrapped}");
    }
}

#[test]
fn names_that_protobuf_has_not_are_refused() {
    let a = layout(&[("A", DataType::Int32)]);
    let name = "\"my message\" is not a valid full name of a Protobuf message";
    assert_eq!(text_of(&a, "my message"), Err(name.to_owned()));
    let rule = "\"has space\" cannot be the name of a field in Protobuf: a name is letters of ASCII, digits and _, and \
                begins with no digit";
    assert_eq!(text_of(&layout(&[("has space", DataType::Int32)]), "M"), Err(rule.to_owned()));
    // Protobuf derives other names from these, which must differ, too.
    let camel = layout(&[("A_B", DataType::Int32), ("AB", DataType::Int32)]);
    let reason = "the schema is not valid Protobuf: camel-case name of field 'A_B' conflicts with field 'AB'";
    assert_eq!(text_of(&camel, "M"), Err(reason.to_owned()));
    // The message of a STRUCT does not get the name of its field.
    let named = layout(&[("ConnectDefault2", record(&[("X", DataType::Int32)]))]);
    assert!(text_of(&named, "ConnectDefault1").unwrap().contains("ConnectDefault2Message ConnectDefault2 = 1;"));
}
