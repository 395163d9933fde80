//! Files in, canonical files or errors out.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use prost_reflect::DescriptorPool;
use prost_reflect::prost::Message;
use prost_types::FileDescriptorProto;

use super::{Protobuf, descriptor};
use crate::kinds::Referenced;

fn parse(text: &str) -> Protobuf {
    parse_with(text, &[])
}

fn parse_with(text: &str, references: &[(&str, &str)]) -> Protobuf {
    let referenced = |(name, text): &(&str, &str)| Referenced { name: (*name).into(), text: (*text).into() };
    let references: Vec<_> = references.iter().map(referenced).collect();
    Protobuf::parse(text, &references).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn check(text: &str, expected: &str) {
    let schema = parse(text);
    let canonical = schema.canonical();
    assert_eq!(canonical, expected);
    assert_eq!(parse(&canonical).canonical(), canonical, "printed again");
    assert_eq!(parse(&schema.serialized()).canonical(), canonical, "from the descriptor");
}

fn check_error(text: &str, expected: &str) {
    let error = Protobuf::parse(text, &[]).map(|schema| schema.canonical()).expect_err("it is not valid");
    assert!(error.to_string().contains(expected), "{error}");
}

const EVERYTHING: &str = r#"
// A comment.
syntax = "proto2";
package a.b;
import "google/protobuf/timestamp.proto";
import "confluent/meta.proto";
option java_package = "x";
option java_multiple_files = true;
option (confluent.file_meta) = { doc: "d" tags: ["p", "q"] };
message M {
  option deprecated = true;
  reserved 10 to 12, 20 to 29;
  reserved "old";
  required string name = 1 [default = "a\"b\n", json_name = "N", (confluent.field_meta).doc = "pii"];
  optional M child = 2;
  repeated int32 numbers = 3 [packed = true];
  map<string, Inner> inners = 4;
  oneof choice {
    E e = 5;
    .google.protobuf.Timestamp at = 6;
  }
  optional group G = 7 { optional bytes raw = 1 [default = "\001x"]; }
  message Inner { optional double d = 1 [default = inf]; }
  enum E { option allow_alias = true; ZERO = 0; NULL = 0 [deprecated = true]; MINUS = -1; }
  extensions 100 to max;
}
extend M { optional int64 extra = 100; }
service S { rpc Call (M) returns (stream M.Inner) { option deprecated = true; } rpc Plain (M) returns (M); }
"#;

#[test]
fn everything_is_printed() {
    check(
        EVERYTHING,
        r#"syntax = "proto2";
package a.b;

import "google/protobuf/timestamp.proto";
import "confluent/meta.proto";
option (confluent.file_meta) = { doc:"d",tags:["p","q"] };
option java_multiple_files = true;
option java_package = "x";

message M {
  option deprecated = true;
  reserved 10 to 12;
  reserved 20 to 29;
  reserved "old";
  extensions 100 to max;
  required string name = 1 [default = "a\"b\n", json_name = "N", (confluent.field_meta) = { doc:"pii" }];
  optional M child = 2;
  repeated int32 numbers = 3 [packed = true];
  map<string, M.Inner> inners = 4;
  oneof choice {
    M.E e = 5;
    google.protobuf.Timestamp at = 6;
  }
  optional group G = 7 {
    optional bytes raw = 1 [default = "\001x"];
  }
  message Inner {
    optional double d = 1 [default = inf];
  }
  enum E {
    option allow_alias = true;
    ZERO = 0;
    NULL = 0 [deprecated = true];
    MINUS = -1;
  }
}
extend M {
  optional int64 extra = 100;
}

service S {
  rpc Call (M) returns (stream M.Inner) {
    option deprecated = true;
  }
  rpc Plain (M) returns (M);
}
"#,
    );
}

#[test]
fn layout_makes_no_difference() {
    let one = "syntax=\"proto3\";message A{optional int32 a=1;B b=2;}message B{}";
    let other =
        "syntax = \"proto3\";\n/* B */ message A {\n  optional int32 a = 1; // a\n  .B b = 2;\n}\nmessage B { }";
    assert_eq!(parse(one).canonical(), parse(other).canonical());
    check(one, "syntax = \"proto3\";\n\nmessage A {\n  optional int32 a = 1;\n  B b = 2;\n}\n\nmessage B {\n}\n");
}

#[test]
fn names_that_mean_something_else_are_written_in_full() {
    let text = "syntax = \"proto3\"; package p; message A { message B {} .p.B outer = 1; B inner = 2; } message B {}";
    let canonical = parse(text).canonical();
    assert!(canonical.contains(".p.B outer = 1;") && canonical.contains(".p.A.B inner = 2;"), "{canonical}");
    assert_eq!(parse(&canonical).canonical(), canonical);
}

#[test]
fn references_are_imported() {
    let cart = r#"syntax = "proto3"; package t; import "item.proto"; message Cart { Item item = 1; other.Other o = 2; } import "o.proto";"#;
    let item = r#"syntax = "proto3"; package t; message Item {}"#;
    let other = r#"syntax = "proto3"; package other; message Other {}"#;
    let schema = parse_with(cart, &[("item.proto", item), ("o.proto", other)]);
    assert!(schema.canonical().contains("  Item item = 1;\n  other.Other o = 2;\n"), "{}", schema.canonical());
    let again = parse_with(&schema.serialized(), &[("item.proto", item), ("o.proto", other)]);
    assert_eq!(again.canonical(), schema.canonical());
    check_error(cart, "the imported file \"item.proto\" is not among the references");
}

#[test]
fn known_files_need_no_reference() {
    for (name, message) in [
        ("google/protobuf/wrappers.proto", "google.protobuf.Int64Value"),
        ("google/type/date.proto", "google.type.Date"),
        ("google/type/datetime.proto", "google.type.DateTime"),
        ("confluent/type/decimal.proto", "confluent.type.Decimal"),
    ] {
        parse(&format!("syntax = \"proto3\"; import \"{name}\"; message A {{ {message} a = 1; }}"));
    }
    // They may be registered all the same.
    let timestamp = DescriptorPool::global().get_file_by_name("google/protobuf/timestamp.proto").expect("it is known");
    let timestamp = parse(&BASE64_STANDARD.encode(timestamp.encode_to_vec())).canonical();
    let text = "syntax = \"proto3\"; import \"google/protobuf/timestamp.proto\"; import \"google/type/interval.proto\";
        message A { google.protobuf.Timestamp a = 1; google.type.Interval b = 2; }";
    parse_with(text, &[("google/protobuf/timestamp.proto", &timestamp)]);
    for (name, text) in headwater_formats::protobuf_files::all() {
        assert!(Protobuf::parse(text, &[]).is_ok(), "{name}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    check_error("message {", "expected an identifier");
    check_error("syntax = \"proto3\"; message A { B b = 1; }", "name 'B' is not defined");
    check_error("syntax = \"proto3\"; message A { int32 a = 1; int32 b = 1; }", "field number '1' is already used");
    check_error("message M { extensions 1 to 9; } extend M { optional group G = 1 {} }", "is a group");
    check_error("AAAA", "it is not a file descriptor");
    check_error("AAA", "it is neither a .proto file nor base64");
    check_error(&format!("message A {{ {} }}", "message B { ".repeat(70)), "nested more than 64 levels deep");
    assert!(descriptor("syntax = \"proto3\";").is_none());
}

/// The linker would panic where it takes them for granted.
#[test]
fn entries_of_maps_have_a_key_and_a_value() {
    let map = parse("syntax = \"proto3\"; message M { map<string, int32> counts = 1; }").serialized();
    let mut file = FileDescriptorProto::decode(BASE64_STANDARD.decode(&map).unwrap().as_slice()).unwrap();
    file.message_type[0].nested_type[0].field[1].number = Some(44);
    check_error(&BASE64_STANDARD.encode(file.encode_to_vec()), "message \"CountsEntry\": it is the entry of a map");
    file.message_type[0].nested_type[0].field.truncate(1);
    check_error(&BASE64_STANDARD.encode(file.encode_to_vec()), "message \"CountsEntry\": it is the entry of a map");
    let declared =
        "syntax = \"proto3\"; message M { option map_entry = true; int32 a = 1; } message N { repeated M m = 1; }";
    check_error(declared, "it is the entry of a map");
}

#[test]
fn normalized_files_have_one_order() {
    let one = "syntax = \"proto3\"; message A { int32 b = 2; int32 a = 1; }";
    let other = "syntax = \"proto3\"; message A { int32 a = 1; int32 b = 2; }";
    assert_ne!(parse(one).canonical(), parse(other).canonical());
    assert_eq!(parse(one).normalized(), parse(other).normalized());
}

#[test]
fn long_names_around_many_others_are_rejected() {
    let text = |fields: usize| {
        let fields: String = (1..=fields).map(|i| format!("int32 f{i} = {i};")).collect();
        format!("syntax = \"proto3\"; message {} {{ {fields} }}", "A".repeat(100_000))
    };
    // The name of the message is repeated in that of each field: 16 MiB are 167 times 100,002 bytes and a little.
    assert!(Protobuf::parse(&text(166), &[]).is_ok());
    check_error(&text(167), "the names in the file are longer than 16777216 bytes together");
}
