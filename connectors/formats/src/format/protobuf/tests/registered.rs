//! Messages of registered schemas: each kind of field, imports, oneofs, and several writers in one batch.

use std::sync::Arc;

use arrow::array::BinaryArray;
use arrow::datatypes::{DataType, FieldRef};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use prost_reflect::prost::Message as _;
use protox::file::File;

use super::bytes;
use crate::format::testing::{TIME, TIMESTAMP, array, layout, map, record, show};
use crate::format::{Decoder, FramedProtobufDecoder, Layout, Names, infer, sql_name};
use crate::schema::{Reference, Schema, SchemaKind};

fn schema(text: &str, references: &[(&str, &Arc<Schema>)]) -> Arc<Schema> {
    let reference =
        |(name, schema): &(&str, &Arc<Schema>)| Reference { name: (*name).to_owned(), schema: Arc::clone(schema) };
    let references = references.iter().map(reference).collect();
    Arc::new(Schema { kind: SchemaKind::Protobuf, text: text.into(), references })
}

fn proto3(text: &str) -> Arc<Schema> {
    schema(&format!("syntax = \"proto3\"; {text}"), &[])
}

/// Reads a message of a schema into all columns, and into none, which must agree.
fn read_payload(schema: &Arc<Schema>, layout: &Layout, payload: &[u8]) -> Result<String, String> {
    let payloads = BinaryArray::from_vec(vec![payload]);
    let decode = |projection: &[usize]| {
        let mut decoder = FramedProtobufDecoder::try_new(layout, projection).unwrap();
        decoder.missing_schemas(&payloads).into_iter().for_each(|id| decoder.learn(id, Ok(Arc::clone(schema))));
        decoder.decode(&payloads)
    };
    let all = decode(&(0..layout.fields.len()).collect::<Vec<_>>());
    assert_eq!(all.bad, decode(&[]).bad, "what is bad does not depend on the columns");
    match all.bad.first() {
        Some(bad) => Err(bad.reason.clone()),
        None => Ok(all.columns.iter().map(|column| show(column, 0)).collect::<Vec<_>>().join(" ")),
    }
}

/// Reads the first message of a schema.
fn read(schema: &Arc<Schema>, layout: &Layout, message: &str) -> Result<String, String> {
    read_payload(schema, layout, &bytes(&format!("00 00 00 00 07 00 {message}")))
}

#[test]
fn every_kind_of_number_is_read() {
    for (kind, column, message, shown) in [
        ("bool", DataType::Boolean, "08 01", "true"),
        ("int32", DataType::Int32, "08 ff ff ff ff ff ff ff ff ff 01", "-1"),
        ("int32", DataType::Int64, "08 05", "5"),
        ("int64", DataType::Int64, "08 05", "5"),
        ("uint32", DataType::Int64, "08 ff ff ff ff 0f", "4294967295"),
        ("uint64", DataType::Int64, "08 ff ff ff ff ff ff ff ff ff 01", "-1"),
        ("sint32", DataType::Int32, "08 03", "-2"),
        ("sint32", DataType::Int32, "08 ff ff ff ff 0f", "-2147483648"),
        ("sint64", DataType::Int64, "08 03", "-2"),
        ("fixed32", DataType::Int64, "0d ff ff ff ff", "4294967295"),
        ("fixed64", DataType::Int64, "09 02 00 00 00 00 00 00 00", "2"),
        ("sfixed32", DataType::Int32, "0d fe ff ff ff", "-2"),
        ("sfixed64", DataType::Int64, "09 fe ff ff ff ff ff ff ff", "-2"),
        ("float", DataType::Float64, "0d cd cc cc 3d", "0.10000000149011612"),
        ("double", DataType::Float64, "09 9a 99 99 99 99 99 b9 3f", "0.1"),
        ("string", DataType::Utf8, "0a 01 'x'", "x"),
        ("bytes", DataType::Binary, "0a 01 ff", "ff"),
        ("repeated sint32", array(DataType::Int32), "0a 02 01 02 08 03", "[-1, 1, -2]"),
        ("repeated fixed32", array(DataType::Int64), "0a 04 01 00 00 00 0d 02 00 00 00", "[1, 2]"),
    ] {
        let schema = proto3(&format!("message M {{ {kind} v = 1; }}"));
        assert_eq!(read(&schema, &layout(&[("V", column)]), message).as_deref(), Ok(shown), "{kind}");
    }
}

#[test]
fn enums_are_read_as_names() {
    let column = layout(&[("S", DataType::Utf8), ("L", array(DataType::Utf8))]);
    let suits = "enum Suit { SPADES = 0; HEARTS = 1; CLUBS = 4; } message M { Suit s = 1; repeated Suit l = 2; }";
    assert_eq!(read(&proto3(suits), &column, "08 04 12 02 00 01").as_deref(), Ok("CLUBS [SPADES, HEARTS]"));
    assert_eq!(read(&proto3(suits), &column, "").as_deref(), Ok("SPADES []"));
    let unknown = "UNKNOWN_ENUM_VALUE_Suit_3 [UNKNOWN_ENUM_VALUE_Suit_-1]";
    assert_eq!(read(&proto3(suits), &column, "08 03 10 ff ff ff ff ff ff ff ff ff 01").as_deref(), Ok(unknown));
    let closed = schema(
        "syntax = \"proto2\"; enum Suit { HEARTS = 1; CLUBS = 4; }
         message M { optional Suit s = 1 [default = CLUBS]; repeated Suit l = 2; }",
        &[],
    );
    assert_eq!(read(&closed, &column, "08 01 08 03 10 03 10 04").as_deref(), Ok("HEARTS [CLUBS]"));
    assert_eq!(read(&closed, &column, "").as_deref(), Ok("CLUBS []"));
}

/// As in Python and Java.
#[test]
fn a_value_of_an_enum_has_the_first_of_its_names() {
    let values = "option allow_alias = true; Z = 0; A = 1; AA = 1; B = 2; BB = 2; ZZ = 0; MINUS = -1; LESS = -1;";
    let text = format!("enum E {{ {values} }} message M {{ E e = 1; repeated E l = 2; map<string, E> m = 3; }}");
    let columns = layout(&[("E", DataType::Utf8), ("L", array(DataType::Utf8)), ("M", map(DataType::Utf8))]);
    let text2 = format!(
        "syntax = \"proto2\"; enum E {{ {values} }}
         message M {{ optional E e = 1 [default = BB]; repeated E l = 2; map<string, E> m = 3; }}"
    );
    for schema in [proto3(&text), schema(&text2, &[])] {
        let message = "08 01 12 0d 00 01 02 ff ff ff ff ff ff ff ff ff 01 1a 05 0a 01 'k' 10 02";
        assert_eq!(read(&schema, &columns, message).as_deref(), Ok("A [Z, A, B, MINUS] {k: B}"));
    }
    assert_eq!(read(&schema(&text2, &[]), &columns, "").as_deref(), Ok("B [] {}"));
    let unknown = "08 03 12 02 01 03";
    assert_eq!(read(&schema(&text2, &[]), &columns, unknown).as_deref(), Ok("B [A] {}"), "the enum is closed");
}

#[test]
fn known_messages_need_no_registration() {
    let text = "
        import \"google/protobuf/timestamp.proto\"; import \"google/protobuf/wrappers.proto\";
        import \"google/type/date.proto\"; import \"google/type/timeofday.proto\";
        import \"confluent/meta.proto\"; import \"confluent/type/decimal.proto\";
        message M {
            google.protobuf.Timestamp ts = 1; google.type.Date d = 2; google.type.TimeOfDay t = 3;
            confluent.type.Decimal n = 4 [(confluent.field_meta) = { params: [{ key: \"precision\", value: \"4\" }] }];
            google.protobuf.StringValue s = 5; google.protobuf.UInt32Value u = 6;
        }";
    let columns = layout(&[
        ("TS", TIMESTAMP),
        ("D", DataType::Date32),
        ("T", TIME),
        ("N", DataType::Decimal128(4, 2)),
        ("S", DataType::Utf8),
        ("U", DataType::Int64),
    ]);
    let message = "0a 02 08 01 12 07 08 b2 0f 10 01 18 0b 1a 02 08 01 22 05 0a 01 05 18 01 2a 03 0a 01 'x' 32 00";
    let shown = "1970-01-01T00:00:01 1970-01-11 01:00:00 0.50 x 0";
    assert_eq!(read(&proto3(text), &columns, message).as_deref(), Ok(shown));
    assert_eq!(read(&proto3(text), &columns, "").as_deref(), Ok("null null null null null null"));
}

#[test]
fn absence_is_null_where_the_schema_can_tell() {
    let columns = layout(&[("A", DataType::Int32), ("B", DataType::Utf8), ("M", record(&[("X", DataType::Int32)]))]);
    let both = "int32 a = 1; optional string b = 2; N m = 3; } message N { int32 x = 1; }";
    assert_eq!(read(&proto3(&format!("message M {{ {both}")), &columns, "").as_deref(), Ok("0 null null"));
    let old = schema(
        "syntax = \"proto2\"; message M { optional int32 a = 1 [default = -5]; optional string b = 2 [default = 'x']; }",
        &[],
    );
    assert_eq!(read(&old, &columns, "").as_deref(), Ok("-5 x null"));
    assert_eq!(read(&old, &columns, "08 00 12 00").as_deref(), Ok("0  null"));
}

/// As in Google's libraries.
#[test]
fn a_message_without_a_required_field_is_bad() {
    let schema = schema(
        "syntax = \"proto2\"; message M { required int32 a = 1; optional N n = 2; repeated N more = 3; }
        message N { required string x = 1 [default = 'd']; optional int32 y = 2; }",
        &[],
    );
    let inner = record(&[("X", DataType::Utf8), ("Y", DataType::Int32)]);
    let columns = layout(&[("A", DataType::Int32), ("N", inner.clone()), ("MORE", array(inner))]);
    for (message, shown) in [
        ("08 00", Ok("0 null []")),
        ("08 00 12 02 0a 00", Ok("0 {X: , Y: 0} []")),
        ("", Err("$.a: the required field is missing (byte 6)")),
        ("12 02 0a 00", Err("$.a: the required field is missing (byte 10)")),
        ("08 00 12 02 10 01", Err("$.n.x: the required field is missing (byte 12)")),
        ("08 00 1a 02 0a 00 1a 00", Err("$.more[1].x: the required field is missing (byte 14)")),
    ] {
        assert_eq!(read(&schema, &columns, message).as_deref().map_err(String::as_str), shown, "{message}");
    }
}

#[test]
fn the_last_field_of_a_oneof_counts() {
    let schema = proto3(
        "message M { oneof kind { int32 a = 1; string b = 2; N n = 3; bool other = 4; } int32 z = 5; }
        message N { int32 x = 1; int32 y = 2; }",
    );
    let inner = record(&[("X", DataType::Int32), ("Y", DataType::Int32)]);
    let flat = layout(&[("A", DataType::Int32), ("B", DataType::Utf8), ("N", inner.clone())]);
    let union = layout(&[("KIND_0", record(&[("A", DataType::Int32), ("B", DataType::Utf8), ("N", inner)]))]);
    for (message, in_columns, in_struct) in [
        ("", "null null null", "null"),
        ("08 00", "0 null null", "{A: 0, B: null, N: null}"),
        ("08 05 12 01 'x'", "null x null", "{A: null, B: x, N: null}"),
        ("12 01 'x' 08 05", "5 null null", "{A: 5, B: null, N: null}"),
        ("1a 02 08 01 1a 02 10 02", "null null {X: 1, Y: 2}", "{A: null, B: null, N: {X: 1, Y: 2}}"),
        ("1a 02 08 01 08 05 1a 02 10 02", "null null {X: 0, Y: 2}", "{A: null, B: null, N: {X: 0, Y: 2}}"),
        ("08 05 20 01", "null null null", "null"),
    ] {
        assert_eq!(read(&schema, &flat, message).as_deref(), Ok(in_columns), "{message}");
        assert_eq!(read(&schema, &union, message).as_deref(), Ok(in_struct), "{message}");
    }
}

/// A number that an enum of proto2 does not know is one of an unknown field, so the other fields of its oneof stay.
#[test]
fn unknown_values_of_closed_enums_do_not_count_in_a_oneof() {
    let text = "message M { oneof kind { int32 a = 1; E e = 2; } } enum E { ZERO = 0; ONE = 1; }";
    let closed = schema(&format!("syntax = \"proto2\"; {text}"), &[]);
    let open = proto3(text);
    let columns = [
        layout(&[("A", DataType::Int32), ("E", DataType::Utf8)]),
        layout(&[("KIND_0", record(&[("A", DataType::Int32), ("E", DataType::Utf8)]))]),
        layout(&[("A", DataType::Int32)]),
        layout(&[("E", DataType::Utf8)]),
    ];
    for (schema, message, shown) in [
        (&closed, "08 05 10 01", ["null ONE", "{A: null, E: ONE}", "null", "ONE"]),
        (&closed, "08 05 10 02", ["5 null", "{A: 5, E: null}", "5", "null"]),
        (&closed, "10 01 10 02", ["null ONE", "{A: null, E: ONE}", "null", "ONE"]),
        (&closed, "10 02 08 05", ["5 null", "{A: 5, E: null}", "5", "null"]),
        (
            &open,
            "08 05 10 02",
            ["null UNKNOWN_ENUM_VALUE_E_2", "{A: null, E: UNKNOWN_ENUM_VALUE_E_2}", "null", "UNKNOWN_ENUM_VALUE_E_2"],
        ),
    ] {
        for (columns, shown) in columns.iter().zip(shown) {
            assert_eq!(read(schema, columns, message).as_deref(), Ok(shown), "{message}");
        }
    }
}

#[test]
fn keys_of_maps_become_texts() {
    for (key, message, shown) in [
        ("string", "0a 05 0a 01 'k' 10 05", "{k: 5}"),
        ("int32", "0a 04 08 01 10 05 0a 04 08 01 10 06", "{1: 6}"),
        ("sint64", "0a 04 08 03 10 05", "{-2: 5}"),
        ("bool", "0a 04 08 01 10 05 0a 02 10 06", "{true: 5, false: 6}"),
    ] {
        let schema = proto3(&format!("message M {{ map<{key}, int32> v = 1; }}"));
        assert_eq!(read(&schema, &layout(&[("V", map(DataType::Int32))]), message).as_deref(), Ok(shown), "{key}");
    }
}

#[test]
fn names_match_in_any_case_and_unknown_columns_are_null() {
    let text =
        "message M { optional int32 userId = 1; optional int32 a = 2; optional int32 A = 3; optional string x = 4; }";
    let schema = schema(&format!("syntax = \"proto2\"; {text}"), &[]);
    let columns = layout(&[("USERID", DataType::Int32), ("A", DataType::Int32), ("NONE", DataType::Int32)]);
    assert_eq!(read(&schema, &columns, "08 01 10 02 18 03 22 01 ff").as_deref(), Ok("1 3 null"));
}

/// What [`infer`](crate::format::infer) takes a column's type from is what the column is read from.
#[test]
fn a_column_is_read_from_the_field_that_it_is_inferred_from() {
    for (text, message, columns, row) in [
        ("message M { optional int32 a = 1; optional string A = 2; }", "08 05 12 01 'x'", "A STRING", "x"),
        ("message M { optional string A = 2; optional int32 a = 1; }", "08 05 12 01 'x'", "A STRING", "x"),
        ("message M { optional int32 aB = 1; optional string Ab = 2; }", "08 05 12 01 'x'", "AB INT", "5"),
        ("message M { optional string Ab = 2; optional int32 aB = 1; }", "08 05 12 01 'x'", "AB STRING", "x"),
        (
            "message M { optional N n = 1; } message N { optional int32 a = 1; optional string A = 2; }",
            "0a 05 08 05 12 01 'x'",
            "N STRUCT<A STRING>",
            "{A: x}",
        ),
        (
            "message M { optional int32 a = 1; oneof o { string A = 2; int32 x = 3; string X = 4; } }",
            "08 05 12 01 'x'",
            "O_0 STRUCT<A STRING, X STRING>, A INT",
            "{A: x, X: null} 5",
        ),
        (
            "message M { optional int32 a_0 = 1; oneof A { int32 x = 2; } }",
            "08 05 10 06",
            "A_0 STRUCT<X INT>",
            "{X: 6}",
        ),
    ] {
        let schema = schema(&format!("syntax = \"proto2\"; {text}"), &[]);
        let inferred = infer(&schema, None, Names::Upper, "ROWVAL").unwrap();
        let column = |field: &FieldRef| format!("{} {}", field.name(), sql_name(field.data_type()));
        let listed: Vec<_> = inferred.fields.iter().map(column).collect();
        assert_eq!(listed.join(", "), columns, "{text}");
        assert_eq!(read(&schema, &Layout::of(inferred.fields), message).as_deref(), Ok(row), "{text}");
    }
}

#[test]
fn messages_are_found_by_their_indexes() {
    let schema = proto3(
        "message A { map<string, int32> m = 1; message B { int32 x = 1; } message C { int32 x = 2; } }
        message D { int32 x = 3; }",
    );
    let columns = layout(&[("X", DataType::Int32)]);
    let read = |payload: &str| read_payload(&schema, &columns, &bytes(payload));
    let header = "00 00 00 00 07";
    for (indexes, message, shown) in
        // Python counts the entries of the map, so that its index of C is none of Java's.
        [
            ("02 02", "18 05", "5"),
            ("04 00 00", "08 06", "6"),
            ("04 00 02", "10 07", "7"),
            ("04 00 04", "10 08", "8"),
            ("00", "", "null"),
        ]
    {
        assert_eq!(read(&format!("{header} {indexes} {message}")).as_deref(), Ok(shown), "{indexes}");
    }
    for (payload, reason) in [
        ("", "the payload is empty"),
        (
            "7b 7d",
            "the payload does not begin with a schema id (a zero byte and 4 more); if it is Protobuf without one, give its \
             schema as VALUE_SCHEMA or KEY_SCHEMA",
        ),
        ("00 00 00", "the payload ends within its schema id"),
        ("00 00 00 00 07", "not valid Protobuf: the payload ends within a varint (byte 5)"),
        ("00 00 00 00 07 02 04", "the schema with id 7 cannot be used: the schema has no message with the indexes [2]"),
        (
            "00 00 00 00 07 04 00 06",
            "the schema with id 7 cannot be used: the schema has no message with the indexes [0, 3]",
        ),
        ("00 00 00 00 07 02 01", "-1 is not the index of a message"),
        ("00 00 00 00 07 64 00", "a message has between 1 and 16 indexes, not 50"),
        ("00 00 00 00 07 03", "a message has between 1 and 16 indexes, not -2"),
        ("00 00 00 00 07 00 0a 05", "$.m: a length of 5 bytes, but 0 follow (byte 7)"),
    ] {
        let columns = layout(&[("X", DataType::Int32), ("M", map(DataType::Int32))]);
        assert_eq!(read_payload(&schema, &columns, &bytes(payload)), Err(reason.to_owned()), "{payload}");
    }
}

#[test]
fn schemas_refer_to_others() {
    let base = schema("syntax = \"proto3\"; package p; message Base { int64 at = 1; }", &[]);
    let event = schema(
        "syntax = \"proto3\"; package p; import \"base.proto\"; message Event { Base b = 1; }",
        &[("base.proto", &base)],
    );
    let text = "syntax = \"proto3\"; import \"event.proto\"; import \"base.proto\"; message M { p.Event e = 1; p.Base b = 2; }";
    let whole = schema(text, &[("event.proto", &event), ("base.proto", &base)]);
    let columns = layout(&[("E", record(&[("B", record(&[("AT", DataType::Int64)]))]))]);
    assert_eq!(read(&whole, &columns, "0a 04 0a 02 08 05").as_deref(), Ok("{B: {AT: 5}}"));
    let reason = read(&schema(text, &[]), &columns, "").unwrap_err();
    assert!(
        reason.starts_with("the schema with id 7 cannot be used: the schema is not valid Protobuf: ")
            && reason.contains("event.proto"),
        "{reason}"
    );
}

#[test]
fn what_cannot_be_read_is_named() {
    let list = "message M { Node v = 1; int32 a = 2; } message Node { int32 x = 1; Other o = 2; } message Other { Node n = 1; }";
    let node = record(&[("X", DataType::Int32)]);
    let cycle = record(&[("O", record(&[("N", node.clone())]))]);
    assert_eq!(read(&proto3(list), &layout(&[("V", node)]), "0a 02 08 05").as_deref(), Ok("{X: 5}"));
    for (schema, column, reason) in [
        (list, cycle, "V: O: N: the message contains itself: Node.o -> Other.n -> Node"),
        ("message M { int64 v = 1; }", DataType::Int32, "V: int64 cannot be read as INT"),
        ("message M { repeated int32 v = 1; }", DataType::Int32, "V: repeated int32 cannot be read as INT"),
        ("message M { int32 v = 1; }", array(DataType::Int32), "V: int32 cannot be read as ARRAY<INT>"),
        (
            "message M { map<string, E> v = 1; } enum E { Z = 0; }",
            TIME,
            "V: map<string, enum E> cannot be read as TIME",
        ),
        ("message M { E v = 1; } enum E { Z = 0; }", TIME, "V: enum E cannot be read as TIME"),
        ("message M { N v = 1; } message N { int32 x = 1; }", TIME, "V: message N cannot be read as TIME"),
        (
            "import \"google/protobuf/wrappers.proto\"; message M { google.protobuf.UInt32Value v = 1; }",
            DataType::Int32,
            "V: google.protobuf.UInt32Value cannot be read as INT",
        ),
        (
            "import \"google/type/date.proto\"; message M { google.type.Date v = 1; }",
            DataType::Int32,
            "V: google.type.Date cannot be read as INT",
        ),
    ] {
        let found = read(&proto3(schema), &layout(&[("V", column)]), "").unwrap_err();
        assert_eq!(found.to_uppercase(), format!("the schema with id 7 cannot be used: {reason}").to_uppercase());
    }
    let columns = layout(&[("V", DataType::Int32)]);
    let deep = format!("{} {}", "message M {".repeat(65), "}".repeat(65));
    assert_eq!(
        read(&proto3(&deep), &columns, ""),
        Err("the schema with id 7 cannot be used: the schema is nested more than 64 levels deep".into())
    );
    let json = Arc::new(Schema { kind: SchemaKind::Json, text: "{}".into(), references: Vec::new() });
    assert_eq!(
        read(&json, &columns, ""),
        Err("the schema with id 7 cannot be used: the schema is JSON, not PROTOBUF".into())
    );
}

/// Brackets in comments and strings are not nesting, and comments do not hide any from the compiler, which follows the values
/// of options by recursion.
#[test]
fn comments_may_have_any_brackets() {
    let columns = layout(&[("V", DataType::Int32)]);
    let comments = "// x < 10\n/* (1 **/".repeat(65);
    let text =
        format!("{comments} syntax = \"proto3\"; message M {{ int32 v = 1 [json_name = '{}']; }}", "{[".repeat(65));
    assert_eq!(read(&schema(&text, &[]), &columns, "08 05").as_deref(), Ok("5"));
    let refused = Err("the schema with id 7 cannot be used: the schema is nested more than 64 levels deep".to_owned());
    let options = |value: &str| {
        format!(
            "syntax = \"proto2\"; import \"google/protobuf/descriptor.proto\"; message M {{ optional int32 v = 1; }}
            message R {{ optional R r = 1; }} extend google.protobuf.FileOptions {{ optional R root = 5000; }}
            option (root) = {{ {value} }};"
        )
    };
    let nested = |depth: usize| format!("{} {}", "r {".repeat(depth), "}".repeat(depth));
    for hidden in ["", "# /*\n", "// /*\n", "/* \" **/", "# ' \\\n"] {
        let read =
            |depth: usize| read(&schema(&options(&format!("{hidden} {}", nested(depth))), &[]), &columns, "08 05");
        assert_eq!((read(20).as_deref(), read(1_000)), (Ok("5"), refused.clone()), "{hidden}");
    }
    let descriptor = |depth: usize| {
        let file = File::from_source("file", &options(&nested(depth))).unwrap();
        schema(&BASE64.encode(file.file_descriptor_proto().encode_to_vec()), &[])
    };
    let read = |depth: usize| read(&descriptor(depth), &columns, "08 05");
    assert_eq!((read(20).as_deref(), read(1_000)), (Ok("5"), refused), "a descriptor in place of a text");
}

#[test]
fn several_versions_are_in_one_batch() {
    let first = proto3("message M { int32 a = 1; }");
    let second = proto3("message M { int32 a = 1; string b = 2; }");
    let payload = |text: &str| bytes(text);
    let payloads = [
        payload("00 00 00 00 01 00 08 01"),
        payload("00 00 00 00 02 00 08 02 12 01 'x'"),
        payload("00 00 00 00 01 00 08 03"),
        payload("00 00 00 00 03 00 08 04"),
        payload("00 00 00 00 04 00 08 05"),
        payload("00 00 00 00 02 00"),
    ];
    let payloads = BinaryArray::from_iter_values(&payloads);
    let columns = layout(&[("A", DataType::Int32), ("B", DataType::Utf8)]);
    let mut decoder = FramedProtobufDecoder::try_new(&columns, &[0, 1]).unwrap();
    assert_eq!(decoder.missing_schemas(&payloads), [1, 2, 3, 4]);
    decoder.learn(2, Ok(second));
    decoder.learn(1, Ok(first));
    for _ in 0..2 {
        assert_eq!(decoder.missing_schemas(&payloads), [3, 4]);
        decoder.learn(4, Err("the registry has no schema with the id 4".to_owned()));
        assert_eq!(decoder.missing_schemas(&payloads), [3]);
        let decoded = decoder.decode(&payloads);
        let reasons: Vec<_> = decoded.bad.iter().map(|bad| (bad.row, bad.reason.as_str())).collect();
        assert_eq!(
            reasons,
            [(3, "the schema with id 3 is not known"), (4, "the registry has no schema with the id 4")]
        );
        let row = |row| format!("{} {}", show(&decoded.columns[0], row), show(&decoded.columns[1], row));
        assert_eq!([row(0), row(1), row(2), row(5)], ["1 null", "2 x", "3 null", "0 "]);
    }
}
